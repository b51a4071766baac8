//! XDP programs without a daemon: xdp-filter's, and one that drops everything.

use std::{net::IpAddr, os::fd::OwnedFd, time::Duration};

use anyhow::{Result, ensure};
use xtask::lab::Namespace;

use super::{Kind, PORT, Peer};
use crate::bench::{
    bpf,
    feed::Cable,
    harness::{EXIT, Family, XDP_DROP, number},
    lists::Prefix,
    xdp_filter::{self, Listed},
};

/// Addresses of a family that xdp-filter's map has room for.
pub(super) const MOST: usize = 10_000;

/// A host with a program on its device. The fields are dropped in this order.
struct Guarded {
    link: Option<OwnedFd>,
    cable: Cable,
    namespace: Namespace,
}

impl Guarded {
    fn new(label: &str, family: Family) -> Result<Self> {
        let namespace = Namespace::new(label)?;
        let cable = Cable::new(&namespace, family, PORT)?;
        Ok(Self { link: None, cable, namespace })
    }

    /// Puts this program in the place of the one before.
    fn attach(&mut self, program: &OwnedFd) -> Result<()> {
        self.link = None;
        self.link = Some(self.cable.attach(&self.namespace, program)?);
        Ok(())
    }

    fn passed(&self) -> Result<u64> {
        let dropped = self.cable.dropped(&self.namespace)?;
        Ok(self.cable.received()?.saturating_sub(dropped))
    }
}

/// xdp-filter's program, as its policy "deny" with addresses of sources has it.
pub(super) struct XdpFilter(Guarded);

impl XdpFilter {
    pub(super) fn new(family: Family) -> Result<Self> {
        Ok(Self(Guarded::new("xdpfilter", family)?))
    }
}

impl Peer for XdpFilter {
    fn name(&self) -> &'static str {
        "xdp-filter (addresses)"
    }

    fn kind(&self) -> Kind {
        Kind::Other
    }

    fn cable(&self) -> &Cable {
        &self.0.cable
    }

    fn most(&self) -> usize {
        MOST
    }

    /// Its own command takes one address at a time, which would be no comparison.
    fn replace(&mut self, prefixes: &[Prefix]) -> Result<Option<Duration>> {
        ensure!(prefixes.len() <= MOST, "xdp-filter has no room for {}", prefixes.len());
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for prefix in prefixes {
            match prefix.address {
                IpAddr::V4(address) => v4.push(address),
                IpAddr::V6(address) => v6.push(address),
            }
        }
        let program = xdp_filter::load(Listed::Pass, &v4, &v6)?;
        self.0.attach(&program)?;
        Ok(None)
    }

    fn add(&mut self, _: &Prefix) -> Result<Option<Duration>> {
        Ok(None)
    }

    fn passed(&self) -> Result<u64> {
        self.0.passed()
    }
}

/// It drops everything, without a look.
pub(super) struct Empty(Guarded);

impl Empty {
    pub(super) fn new(family: Family) -> Result<Self> {
        let mut guarded = Guarded::new("empty", family)?;
        let program = bpf::load(&[number(0, XDP_DROP.cast_signed()), EXIT], false)?;
        guarded.attach(&program)?;
        Ok(Self(guarded))
    }
}

impl Peer for Empty {
    fn name(&self) -> &'static str {
        "empty program"
    }

    fn kind(&self) -> Kind {
        Kind::Other
    }

    fn cable(&self) -> &Cable {
        &self.0.cable
    }

    /// It has no set.
    fn replace(&mut self, _: &[Prefix]) -> Result<Option<Duration>> {
        Ok(None)
    }

    fn add(&mut self, _: &Prefix) -> Result<Option<Duration>> {
        Ok(None)
    }

    fn passed(&self) -> Result<u64> {
        self.0.passed()
    }
}
