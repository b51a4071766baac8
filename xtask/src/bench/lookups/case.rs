//! One case of the table.

use std::fmt;

use crate::bench::{
    bed::Engine,
    harness::{Family, Harness},
    lists,
};

/// What sources are looked up in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Set {
    /// In nothing: the port is nobody's.
    NoService,
    /// So many random prefixes, /24 to /32 or /32 to /128.
    Random(u32),
    /// The real list of this name.
    Real(&'static str),
}

/// Which case it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) engine: Engine,
    pub(super) family: Family,
    pub(super) set: Set,
    /// Whether sources are drawn from what is admitted, or from all there are, of which hardly any
    /// is.
    pub(super) admitted: bool,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let judged = if self.admitted { "admitted" } else { "denied" };
        match self.set {
            Set::NoService => f.write_str("no service")?,
            Set::Random(size) => write!(f, "{judged}, {}", lists::counted(size as usize))?,
            Set::Real(name) => write!(f, "{judged}, {name}")?,
        }
        write!(f, ", {}, {}", self.family.name(), self.engine.name())
    }
}

/// It, and what was measured.
pub(super) struct Case {
    pub(super) key: Key,
    pub(super) harness: Harness,
    pub(super) frame: Vec<u8>,
    pub(super) samples: Vec<f64>,
}
