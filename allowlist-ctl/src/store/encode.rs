//! Prefixes, settings and the like as the database writes them.

use ipnet::IpNet;
use serde::{Serialize, de::DeserializeOwned};

use crate::policy::{Kind, Origin, Prefix};

/// Family, address, length.
pub(super) fn prefix(prefix: Prefix) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(18);
    match prefix.net() {
        IpNet::V4(net) => {
            bytes.push(4);
            bytes.extend(net.addr().octets());
        }
        IpNet::V6(net) => {
            bytes.push(6);
            bytes.extend(net.addr().octets());
        }
    }
    bytes.push(prefix.bits());
    bytes
}

/// The prefix of [`prefix`]; `None` where the bytes are not one.
pub(super) fn read_prefix(bytes: &[u8]) -> Option<Prefix> {
    let (family, rest) = bytes.split_first()?;
    let (length, address) = rest.split_last()?;
    let address = match family {
        4 => <[u8; 4]>::try_from(address).ok()?.into(),
        6 => <[u8; 16]>::try_from(address).ok()?.into(),
        _ => return None,
    };
    Prefix::new(IpNet::new(address, *length).ok()?)
}

pub(super) const fn kind(kind: Kind) -> u8 {
    match kind {
        Kind::Allow => 0,
        Kind::Except => 1,
    }
}

pub(super) const fn read_kind(number: u8) -> Option<Kind> {
    match number {
        0 => Some(Kind::Allow),
        1 => Some(Kind::Except),
        _ => None,
    }
}

pub(super) const fn origin(origin: Origin) -> u8 {
    match origin {
        Origin::Manual => 0,
        Origin::File => 1,
    }
}

pub(super) const fn read_origin(number: u8) -> Option<Origin> {
    match number {
        0 => Some(Origin::Manual),
        1 => Some(Origin::File),
        _ => None,
    }
}

/// The kind of a list that is a service's.
pub(super) const SERVICE: &str = "service";
/// The kind of a list that is a group's.
pub(super) const GROUP: &str = "group";

/// Settings as the database has them.
pub(super) fn json(settings: &impl Serialize) -> String {
    // Structures of plain values are always JSON.
    serde_json::to_string(settings).unwrap_or_default()
}

/// The settings of [`json`].
pub(super) fn read_json<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// The word for a result and the like: the one that the API uses.
pub(super) fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// The value of a [`word`].
pub(super) fn read_word<T: DeserializeOwned>(word: String) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(word)).ok()
}
