//! iptables with a set of ipset: as early as iptables can drop.

use std::{fmt::Write as _, fs::File, time::Duration};

use anyhow::{Context as _, Result};

use super::{Kind, PORT, Peer, firewall::Firewall};
use crate::bench::{feed::Cable, harness::Family, lists::Prefix};

/// Sets are of one kind, or else they can't be swapped.
const SET: &str = "hash:net";

pub(super) struct Ipset {
    family: Family,
    firewall: Firewall,
}

impl Ipset {
    pub(super) fn new(family: Family) -> Result<Self> {
        let ipset = Self { family, firewall: Firewall::new("ipset", family)? };
        let port = PORT.to_string();
        let rule = ["-t", "raw", "-A", "PREROUTING", "-p", "udp", "--dport", &port];
        let elsewhere = ["-m", "set", "!", "--match-set", "allowed", "src", "-j", "DROP"];
        ipset.run(&[&["ipset", "create", "allowed", SET, "family", ipset.inet()]])?;
        ipset.run(&[&[ipset.iptables()], &rule, &elsewhere])?;
        // Without a target it counts what the first one leaves.
        ipset.run(&[&[ipset.iptables()], &rule])?;
        Ok(ipset)
    }

    fn run(&self, words: &[&[&str]]) -> Result<Duration> {
        self.firewall.time(&words.concat(), None)
    }

    const fn iptables(&self) -> &'static str {
        match self.family {
            Family::V4 => "iptables",
            Family::V6 => "ip6tables",
        }
    }

    const fn inet(&self) -> &'static str {
        match self.family {
            Family::V4 => "inet",
            Family::V6 => "inet6",
        }
    }
}

impl Peer for Ipset {
    fn name(&self) -> &'static str {
        "iptables with ipset"
    }

    fn kind(&self) -> Kind {
        Kind::Firewall
    }

    fn cable(&self) -> &Cable {
        &self.firewall.cable
    }

    fn replace(&mut self, prefixes: &[Prefix]) -> Result<Option<Duration>> {
        // As large as it will be, which saves it from growing.
        let size = prefixes.len().next_power_of_two().max(1024);
        let mut text = format!(
            "create next {SET} family {} hashsize {size} maxelem {}\n",
            self.inet(),
            2 * size
        );
        for prefix in prefixes {
            writeln!(text, "add next {prefix}")?;
        }
        text.push_str("swap next allowed\ndestroy next\n");
        let file = self.firewall.write(&text)?;
        Ok(Some(self.firewall.time(&["ipset", "restore"], Some(File::open(file)?))?))
    }

    fn add(&mut self, prefix: &Prefix) -> Result<Option<Duration>> {
        Ok(Some(self.run(&[&["ipset", "add", "allowed", &prefix.to_string()]])?))
    }

    fn passed(&self) -> Result<u64> {
        let list = ["-t", "raw", "-nvxL", "PREROUTING"];
        let chain = self.firewall.namespace.run(self.iptables(), &list)?;
        let count = chain.lines().last().and_then(|line| line.split_whitespace().next());
        count.and_then(|count| count.parse().ok()).context("iptables does not count")
    }
}
