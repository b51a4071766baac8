//! The counter that a packet grows: its verdict and the reason in one.

use std::collections::HashMap;

use allowlist_common::{
    abi::{Judged, Unmatched},
    decide::Verdict,
    parse::Aside,
};

/// A counter of verdicts.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Counted {
    /// Of a service, by its number.
    Service(u16, Judged),
    /// Of packets of no service.
    Unmatched(Unmatched),
}

/// How often each counter was grown; those at 0 are left out.
pub(crate) type Tally = HashMap<Counted, u64>;

impl Counted {
    /// The counter of a verdict.
    pub(crate) const fn of(verdict: &Verdict) -> Self {
        match verdict.service {
            0 => Self::Unmatched(verdict.unmatched),
            service => Self::Service(service, verdict.judged),
        }
    }

    /// That of an unreadable packet.
    pub(crate) const fn unreadable(aside: Aside, guarded: bool) -> Self {
        Self::Unmatched(if guarded { Unmatched::dropped(aside) } else { Unmatched::passed(aside) })
    }

    /// Whether packets that it counts go on to the network stack.
    pub(crate) const fn passes(self) -> bool {
        match self {
            Self::Service(_, judged) => judged.passes(),
            Self::Unmatched(unmatched) => unmatched.passes(),
        }
    }

    /// Every counter of a verdict, for these services. The counters of answers, which stand beside that of the
    /// denial and depend on time, are none.
    pub(crate) fn all(services: &[u16]) -> Vec<Self> {
        let judged = [Judged::Admitted, Judged::AdmittedOpen, Judged::Denied, Judged::WouldDeny];
        let of_service = |number: &u16| judged.map(|judged| Self::Service(*number, judged));
        let mut all: Vec<Self> = services.iter().flat_map(of_service).collect();
        all.extend(Self::every_unmatched());
        all
    }

    /// Every counter of packets of no service.
    pub(crate) fn every_unmatched() -> impl Iterator<Item = Self> {
        let passed = Aside::ALL.map(|aside| Self::unreadable(aside, false));
        let dropped = Aside::ALL.into_iter().filter(|aside| aside.is_unreadable());
        let dropped = dropped.map(|aside| Self::unreadable(aside, true));
        std::iter::once(Self::Unmatched(Unmatched::NO_SERVICE)).chain(passed).chain(dropped)
    }
}
