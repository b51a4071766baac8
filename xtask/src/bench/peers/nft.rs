//! nftables: a set of intervals, and a rule that drops what comes to the port from elsewhere.

use std::{fmt::Write as _, time::Duration};

use anyhow::{Context as _, Result};

use super::{Kind, PORT, Peer, firewall::Firewall};
use crate::bench::{feed::Cable, harness::Family, lists::Prefix};

/// Where the rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    /// Before connections are tracked: as early as a rule of `inet` can be.
    Raw,
    /// At the device, before that.
    Ingress,
}

impl Hook {
    pub(super) const BOTH: [Self; 2] = [Self::Raw, Self::Ingress];

    /// The family of its tables.
    const fn family(self) -> &'static str {
        match self {
            Self::Raw => "inet",
            Self::Ingress => "netdev",
        }
    }
}

pub(super) struct Nft {
    hook: Hook,
    firewall: Firewall,
}

impl Nft {
    pub(super) fn new(hook: Hook, family: Family) -> Result<Self> {
        let nft = Self { hook, firewall: Firewall::new("nft", family)? };
        let (ip, kind) = match family {
            Family::V4 => ("ip", "ipv4_addr"),
            Family::V6 => ("ip6", "ipv6_addr"),
        };
        let at = match hook {
            Hook::Raw => "hook prerouting".to_owned(),
            Hook::Ingress => format!("hook ingress device {}", nft.firewall.cable.interface),
        };
        // What the rule leaves is counted in a table of its own: to list a chain, nft reads all sets
        // of its table, which takes minutes.
        let table = hook.family();
        let ruleset = format!(
            "table {table} guard {{\n\
             set allowed {{ type {kind}; flags interval; }}\n\
             chain guard {{ type filter {at} priority -300; policy accept;\n\
             udp dport {PORT} {ip} saddr != @allowed drop\n\
             }}\n}}\n\
             table {table} passed {{\n\
             chain passed {{ type filter {at} priority -299; policy accept;\n\
             udp dport {PORT} counter\n\
             }}\n}}\n"
        );
        let file = nft.firewall.write(&ruleset)?;
        nft.firewall.time(&["nft", "-f", &file.to_string_lossy()], None)?;
        Ok(nft)
    }
}

impl Peer for Nft {
    fn name(&self) -> &'static str {
        match self.hook {
            Hook::Raw => "nftables (inet raw)",
            Hook::Ingress => "nftables (netdev ingress)",
        }
    }

    fn kind(&self) -> Kind {
        Kind::Firewall
    }

    fn cable(&self) -> &Cable {
        &self.firewall.cable
    }

    fn replace(&mut self, prefixes: &[Prefix]) -> Result<Option<Duration>> {
        let table = self.hook.family();
        let mut text = format!("flush set {table} guard allowed\n");
        if !prefixes.is_empty() {
            writeln!(text, "add element {table} guard allowed {{")?;
            for prefix in prefixes {
                writeln!(text, "{prefix},")?;
            }
            text.push_str("}\n");
        }
        let file = self.firewall.write(&text)?;
        Ok(Some(self.firewall.time(&["nft", "-f", &file.to_string_lossy()], None)?))
    }

    fn add(&mut self, prefix: &Prefix) -> Result<Option<Duration>> {
        let element = format!("add element {} guard allowed {{ {prefix} }}", self.hook.family());
        Ok(Some(self.firewall.time(&["nft", &element], None)?))
    }

    fn passed(&self) -> Result<u64> {
        let words = ["list", "chain", self.hook.family(), "passed", "passed"];
        let chain = self.firewall.namespace.run("nft", &words)?;
        let count = chain
            .split_once("counter packets ")
            .and_then(|(_, rest)| rest.split(' ').next().and_then(|count| count.parse().ok()));
        count.context("nft does not count")
    }
}
