//! From the policy to the table that the kernel program reads.

use std::collections::{BTreeMap, BTreeSet};

use allowlist_common::abi::{
    INTERFACES, InterfaceRow, MONITOR, OPEN, PAGE_PORTS, PORT_PAGES, PORT_ROWS, PolicyTable,
    PortRow, REJECT, SELECT, SELECTORS, STRICT_SERVICES, Selector, ServiceRow, WATCHED,
};
use allowlist_common::parse::Protocol;

use super::{
    Policy, Prefix, Service,
    port::Ports,
    service::{Action, Mode},
};

/// Why a policy does not fit into a table.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TableFull {
    /// Too many interfaces with services of their own.
    #[error(
        "services are limited to too many different interfaces: at most {INTERFACES} have room"
    )]
    Interfaces,
    /// Too many different sets of services on interfaces.
    #[error("interfaces have too many different sets of services: at most {PORT_ROWS} have room")]
    Rows,
    /// Too many different sets of services limited to addresses.
    #[error(
        "ports are shared by too many different sets of services with addresses: at most {SELECTORS} have room"
    )]
    Selectors,
    /// Too many services on a strict interface.
    #[error(
        "an interface with strict fragments has too many services: at most {STRICT_SERVICES} have room"
    )]
    Strict,
    /// Too many different assignments of ports.
    #[error(
        "the ports of the services are spread too widely: use fewer single ports or wider ranges"
    )]
    Pages,
}

/// Slots of the tries of both families.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TrieSlots {
    /// Slot in the IPv4 pool.
    pub v4: u32,
    /// Slot in the IPv6 pool.
    pub v6: u32,
}

/// An interface that services may be limited to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Placement {
    /// Its index, and those of others that go by its name; no other interface has any of them.
    pub ifindices: BTreeSet<u32>,
    /// Whether later fragments pass only from sources that some service admits.
    pub strict: bool,
}

/// Services that share a port by destination address: prefixes with the numbers of their services.
pub type Selection = BTreeMap<Prefix, u16>;

/// What a table is made for besides the policy.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Interfaces by name.
    pub interfaces: BTreeMap<String, Placement>,
    /// Tries of the entries of services, by number.
    pub tries: BTreeMap<u16, TrieSlots>,
    /// Tries of destination prefixes.
    pub selections: BTreeMap<Selection, TrieSlots>,
    /// Numbers of services whose sources are noted, beside those in mode monitor.
    pub watched: BTreeSet<u16>,
    /// Whether packets are judged by another policy, too.
    pub is_tried: bool,
}

/// Makes the table of a policy.
///
/// # Errors
/// [`TableFull`] where the policy is larger than a table.
pub fn compile(policy: &Policy, around: &Surroundings) -> Result<Box<PolicyTable>, TableFull> {
    let mut builder = Builder::new(policy, around);
    builder.page(&[0; PAGE_PORTS])?;
    for service in policy.services.values() {
        let slots = around.tries.get(&service.number).copied().unwrap_or_default();
        builder.table.services[usize::from(service.number)] = ServiceRow {
            trie_v4: slots.v4,
            trie_v6: slots.v6,
            flags: flags(policy, service, around),
        };
    }
    builder.table.is_tried = around.is_tried.into();
    let mut rows: BTreeMap<(BTreeSet<u16>, bool), u32> = BTreeMap::new();
    let everywhere = services_on(policy, None);
    rows.insert((numbers(&everywhere), false), builder.row(&everywhere, false)?);
    let mut own: Vec<InterfaceRow> = Vec::new();
    for (name, Placement { ifindices, strict }) in &around.interfaces {
        let services = services_on(policy, Some(name));
        let key = (numbers(&services), *strict);
        let row = match rows.get(&key) {
            Some(row) => *row,
            None => builder.row(&services, *strict)?,
        };
        rows.insert(key, row);
        if row != 0 {
            own.extend(ifindices.iter().map(|ifindex| InterfaceRow { ifindex: *ifindex, row }));
        }
    }
    builder.place(&own)?;
    Ok(builder.table)
}

/// The selections that the table of a policy refers to.
#[must_use]
pub fn selections(
    policy: &Policy,
    interfaces: &BTreeMap<String, Placement>,
) -> BTreeSet<Selection> {
    let names = interfaces.keys().map(|name| Some(name.as_str()));
    std::iter::once(None)
        .chain(names)
        .flat_map(|interface| {
            let services = services_on(policy, interface);
            Protocol::ALL.map(|protocol| selected(&services, protocol)).into_iter().flatten()
        })
        .map(|(_, selection)| selection)
        .collect()
}

/// Whether the sources of a service's passing packets are noted.
#[must_use]
pub fn is_watched(service: &Service, watched: &BTreeSet<u16>) -> bool {
    service.mode == Mode::Monitor || watched.contains(&service.number)
}

fn flags(policy: &Policy, service: &Service, around: &Surroundings) -> u32 {
    let when = |condition: bool, flag: u32| if condition { flag } else { 0 };
    when(!policy.is_closed(service), OPEN)
        | when(service.mode == Mode::Monitor, MONITOR)
        | when(service.action == Action::Reject, REJECT)
        | when(is_watched(service, &around.watched), WATCHED)
}

/// The judging services on an interface; on `None`, those that are on every interface.
fn services_on<'a>(policy: &'a Policy, interface: Option<&str>) -> Vec<&'a Service> {
    policy
        .services
        .values()
        .map(AsRef::as_ref)
        .filter(|service| service.mode != Mode::Off)
        .filter(|service| {
            service.interfaces.is_empty()
                || interface.is_some_and(|interface| service.interfaces.contains(interface))
        })
        .collect()
}

fn numbers(services: &[&Service]) -> BTreeSet<u16> {
    services.iter().map(|service| service.number).collect()
}

/// A table under construction; equal pages are kept once.
struct Builder<'a> {
    policy: &'a Policy,
    table: Box<PolicyTable>,
    around: &'a Surroundings,
    rows: usize,
    pages: BTreeMap<[u16; PAGE_PORTS], u16>,
    selectors: BTreeMap<Selection, u16>,
}

impl<'a> Builder<'a> {
    fn new(policy: &'a Policy, around: &'a Surroundings) -> Self {
        Self {
            policy,
            table: Box::new(PolicyTable::EMPTY),
            around,
            rows: 0,
            pages: BTreeMap::new(),
            selectors: BTreeMap::new(),
        }
    }

    fn row(&mut self, services: &[&Service], strict: bool) -> Result<u32, TableFull> {
        let mut row = PortRow::EMPTY;
        for protocol in Protocol::ALL {
            for (high, ports) in self.assigned(services, protocol)? {
                row.pages[PortRow::page_index(protocol, high << 8)] = self.page(&ports)?;
            }
        }
        let guards =
            |service: &&Service| service.mode == Mode::Enforce && self.policy.is_closed(service);
        row.guarded = services.iter().any(guards).into();
        if strict {
            for (place, service) in services.iter().enumerate() {
                let places = &mut row.strict_services;
                *places.get_mut(place).ok_or(TableFull::Strict)? = service.number;
                row.strict += 1;
            }
        }
        let index = self.rows;
        *self.table.rows.get_mut(index).ok_or(TableFull::Rows)? = row;
        self.rows += 1;
        u32::try_from(index).map_err(|_| TableFull::Rows)
    }

    /// What ports belong to, by their low byte, for each high byte of which any belong to something.
    fn assigned(
        &mut self,
        services: &[&Service],
        protocol: Protocol,
    ) -> Result<BTreeMap<u16, [u16; PAGE_PORTS]>, TableFull> {
        let mut pages = BTreeMap::new();
        let mut assign = |port: u16, number: u16| {
            let page = pages.entry(port >> 8).or_insert([0; PAGE_PORTS]);
            page[usize::from(port & 0xff)] = number;
        };
        for service in services.iter().filter(|service| service.addresses.is_empty()) {
            for port in ports_of(service, protocol) {
                assign(port, service.number);
            }
        }
        for (port, selection) in selected(services, protocol) {
            assign(port, self.selector(selection)?);
        }
        Ok(pages)
    }

    fn selector(&mut self, selection: Selection) -> Result<u16, TableFull> {
        if let Some(number) = self.selectors.get(&selection) {
            return Ok(*number);
        }
        let index = self.selectors.len();
        let slots = self.around.selections.get(&selection).copied().unwrap_or_default();
        let place = self.table.selectors.get_mut(index).ok_or(TableFull::Selectors)?;
        *place = Selector { trie_v4: slots.v4, trie_v6: slots.v6 };
        let number = SELECT | u16::try_from(index).map_err(|_| TableFull::Selectors)?;
        self.selectors.insert(selection, number);
        Ok(number)
    }

    fn page(&mut self, ports: &[u16; PAGE_PORTS]) -> Result<u16, TableFull> {
        let next = self.pages.len();
        if let Some(page) = self.pages.get(ports) {
            return Ok(*page);
        }
        if next == PORT_PAGES {
            return Err(TableFull::Pages);
        }
        let number = u16::try_from(next).map_err(|_| TableFull::Pages)?;
        self.table.pages[next] = *ports;
        self.pages.insert(*ports, number);
        Ok(number)
    }

    /// Gives every interface a place of its own, so that one look tells whether it has a row.
    fn place(&mut self, own: &[InterfaceRow]) -> Result<(), TableFull> {
        if own.is_empty() {
            return Ok(());
        }
        if own.len() > INTERFACES / 2 {
            return Err(TableFull::Interfaces);
        }
        let places = |multiplier| -> BTreeSet<usize> {
            own.iter().map(|row| PolicyTable::place(row.ifindex, multiplier)).collect()
        };
        // Odd multiples of the golden ratio of 2^32 spread consecutive indices evenly.
        let multiplier = (0..1 << 20)
            .map(|attempt: u32| 0x9e37_79b1_u32.wrapping_mul(2 * attempt + 1))
            .find(|multiplier| places(*multiplier).len() == own.len())
            .ok_or(TableFull::Interfaces)?;
        self.table.multiplier = multiplier;
        for row in own {
            self.table.interfaces[PolicyTable::place(row.ifindex, multiplier)] = *row;
        }
        Ok(())
    }
}

fn ports_of(service: &Service, protocol: Protocol) -> impl Iterator<Item = u16> {
    let ports = service.ports.iter().filter(move |ports| ports.protocol == protocol);
    ports.flat_map(Ports::range)
}

/// The selection of each port that belongs to services limited to destination addresses.
fn selected(services: &[&Service], protocol: Protocol) -> BTreeMap<u16, Selection> {
    let mut selections: BTreeMap<u16, Selection> = BTreeMap::new();
    for service in services.iter().filter(|service| !service.addresses.is_empty()) {
        let numbered = service.addresses.iter().map(|prefix| (*prefix, service.number));
        for port in ports_of(service, protocol) {
            selections.entry(port).or_default().extend(numbered.clone());
        }
    }
    selections
}

#[cfg(test)]
mod tests;
