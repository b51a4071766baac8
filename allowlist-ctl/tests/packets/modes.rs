//! The mode in which a program runs, and why.

use allowlist::kernel::{AttachError, Manner, Variant, XdpMode, interfaces};
use xtask::lab::{Namespace, link};

use crate::bed::in_namespace;

#[test]
fn a_program_for_single_buffers_is_refused_at_a_large_mtu_with_the_command_that_helps() {
    let here = Namespace::new("mtu").unwrap();
    let there = Namespace::new("far").unwrap();
    link(&here, "eth7", &there, "eth7").unwrap();
    there.ip(&["link set eth7 mtu 9000"]).unwrap();
    let helps = "the MTU of the other end is too large for native XDP: `ip link set dev PEER mtu 1500` there";
    for variant in Variant::ALL {
        in_namespace(&here, &[variant], |bed| {
            let present = interfaces().unwrap();
            let eth7 = present.iter().find(|interface| interface.name == "eth7").unwrap();
            let native = bed
                .kernel
                .attach(eth7, &present, Manner { mode: XdpMode::Native, ..Manner::default() })
                .map(drop);
            if variant == Variant::Frags {
                native.unwrap();
                return;
            }
            let Err(AttachError::Mode { mode: "native", reason, .. }) = native else {
                panic!("{variant:?}: {native:?}");
            };
            assert_eq!(reason, helps, "{variant:?}");
            let any = bed.kernel.attach(eth7, &present, Manner::default()).unwrap();
            assert_eq!(any.generic.as_deref(), Some(helps), "{variant:?}");
        });
    }
}
