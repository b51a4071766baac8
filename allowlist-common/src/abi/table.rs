//! The policy as the program reads it.

use super::{
    ABI_VERSION, INTERFACES, PAGE_PORTS, PORT_PAGES, PORT_ROWS, SELECTORS, SERVICES,
    STRICT_SERVICES,
};
use crate::parse::Protocol;

/// Page numbers in a row: 256 for each of eight protocols, of which [`Protocol`] uses five.
const ROW_PAGES: usize = 8 * 256;
const INTERFACE_SHIFT: u32 = u32::BITS - INTERFACES.trailing_zeros();

/// One protected service.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct ServiceRow {
    /// Slot of its IPv4 trie, or with [`FLAT`](crate::flat::FLAT) the number of its root table.
    pub trie_v4: u32,
    /// The same for IPv6.
    pub trie_v6: u32,
    /// Of [`OPEN`], [`MONITOR`], [`REJECT`] and [`WATCHED`].
    pub flags: u32,
}

/// Flag of a service that has no entries and therefore admits everyone.
pub const OPEN: u32 = 1;
/// Flag of a service that passes and counts what it would drop.
pub const MONITOR: u32 = 2;
/// Flag of a service that answers what it drops, so that clients know at once.
pub const REJECT: u32 = 4;
/// Flag of a service whose passing packets' sources are noted.
pub const WATCHED: u32 = 8;

/// Flag of a port whose service depends on the destination address: the number is that of a [`Selector`].
pub const SELECT: u16 = 0x8000;

/// Tries of destination prefixes; a node's `allow` is the number of the service.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct Selector {
    /// Slot of the IPv4 trie.
    pub trie_v4: u32,
    /// Slot of the IPv6 trie.
    pub trie_v6: u32,
}

/// The ports of an interface.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct PortRow {
    /// Number of the page of each protocol and high byte of a port.
    pub pages: [u16; ROW_PAGES],
    /// 1 while a closed service in mode enforce is on the interface: what cannot be read is dropped.
    pub guarded: u32,
    /// How many of `strict_services` there are; 0 where later fragments pass from anywhere.
    pub strict: u32,
    /// Services on the interface: later fragments pass only from sources that one of them admits.
    pub strict_services: [u16; STRICT_SERVICES],
}

impl PortRow {
    /// A row without a service.
    pub const EMPTY: Self = Self {
        pages: [0; ROW_PAGES],
        guarded: 0,
        strict: 0,
        strict_services: [0; STRICT_SERVICES],
    };

    /// Where the page of a protocol and the high byte of a port stands.
    #[must_use]
    #[inline(always)]
    pub const fn page_index(protocol: Protocol, port: u16) -> usize {
        ((protocol as usize) << 8 | (port >> 8) as usize) & (ROW_PAGES - 1)
    }
}

/// The row of one interface.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(C)]
pub struct InterfaceRow {
    /// The interface's index; 0 for an unused place.
    pub ifindex: u32,
    /// Its row in [`PolicyTable::rows`].
    pub row: u32,
}

/// The policy as the program reads it: swapped as a whole, or changed word by word where one service's row and what
/// guards it are all that differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(C)]
pub struct PolicyTable {
    /// [`ABI_VERSION`], for whoever looks at a dump of the map.
    pub version: u32,
    /// Multiplier that gives every interface with a row of its own a place of its own; 0 when none has one.
    pub multiplier: u32,
    /// 1 while packets are judged by another policy, too: the one on trial.
    pub is_tried: u32,
    /// Interfaces by [`PolicyTable::place`].
    pub interfaces: [InterfaceRow; INTERFACES],
    /// Services by number.
    pub services: [ServiceRow; SERVICES],
    /// Selectors by number.
    pub selectors: [Selector; SELECTORS],
    /// Rows of ports.
    pub rows: [PortRow; PORT_ROWS],
    /// Pages of service numbers by the low byte of a port; 0 is "no service".
    pub pages: [[u16; PAGE_PORTS]; PORT_PAGES],
}

impl PolicyTable {
    /// A table without services: everything passes.
    #[expect(clippy::large_stack_arrays, reason = "a constant, never on the stack of the kernel")]
    pub const EMPTY: Self = Self {
        version: ABI_VERSION,
        multiplier: 0,
        is_tried: 0,
        interfaces: [InterfaceRow { ifindex: 0, row: 0 }; INTERFACES],
        services: [ServiceRow { trie_v4: 0, trie_v6: 0, flags: 0 }; SERVICES],
        selectors: [Selector { trie_v4: 0, trie_v6: 0 }; SELECTORS],
        rows: [PortRow::EMPTY; PORT_ROWS],
        pages: [[0; PAGE_PORTS]; PORT_PAGES],
    };

    /// The place of an interface under a multiplier.
    #[must_use]
    #[inline(always)]
    pub const fn place(ifindex: u32, multiplier: u32) -> usize {
        (ifindex.wrapping_mul(multiplier) >> INTERFACE_SHIFT) as usize & (INTERFACES - 1)
    }

    /// The ports of an interface: its own row, or the one of services bound to no interface.
    #[must_use]
    #[inline(always)]
    pub fn row(&self, ifindex: u32) -> &PortRow {
        let mut row = 0;
        if self.multiplier != 0 {
            let place = &self.interfaces[Self::place(ifindex, self.multiplier)];
            if place.ifindex == ifindex {
                row = place.row as usize;
            }
        }
        &self.rows[row & (PORT_ROWS - 1)]
    }

    /// What a port belongs to: the number of a service, 0 for none, or with [`SELECT`] that of a selector.
    #[must_use]
    #[inline(always)]
    pub fn port(&self, row: &PortRow, protocol: Protocol, port: u16) -> u16 {
        let page = row.pages[PortRow::page_index(protocol, port)] as usize & (PORT_PAGES - 1);
        self.pages[page][port as usize & (PAGE_PORTS - 1)]
    }

    /// The selector with a number, [`SELECT`] included.
    #[must_use]
    #[inline(always)]
    pub fn selector(&self, number: u16) -> &Selector {
        &self.selectors[number as usize & (SELECTORS - 1)]
    }

    /// The service with a number.
    #[must_use]
    #[inline(always)]
    pub fn service(&self, number: u16) -> &ServiceRow {
        &self.services[number as usize & (SERVICES - 1)]
    }
}
