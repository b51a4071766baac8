//! Prefixes, and the ways to write them: address, CIDR prefix, range.

mod parse;

use std::{
    cmp::Ordering,
    fmt, iter,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::parse::{parse_one, parse_range, shorten, unmapped};

/// Bits that an IPv4 address written as IPv6 (`::ffff:a.b.c.d`, RFC 4291 section 2.5.5.2) stands behind.
const MAPPED_BITS: u8 = 96;

/// A prefix without host bits; never an IPv4-mapped IPv6 one.
#[derive(Clone, Copy, Eq, Hash, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend(
    "pattern" = "^[0-9A-Fa-f.:]+(/[0-9]+)?$",
    "examples" = ["203.0.113.0/24", "2001:db8::/32", "203.0.113.7"]
))]
pub struct Prefix(IpNet);

/// A text that is no prefix, and why.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidPrefix {
    /// Neither an address nor a prefix nor a range.
    #[error(
        "'{0}' is not an address, a prefix or a range: write 203.0.113.7, 203.0.113.0/24, 2001:db8::/32 or 10.0.0.1-10.0.0.9"
    )]
    Unreadable(String),
    /// The number behind the slash.
    #[error("'{text}' has no valid prefix length: use /0 to /{max}")]
    Length {
        /// What was written.
        text: String,
        /// Longest length of the family.
        max: u8,
    },
    /// Bits are set behind the prefix.
    #[error("{written} has host bits set: use {network} for the network or {host} for the address")]
    HostBits {
        /// What was written.
        written: String,
        /// The prefix with those bits cleared.
        network: IpNet,
        /// The single address.
        host: IpNet,
    },
    /// An address with an interface, as in `fe80::1%eth0`.
    #[error("'{0}' names an interface: write the address without '%'")]
    Scope(String),
    /// A range between families, or downwards.
    #[error("'{0}' is not a range: write the lower address first, both of the same family")]
    Range(String),
    /// A range where one prefix is wanted.
    #[error("'{0}' is not one prefix: write an address or a prefix")]
    NotOne(String),
}

impl Prefix {
    /// The prefix, or `None` where host bits are set or it is an IPv4-mapped one.
    #[must_use]
    pub fn new(net: IpNet) -> Option<Self> {
        let mapped = match net {
            IpNet::V6(v6) => v6.prefix_len() >= MAPPED_BITS && v6.addr().to_ipv4_mapped().is_some(),
            IpNet::V4(_) => false,
        };
        (net.trunc() == net && !mapped).then_some(Self(net))
    }

    /// Every address there is: a prefix for each family.
    #[must_use]
    pub fn everything() -> [Self; 2] {
        [Self(Ipv4Net::default().into()), Self(Ipv6Net::default().into())]
    }

    /// The prefix as a network.
    #[must_use]
    pub const fn net(&self) -> IpNet {
        self.0
    }

    /// Its length in bits.
    #[must_use]
    pub fn bits(&self) -> u8 {
        self.0.prefix_len()
    }

    /// Whether it is one of IPv4 addresses.
    #[must_use]
    pub const fn is_v4(&self) -> bool {
        matches!(self.0, IpNet::V4(_))
    }

    /// The first prefix in order behind all that share the first `bits` with this one; `None` behind the last.
    #[must_use]
    pub fn after(&self, bits: u8) -> Option<Self> {
        let (net, width): (u128, u32) = match self.0.addr() {
            IpAddr::V4(address) => (address.to_bits().into(), 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        let step = 1u128.checked_shl(width.checked_sub(bits.into())?)?;
        let behind = (net & !(step - 1)).checked_add(step)?;
        let address = match self.0 {
            IpNet::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(behind.try_into().ok()?)),
            IpNet::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(behind)),
        };
        let shortest = width.saturating_sub(behind.trailing_zeros());
        Self::around(address, shortest.try_into().ok()?)
    }

    /// Whether some address lies in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.contains(&other.0) || other.0.contains(&self.0)
    }

    /// Whether an address lies in it.
    #[must_use]
    pub fn covers(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }

    /// Whether another prefix lies in it, or is the same.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.0.contains(&other.0)
    }

    /// The prefix of the first `bits` of an address; `None` where the family has not so many.
    #[must_use]
    pub fn around(address: IpAddr, bits: u8) -> Option<Self> {
        IpNet::new(address, bits).ok().map(|net| Self(net.trunc()))
    }

    /// How many leading bits both have in common; `None` where they are of different families.
    #[must_use]
    pub fn common_bits(&self, other: &Self) -> Option<u8> {
        let (same, longest) = match (self.0.addr(), other.0.addr()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => ((a.to_bits() ^ b.to_bits()).leading_zeros(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => ((a.to_bits() ^ b.to_bits()).leading_zeros(), 128),
            _ => return None,
        };
        u8::try_from(same.min(longest)).ok().map(|same| same.min(self.bits()).min(other.bits()))
    }

    /// Reads an address, a prefix or a range; a range becomes the fewest prefixes that cover just it.
    ///
    /// # Errors
    /// [`InvalidPrefix`] says what is wrong and what would be right.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, InvalidPrefix> {
        let mut prefixes = Vec::new();
        Self::parse_each(text, |prefix| prefixes.push(prefix))?;
        Ok(prefixes)
    }

    /// The same with the prefixes handed on one by one; none where the text cannot be read.
    pub(super) fn parse_each(text: &str, each: impl FnMut(Self)) -> Result<(), InvalidPrefix> {
        match text.split_once('-') {
            Some((start, end)) => {
                parse_range(text, start.trim(), end.trim())?.into_iter().for_each(each);
            }
            None => iter::once(parse_one(text)?).for_each(each),
        }
        Ok(())
    }
}

impl FromStr for Prefix {
    type Err = InvalidPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidPrefix> {
        match Self::parse_all(text)?.as_slice() {
            [one] => Ok(*one),
            _ => Err(InvalidPrefix::NotOne(shorten(text))),
        }
    }
}

/// By family, address and length, as [`IpNet`] is ordered: compared as numbers, which for a million entries counts.
impl Ord for Prefix {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.0, other.0) {
            (IpNet::V4(a), IpNet::V4(b)) => {
                let number = |net: Ipv4Net| {
                    u64::from(net.addr().to_bits()) << 8 | u64::from(net.prefix_len())
                };
                number(a).cmp(&number(b))
            }
            (IpNet::V6(a), IpNet::V6(b)) => {
                let number = |net: Ipv6Net| (net.addr().to_bits(), net.prefix_len());
                number(a).cmp(&number(b))
            }
            (IpNet::V4(_), IpNet::V6(_)) => Ordering::Less,
            (IpNet::V6(_), IpNet::V4(_)) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Prefix {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

crate::words::text_form!(Prefix, InvalidPrefix);

impl From<Ipv4Net> for Prefix {
    fn from(net: Ipv4Net) -> Self {
        Self(net.trunc().into())
    }
}

impl TryFrom<Ipv6Net> for Prefix {
    type Error = InvalidPrefix;

    fn try_from(net: Ipv6Net) -> Result<Self, InvalidPrefix> {
        Self::new(net.trunc().into()).ok_or_else(|| InvalidPrefix::Unreadable(net.to_string()))
    }
}

impl From<Ipv4Addr> for Prefix {
    fn from(address: Ipv4Addr) -> Self {
        Self(IpAddr::V4(address).into())
    }
}

impl From<Ipv6Addr> for Prefix {
    fn from(address: Ipv6Addr) -> Self {
        Self(unmapped(address.into()).into())
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_string())
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<String> {
        Prefix::parse_all(text).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_way_to_write_an_entry_is_read() {
        let table: &[(&str, &[&str])] = &[
            ("203.0.113.7", &["203.0.113.7/32"]),
            ("203.0.113.0/24", &["203.0.113.0/24"]),
            ("2001:db8::/32", &["2001:db8::/32"]),
            ("2001:DB8::1", &["2001:db8::1/128"]),
            ("0.0.0.0/0", &["0.0.0.0/0"]),
            ("::/0", &["::/0"]),
            ("::ffff:192.0.2.1", &["192.0.2.1/32"]),
            ("::ffff:192.0.2.0/120", &["192.0.2.0/24"]),
            ("::ffff:0:0/96", &["0.0.0.0/0"]),
            ("10.0.0.1-10.0.0.9", &["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/30", "10.0.0.8/31"]),
            ("10.0.0.1 - 10.0.0.1", &["10.0.0.1/32"]),
            ("0.0.0.0-255.255.255.255", &["0.0.0.0/0"]),
            ("2001:db8::-2001:db8::1", &["2001:db8::/127"]),
            ("::ffff:10.0.0.0-10.0.0.1", &["10.0.0.0/31"]),
        ];
        for (text, expected) in table {
            assert_eq!(parsed(text), *expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_what_would_be_right() {
        let table = [
            (
                "10.0.0.5/24",
                "10.0.0.5/24 has host bits set: use 10.0.0.0/24 for the network or 10.0.0.5/32 for the address",
            ),
            (
                "2001:db8::1/32",
                "2001:db8::1/32 has host bits set: use 2001:db8::/32 for the network or 2001:db8::1/128 for the address",
            ),
            (
                "::ffff:192.0.2.1/120",
                "::ffff:192.0.2.1/120 has host bits set: use 192.0.2.0/24 for the network or 192.0.2.1/32 for the address",
            ),
            ("10.0.0.0/33", "'10.0.0.0/33' has no valid prefix length: use /0 to /32"),
            ("10.0.0.0/", "'10.0.0.0/' has no valid prefix length: use /0 to /32"),
            ("10.0.0.0/+8", "'10.0.0.0/+8' has no valid prefix length: use /0 to /32"),
            ("2001:db8::/129", "'2001:db8::/129' has no valid prefix length: use /0 to /128"),
            ("fe80::1%eth0", "'fe80::1%eth0' names an interface: write the address without '%'"),
            (
                "10.0.0.9-10.0.0.1",
                "'10.0.0.9-10.0.0.1' is not a range: write the lower address first, both of the same family",
            ),
            (
                "10.0.0.1-2001:db8::1",
                "'10.0.0.1-2001:db8::1' is not a range: write the lower address first, both of the same family",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(Prefix::parse_all(text).unwrap_err().to_string(), expected, "{text}");
        }
        for text in ["", "10.0.0", "10.0.0.300", "010.0.0.1", "redis", "10.0.0.0/8/8", "-", "1-"] {
            assert!(Prefix::parse_all(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_mapped_prefix_never_becomes_an_ipv6_one() {
        assert_eq!(Prefix::new("::ffff:0:0/96".parse().unwrap()), None);
        assert!(Prefix::parse_all("::ffff:1.2.3.4/64").is_err());
    }

    #[test]
    fn prefixes_are_in_the_order_of_networks() {
        let texts = [
            "0.0.0.0/0",
            "0.0.0.0/8",
            "9.255.255.255",
            "10.0.0.0/8",
            "10.0.0.0/9",
            "10.0.0.0",
            "128.0.0.0/1",
            "255.255.255.255",
            "::/0",
            "::1",
            "2001:db8::/32",
            "2001:db8::/33",
            "2001:db8::",
            "ffff::/16",
        ];
        let prefixes = texts.map(|text| text.parse::<Prefix>().unwrap());
        for a in prefixes {
            for b in prefixes {
                assert_eq!(a.cmp(&b), a.net().cmp(&b.net()), "{a} {b}");
            }
        }
    }
}
