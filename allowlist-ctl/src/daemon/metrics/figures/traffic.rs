//! What the kernel program has counted.

use allowlist_common::{
    abi::{Counter, Judged, Unmatched},
    parse::Aside,
};

use crate::{
    api::Problem,
    daemon::{
        metrics::family::{Family, number},
        shared::Shared,
        traffic::{aside_name, unreadable_counters},
    },
    policy::Policy,
};

/// Behind the help of each counter that is the kernel's.
macro_rules! since_new {
    ($help:literal) => {
        concat!(
            $help,
            " Kept over restarts of the daemon; begins at 0 where the filter was taken off."
        )
    };
}

/// Packets of services that were judged, each counted under one verdict.
const VERDICTS: [(Judged, &str); 4] = [
    (Judged::Admitted, "admitted"),
    (Judged::AdmittedOpen, "admitted_open"),
    (Judged::Denied, "denied"),
    (Judged::WouldDeny, "would_deny"),
];
/// What became of those that were denied by a service that answers.
const ANSWERS: [(Judged, &str); 2] =
    [(Judged::RejectSent, "sent"), (Judged::RejectLimited, "limited")];

pub(super) fn figures(shared: &Shared, policy: &Policy) -> Result<Vec<Family>, Problem> {
    let mut packets = Family::counter(
        "allowlist_service_packets_total",
        since_new!("Packets to the ports of a service, by verdict."),
    );
    let mut bytes = Family::counter(
        "allowlist_service_bytes_total",
        since_new!("Bytes of the packets to the ports of a service, Ethernet headers included."),
    );
    let mut rejects = Family::counter(
        "allowlist_service_rejects_total",
        since_new!(
            "Denied packets of a service that answers: the answer was sent, or left out by the limit of answers."
        ),
    );
    for (name, service) in &policy.services {
        let count =
            |judged| shared.counters.service(service.number, judged).map_err(unreadable_counters);
        let name = name.as_str();
        for (judged, verdict) in VERDICTS {
            let labels = [("service", name), ("verdict", verdict)];
            put(&mut packets, &mut bytes, labels, count(judged)?);
        }
        for (judged, answer) in ANSWERS {
            let labels = [("service", name), ("answer", answer)];
            rejects.put(labels, number(count(judged)?.packets));
        }
    }
    let [of_none, bytes_of_none] = unmatched(shared)?;
    Ok(vec![packets, bytes, rejects, of_none, bytes_of_none])
}

fn unmatched(shared: &Shared) -> Result<[Family; 2], Problem> {
    let mut packets = Family::counter(
        "allowlist_unmatched_packets_total",
        since_new!("Packets that belong to no service, by what they are and what became of them."),
    );
    let mut bytes = Family::counter(
        "allowlist_unmatched_bytes_total",
        since_new!("Bytes of the packets that belong to no service, Ethernet headers included."),
    );
    let mut count = |reason, kind: Unmatched| {
        let totals = shared.counters.unmatched(kind).map_err(unreadable_counters)?;
        let verdict = if kind.passes() { "passed" } else { "dropped" };
        put(&mut packets, &mut bytes, [("reason", reason), ("verdict", verdict)], totals);
        Ok::<_, Problem>(())
    };
    count("no_service", Unmatched::NO_SERVICE)?;
    for aside in Aside::ALL {
        count(aside_name(aside), Unmatched::passed(aside))?;
        if aside.is_unreadable() {
            count(aside_name(aside), Unmatched::dropped(aside))?;
        }
    }
    Ok([packets, bytes])
}

fn put(packets: &mut Family, bytes: &mut Family, labels: [(&str, &str); 2], totals: Counter) {
    packets.put(labels, number(totals.packets));
    bytes.put(labels, number(totals.bytes));
}
