//! The host's judge: the code that the kernel program is made of, over lists that are searched from end to end.

use std::{collections::BTreeMap, net::IpAddr};

use allowlist::policy::{
    Policy, Prefix,
    entry::BootClock,
    table::{self, Placement, Surroundings, TrieSlots},
};
use allowlist_common::{
    abi::{BootSeconds, PolicyTable, Ruling},
    decide::{self, Sources},
    parse::{self, Flow},
};

use crate::counted::Counted;

/// Index of the interface that test runs come in on.
pub(crate) const LOOPBACK: u32 = 1;

/// A policy, ready to judge packets of the loopback interface.
pub(crate) struct Host {
    table: Box<PolicyTable>,
    lists: Lists,
}

/// In place of tries: prefixes with their nodes, by slot. Slot 0 is empty.
struct Lists {
    lists: Vec<Vec<(Prefix, Ruling)>>,
    now: BootSeconds,
}

impl Host {
    pub(crate) fn new(policy: &Policy, strict: bool, clock: &BootClock) -> Self {
        let placement = Placement { ifindices: [LOOPBACK].into(), strict };
        let interfaces = BTreeMap::from([("lo".to_owned(), placement)]);
        let mut lists = vec![Vec::new()];
        let mut keep = |list| {
            let slot = u32::try_from(lists.len()).unwrap();
            lists.push(list);
            TrieSlots { v4: slot, v6: slot }
        };
        let tries = policy
            .services
            .values()
            .map(|service| (service.number, keep(policy.sources(service).nodes(clock).collect())));
        let tries = tries.collect();
        let numbered = |(prefix, number): (&Prefix, &u16)| {
            (*prefix, Ruling { allow: u32::from(*number), ..Ruling::default() })
        };
        let selections = table::selections(policy, &interfaces).into_iter().map(|selection| {
            let slots = keep(selection.iter().map(numbered).collect());
            (selection, slots)
        });
        let selections = selections.collect();
        let around = Surroundings { interfaces, tries, selections, ..Surroundings::default() };
        let table = table::compile(policy, &around).unwrap();
        Self { table, lists: Lists { lists, now: clock.now } }
    }

    /// What becomes of a frame.
    pub(crate) fn judge(&self, frame: &[u8]) -> Counted {
        let mut flow = Flow::EMPTY;
        let parsed = parse::parse(frame, &mut flow);
        Counted::of(&decide::decide(&self.table, &self.lists, LOOPBACK, parsed, &flow))
    }
}

impl Lists {
    fn lookup(&self, trie: u32, prefix_len: u32, address: IpAddr) -> Option<Ruling> {
        self.lists[usize::try_from(trie).unwrap()]
            .iter()
            .filter(|(prefix, _)| u32::from(prefix.bits()) <= prefix_len)
            .filter(|(prefix, _)| covers(*prefix, address))
            .max_by_key(|(prefix, _)| prefix.bits())
            .map(|(_, node)| *node)
    }
}

/// Whether an address and a prefix are of one family and agree in the prefix's bits.
pub(crate) fn covers(prefix: Prefix, address: IpAddr) -> bool {
    let (network, address, width) = match (prefix.net().network(), address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            (u128::from(network.to_bits()), u128::from(address.to_bits()), 32)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits(), address.to_bits(), 128),
        _ => return false,
    };
    let host_bits = width - u32::from(prefix.bits());
    (network ^ address).checked_shr(host_bits).unwrap_or(0) == 0
}

impl Sources for Lists {
    fn lookup_v4(&self, trie: u32, prefix_len: u32, address: [u8; 4]) -> Option<Ruling> {
        self.lookup(trie, prefix_len, address.into())
    }

    fn lookup_v6(&self, trie: u32, prefix_len: u32, address: [u8; 16]) -> Option<Ruling> {
        self.lookup(trie, prefix_len, address.into())
    }

    fn now(&self) -> BootSeconds {
        self.now
    }
}
