//! Every packet of the table through the parser and the decision alone, under a policy made by hand. Needs nothing;
//! `allowlist-ctl/tests/packets` has the same table through the loaded program.

#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

mod table;

use std::{collections::HashSet, net::IpAddr};

use allowlist_common::{
    abi::{
        BootSeconds, Judged, MONITOR, NEVER, OPEN, PolicyTable, PortRow, Ruling, ServiceRow,
        Unmatched,
    },
    decide::{Sources, Verdict, decide},
    parse::{Aside, Flow, Protocol, parse},
};

use self::table::{CLOSED, ENTRIES, Fate};

/// The entries of the table, read anew and searched from end to end.
struct Entries(Vec<Entry>);

struct Entry {
    address: u128,
    bits: u32,
    width: u32,
    is_except: bool,
}

impl Entries {
    fn of_the_table() -> Self {
        Self(ENTRIES.iter().map(|text| Entry::read(text)).collect())
    }

    /// The node of the most specific prefix: an allow and an except of it share one.
    fn lookup(&self, prefix_len: u32, address: u128, width: u32) -> Option<Ruling> {
        let covering = self.0.iter().filter(|entry| {
            entry.width == width
                && entry.bits <= prefix_len
                && (entry.address ^ address).checked_shr(width - entry.bits).unwrap_or(0) == 0
        });
        let covering: Vec<_> = covering.collect();
        let prefix_len = covering.iter().map(|entry| entry.bits).max()?;
        let mut node = Ruling { prefix_len, ..Ruling::default() };
        for entry in covering.iter().filter(|entry| entry.bits == prefix_len) {
            if entry.is_except {
                (node.except, node.except_until) = (1, NEVER);
            } else {
                (node.allow, node.allow_until) = (2, NEVER);
            }
        }
        Some(node)
    }
}

impl Entry {
    fn read(text: &str) -> Self {
        let (is_except, text) = text.strip_prefix('!').map_or((false, text), |text| (true, text));
        let (address, bits) = text.split_once('/').unwrap();
        let (address, width) = match address.parse().unwrap() {
            IpAddr::V4(address) => (address.to_bits().into(), 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        Self { address, bits: bits.parse().unwrap(), width, is_except }
    }
}

impl Sources for Entries {
    fn lookup_v4(&self, trie: u32, prefix_len: u32, address: [u8; 4]) -> Option<Ruling> {
        assert_eq!(trie, 1);
        self.lookup(prefix_len, u32::from_be_bytes(address).into(), 32)
    }

    fn lookup_v6(&self, trie: u32, prefix_len: u32, address: [u8; 16]) -> Option<Ruling> {
        assert_eq!(trie, 1);
        self.lookup(prefix_len, u128::from_be_bytes(address), 128)
    }

    fn now(&self) -> BootSeconds {
        1000
    }
}

fn policy() -> Box<PolicyTable> {
    let mut policy = Box::new(PolicyTable::EMPTY);
    let mut assign = |page: u16, protocol: Protocol, port: u16, service: u16| {
        policy.rows[0].pages[PortRow::page_index(protocol, port)] = page;
        policy.pages[usize::from(page)][usize::from(port & 0xff)] = service;
    };
    for protocol in Protocol::ALL {
        assign(1, protocol, table::PORT, CLOSED);
    }
    assign(2, Protocol::Tcp, table::OPEN_PORT, table::OPEN);
    assign(3, Protocol::Tcp, table::MONITOR_PORT, table::MONITOR);
    let flags = [(CLOSED, 0), (table::OPEN, OPEN), (table::MONITOR, MONITOR)];
    for (number, flags) in flags {
        policy.services[usize::from(number)] = ServiceRow { trie_v4: 1, trie_v6: 1, flags };
    }
    policy.rows[0].guarded = 1;
    policy
}

fn judge(policy: &PolicyTable, frame: &[u8]) -> Verdict {
    let mut flow = Flow::EMPTY;
    let parsed = parse(frame, &mut flow);
    decide(policy, &Entries::of_the_table(), 7, parsed, &flow)
}

/// Whether a verdict is what a row states.
fn is_as_stated(verdict: &Verdict, fate: Fate) -> bool {
    let service = |number, judged| verdict.service == number && verdict.judged == judged;
    let unmatched = |unmatched| verdict.service == 0 && verdict.unmatched == unmatched;
    match fate {
        Fate::Admitted => service(CLOSED, Judged::Admitted),
        Fate::Denied => service(CLOSED, Judged::Denied),
        Fate::Open => service(table::OPEN, Judged::AdmittedOpen),
        Fate::WouldDeny => service(table::MONITOR, Judged::WouldDeny),
        Fate::NoService => unmatched(Unmatched::NO_SERVICE),
        Fate::Passed(aside) => unmatched(Unmatched::passed(aside)),
        Fate::Later { .. } => unmatched(Unmatched::passed(Aside::LaterFragment)),
        Fate::Unreadable(aside) => unmatched(Unmatched::dropped(aside)),
    }
}

#[test]
fn every_row_of_the_table_is_judged_as_it_states() {
    let policy = policy();
    let rows = table::rows();
    let wrong = rows.iter().filter_map(|row| {
        let verdict = judge(&policy, &row.frame);
        let wrong = !is_as_stated(&verdict, row.fate);
        wrong.then(|| format!("{}: {:?}, but {verdict:?}", row.name, row.fate))
    });
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[test]
fn no_two_rows_have_one_name() {
    let mut names = HashSet::new();
    let twice: Vec<_> = table::rows()
        .into_iter()
        .map(|row| row.name)
        .filter(|name| !names.insert(name.clone()))
        .collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn no_denied_or_unreadable_packet_passes_by_losing_its_tail() {
    let policy = policy();
    for row in table::rows() {
        if !matches!(row.fate, Fate::Denied | Fate::Unreadable(_)) {
            continue;
        }
        for length in 0..row.frame.len() {
            let verdict = judge(&policy, &row.frame[..length]);
            assert!(!verdict.passes(), "{} cut to {length}: {verdict:?}", row.name);
        }
    }
}
