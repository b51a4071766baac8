//! Frames sent to the program over a cable: what comes out behind it.

mod answers;
mod cable;
mod sockets;

use allowlist::kernel::Variant;
use allowlist_common::parse::Aside;

use crate::{
    bed::{Bed, SHORTEST},
    counted::{Counted, Tally},
    rows::{World, jumbo_rows},
    table::{
        self, CLOSED, Row,
        build::{C_TAG, S_TAG},
    },
    variants::variants,
};

pub(crate) use self::cable::{Cable, on_cable};

/// Shorter frames with a VLAN tag the network stack drops itself (`skb_vlan_untag`), before anybody can hear them.
const SHORTEST_TAGGED: usize = 20;

/// Whether the network stack tells of a frame that the program has passed.
fn is_told_of(frame: &[u8]) -> bool {
    let ethertype = u16::from_be_bytes([frame[12], frame[13]]);
    frame.len() >= SHORTEST_TAGGED || ![C_TAG, S_TAG].contains(&ethertype)
}

/// Sends every row through the program, in every world: those that pass arrive byte for byte, the others do not, and
/// the counters grow by all of them. What comes back is an answer of a service that rejects.
pub(crate) fn send_all(bed: &mut Bed, cable: &mut Cable, rows: &[Row]) {
    let mut failures = Vec::new();
    for world in World::ALL {
        world.enter(bed);
        let (before, marks) = (bed.tally(), cable.marks());
        let mut expected = Tally::new();
        let mut answered = bed.answered(CLOSED);
        for row in rows.iter().filter(|row| row.frame.len() >= SHORTEST) {
            let counted = world.counter(row.fate);
            *expected.entry(counted).or_default() += 1;
            let arrivals = cable.arrivals(&row.frame);
            let should_arrive = counted.passes() && is_told_of(&row.frame);
            let stated: &[&[u8]] = if should_arrive { &[&row.frame] } else { &[] };
            if arrivals != stated {
                let name = &row.name;
                failures.push(format!("{world:?}, {name}: {counted:?}, arrived: {arrivals:02x?}"));
            }
            let answers = bed.answered(CLOSED) - answered;
            answered += answers;
            if answers > 0 {
                // One that is lost is lost for good: no use in waiting for the rest.
                let answer = cable.answer().expect("what is counted as answered is answered");
                if let Err(error) = answers::check(&row.frame, &answer) {
                    failures.push(format!("{world:?}, {}: {error}", row.name));
                }
            }
        }
        let marks = u64::from(cable.marks() - marks);
        *expected.entry(Counted::unreadable(Aside::NotIp, false)).or_default() += marks;
        let grown = bed.tally_since(&before);
        if grown != expected {
            failures.push(format!("{world:?}: {expected:?}, but counted {grown:?}"));
        }
        if !cable.is_silent() {
            failures.push(format!("{world:?}: frames that nobody expected"));
        }
    }
    assert!(failures.is_empty(), "{}:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn of_the_table_exactly_the_rows_that_pass_arrive_behind_the_program() {
    for variant in variants() {
        on_cable(variant, |bed, cable| {
            let mut rows = table::rows();
            if variant == Variant::Frags {
                rows.extend(jumbo_rows());
            }
            send_all(bed, cable, &rows);
            // Those that are not to be answered are the smaller part.
            let answered = bed.answered(CLOSED);
            assert!(answered > 100, "{variant:?}: {answered} answered");
            println!("{variant:?}: {} rows, {answered} of them answered", rows.len());
        });
    }
}
