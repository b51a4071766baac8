//! How the filter and the daemon are.

use allowlist_common::abi::ABI_VERSION;

use crate::{
    api::{DegradedPart, InterfaceState},
    daemon::{
        metrics::family::{Family, number, truth},
        shared::Shared,
    },
    version,
};

/// As [`InterfaceStatus::mode`](crate::api::InterfaceStatus::mode) has them.
const XDP_MODES: [&str; 2] = ["native", "generic"];

pub(super) fn figures(shared: &Shared) -> Vec<Family> {
    let mut figures = interfaces(shared);
    let mut degraded = Family::gauge(
        "allowlist_degraded",
        "Whether a part does not work, while what is enforced stays enforced; `status` says why.",
    );
    let parts = shared.degraded();
    for part in DegradedPart::ALL {
        let is_so = parts.iter().any(|degraded| degraded.what == part);
        degraded.put([("part", part.word())], truth(is_so));
    }
    figures.push(degraded);
    let lost = Family::counter(
        "allowlist_events_lost_total",
        "Dropped packets that were counted and not reported one by one, for there were too many.",
    );
    figures.push(lost.only(number(shared.drops.lost())));
    let mut build =
        Family::gauge("allowlist_build_info", "1, with the release of the daemon that runs.");
    let abi = ABI_VERSION.to_string();
    build.put([("version", version::SHORT), ("commit", version::COMMIT), ("abi", &abi)], 1.0);
    figures.push(build);
    figures
}

fn interfaces(shared: &Shared) -> Vec<Family> {
    let mut states = Family::gauge(
        "allowlist_interface_state",
        "1 for the state that an interface is in, else 0: it is filtered only where it is attached.",
    );
    let mut modes = Family::gauge(
        "allowlist_interface_xdp_mode",
        "1 for the XDP mode that the filter runs in on an interface, else 0; 0 for all where it is not attached.",
    );
    let mut put_back = Family::counter(
        "allowlist_interface_put_back_total",
        "How often the filter had to be put back on an interface since the daemon started, for somebody cut it off or replaced it.",
    );
    for interface in shared.interfaces() {
        let name = interface.name.as_str();
        for state in InterfaceState::ALL {
            states.put(
                [("interface", name), ("state", state.word())],
                truth(interface.state == state),
            );
        }
        for mode in XDP_MODES {
            let is_so = interface.mode.as_deref() == Some(mode);
            modes.put([("interface", name), ("mode", mode)], truth(is_so));
        }
        put_back.put([("interface", name)], number(interface.put_back));
    }
    vec![states, modes, put_back]
}
