//! Addresses, prefixes and ranges as somebody writes them.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};

use super::{InvalidPrefix, MAPPED_BITS, Prefix};

pub(super) fn parse_range(
    text: &str,
    start: &str,
    end: &str,
) -> Result<Vec<Prefix>, InvalidPrefix> {
    let range = || InvalidPrefix::Range(shorten(text));
    let prefixes = match (parse_address(start)?, parse_address(end)?) {
        (IpAddr::V4(start), IpAddr::V4(end)) if start <= end => {
            Ipv4Subnets::new(start, end, 0).map(|net| Prefix(net.into())).collect()
        }
        (IpAddr::V6(start), IpAddr::V6(end)) if start <= end => {
            let prefixes: Option<Vec<_>> =
                Ipv6Subnets::new(start, end, 0).map(|net| Prefix::new(net.into())).collect();
            prefixes.ok_or_else(range)?
        }
        _ => return Err(range()),
    };
    Ok(prefixes)
}

pub(super) fn parse_one(text: &str) -> Result<Prefix, InvalidPrefix> {
    let Some((address, length)) = text.split_once('/') else {
        return parse_address(text).map(|address| Prefix(address.into()));
    };
    let written_as_v6 = address.contains(':');
    let address = parse_address(address)?;
    let max = if written_as_v6 { 128 } else { 32 };
    let invalid_length = || InvalidPrefix::Length { text: shorten(text), max };
    let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    let length: u8 = match length.parse() {
        Ok(length) if digits && length <= max => length,
        _ => return Err(invalid_length()),
    };
    match address {
        // An IPv4 address in IPv6 notation.
        IpAddr::V4(v4) if written_as_v6 => match length.checked_sub(MAPPED_BITS) {
            Some(length) => without_host_bits(text, v4.into(), length),
            None => without_host_bits(text, v4.to_ipv6_mapped().into(), length),
        },
        address => without_host_bits(text, address, length),
    }
}

fn without_host_bits(text: &str, address: IpAddr, length: u8) -> Result<Prefix, InvalidPrefix> {
    let invalid = || InvalidPrefix::Unreadable(shorten(text));
    let net = IpNet::new(address, length).map_err(|_| invalid())?;
    let network = net.trunc();
    if network == net {
        return Prefix::new(net).ok_or_else(invalid);
    }
    Err(InvalidPrefix::HostBits { written: text.into(), network, host: address.into() })
}

/// An address; one written as `::ffff:a.b.c.d` is the IPv4 address.
fn parse_address(text: &str) -> Result<IpAddr, InvalidPrefix> {
    match text.parse::<IpAddr>() {
        Ok(address) => Ok(unmapped(address)),
        Err(_) if text.contains('%') => Err(InvalidPrefix::Scope(shorten(text))),
        Err(_) => Err(InvalidPrefix::Unreadable(shorten(text))),
    }
}

pub(super) fn unmapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// Keeps a message readable whatever was typed.
pub(super) fn shorten(text: &str) -> String {
    const SHOWN: usize = 60;
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    text.chars().take(SHOWN).chain("...".chars()).collect()
}
