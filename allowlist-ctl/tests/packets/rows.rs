//! Every row of the table, in every world.

use allowlist::{
    kernel::Action,
    policy::{
        Policy, Service,
        service::{Action as Denial, Mode},
    },
};
use allowlist_common::{
    abi::{Judged, Unmatched},
    parse::Aside,
};

use crate::{
    bed::{Bed, LONGEST_EXPLAINED, SHORTEST, in_lab, in_lab_with},
    counted::{Counted, Tally},
    policies::of_the_table,
    table::{
        self, CLOSED, Fate, MONITOR, OPEN, Row,
        build::{FRIEND, STRANGER, UDP, V4, V6, frame},
        row,
    },
    variants::variants,
};

/// How the closed service and the interface are configured.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum World {
    /// As the table states its rows.
    Enforced,
    /// It answers what it denies.
    Rejecting,
    /// It monitors: nothing is enforced on the interface.
    Monitored,
    /// It is off.
    Off,
    /// Fragments are strict, and the service without entries is off, which would allow every source.
    Strict,
    /// Fragments are strict, and nothing is enforced on the interface.
    StrictMonitored,
}

impl World {
    pub(crate) const ALL: [Self; 6] = [
        Self::Enforced,
        Self::Rejecting,
        Self::Monitored,
        Self::Off,
        Self::Strict,
        Self::StrictMonitored,
    ];

    pub(crate) fn is_strict(self) -> bool {
        matches!(self, Self::Strict | Self::StrictMonitored)
    }

    fn is_guarded(self) -> bool {
        matches!(self, Self::Enforced | Self::Rejecting | Self::Strict)
    }

    /// Puts it in force.
    pub(crate) fn enter(self, bed: &mut Bed) {
        bed.enforce(&self.policy(), self.is_strict());
    }

    /// Its policy.
    pub(crate) fn policy(self) -> Policy {
        let mut policy = of_the_table(|closed| match self {
            Self::Rejecting => closed.action = Denial::Reject,
            Self::Monitored | Self::StrictMonitored => closed.mode = Mode::Monitor,
            Self::Off => closed.mode = Mode::Off,
            Self::Enforced | Self::Strict => {}
        });
        if self.is_strict() {
            let open = policy.services.values_mut().find(|service| service.number == OPEN);
            let open = open.unwrap();
            *open = Service { mode: Mode::Off, ..open.as_ref().clone() }.into();
        }
        policy
    }

    /// The counter that a packet of this fate grows here.
    pub(crate) fn counter(self, fate: Fate) -> Counted {
        let no_service = Counted::Unmatched(Unmatched::NO_SERVICE);
        match fate {
            Fate::Admitted | Fate::Denied if self == Self::Off => no_service,
            Fate::Admitted => Counted::Service(CLOSED, Judged::Admitted),
            Fate::Denied if self.is_guarded() => Counted::Service(CLOSED, Judged::Denied),
            Fate::Denied => Counted::Service(CLOSED, Judged::WouldDeny),
            Fate::Open if self.is_strict() => no_service,
            Fate::Open => Counted::Service(OPEN, Judged::AdmittedOpen),
            Fate::WouldDeny => Counted::Service(MONITOR, Judged::WouldDeny),
            Fate::NoService => no_service,
            Fate::Passed(aside) => Counted::Unmatched(Unmatched::passed(aside)),
            Fate::Later { allowed } if self.is_strict() && !allowed => {
                Counted::unreadable(Aside::FragmentRefused, self.is_guarded())
            }
            Fate::Later { .. } => Counted::Unmatched(Unmatched::passed(Aside::LaterFragment)),
            Fate::Unreadable(aside) => Counted::unreadable(aside, self.is_guarded()),
        }
    }
}

/// Whether host and kernel judge a row as it states.
pub(crate) fn check(bed: &mut Bed, world: World, row: &Row, failures: &mut Vec<String>) {
    let expected = world.counter(row.fate);
    let host = bed.on_host(&row.frame);
    if host != expected {
        failures.push(format!("{world:?}, {}: {expected:?}, host: {host:?}", row.name));
    }
    if row.frame.len() < SHORTEST {
        return;
    }
    let (action, tally) = bed.in_kernel(&row.frame);
    let passes = action == Action::Passed;
    if passes != expected.passes() || tally != Tally::from([(expected, 1)]) {
        let name = &row.name;
        failures.push(format!("{world:?}, {name}: {expected:?}, kernel: {action:?} {tally:?}"));
    }
    if row.frame.len() > LONGEST_EXPLAINED {
        return;
    }
    let (explained, tally) = bed.explained(&row.frame);
    if explained != expected || !tally.is_empty() {
        let name = &row.name;
        failures
            .push(format!("{world:?}, {name}: {expected:?}, explained: {explained:?} {tally:?}"));
    }
}

/// The same of every row, in every world.
pub(crate) fn check_all(bed: &mut Bed, rows: &[Row]) {
    let mut failures = Vec::new();
    for world in World::ALL {
        world.enter(bed);
        for row in rows {
            check(bed, world, row, &mut failures);
        }
    }
    assert!(failures.is_empty(), "{}:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn host_and_kernel_judge_every_row_of_the_table_as_it_states() {
    let rows = table::rows();
    for variant in variants() {
        in_lab_with(&[variant], |bed| check_all(bed, &rows));
    }
    println!("{} rows in {} worlds", rows.len(), World::ALL.len());
}

/// More than a page: the kernel hands them over in several buffers.
pub(crate) fn jumbo_rows() -> [Row; 6] {
    let long = |mut frame: Vec<u8>| {
        frame.resize(9000, 0);
        frame
    };
    let with = |source| V4 { source, total: Some(8986), ..V4::to(table::PORT) };
    let v6 = V6 { length: Some(8946), ..V6::to(table::PORT) };
    let udp_v4 = V4 { protocol: UDP, ..with(STRANGER) };
    let udp_v6 = V6 { protocol: UDP, ..v6.clone() };
    [
        row("jumbo frame, UDP over IPv4", long(udp_v4.frame()), Fate::Denied),
        row("jumbo frame, UDP over IPv6", long(udp_v6.frame()), Fate::Denied),
        row("jumbo frame, IPv4", long(with(STRANGER).frame()), Fate::Denied),
        row("jumbo frame, IPv4, allowed source", long(with(FRIEND).frame()), Fate::Admitted),
        row("jumbo frame, IPv6", long(v6.frame()), Fate::Denied),
        row("jumbo frame of ARP", long(frame(&[], 0x0806, &[0; 28])), Fate::Passed(Aside::NotIp)),
    ]
}

#[test]
fn jumbo_frames_are_judged_by_the_headers_in_their_first_buffer() {
    in_lab(|bed| check_all(bed, &jumbo_rows()));
}
