//! What a question of `check` is about: which packets have to be made up to answer it. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use allowlist_common::parse::Protocol;

use crate::{
    api::{ErrorCode, Fragment, Problem, Question},
    kernel::Cut,
    policy::{Name, Policy, Service, port::Ports},
};

/// Where a packet goes that could go anywhere: addresses for documentation (RFC 5737 and RFC 3849).
const ANYWHERE_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const ANYWHERE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
/// VLAN ids (IEEE 802.1Q): 0 is none, and the last one is reserved.
const VLANS: std::ops::RangeInclusive<u16> = 1..=4094;

/// A packet to make up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Aim {
    /// The service that it is aimed at, if it is at one.
    pub(super) service: Option<Name>,
    pub(super) protocol: Protocol,
    pub(super) destination: SocketAddr,
}

/// The source of a question; an IPv4 address that is written as an IPv6 one is the IPv4 address, as in entries.
pub(super) fn source(question: &Question) -> IpAddr {
    question.address.to_canonical()
}

/// Which part of a packet a question is about.
pub(super) const fn cut(question: &Question) -> Cut {
    match question.fragment {
        None => Cut::Whole,
        Some(Fragment::First) => Cut::First,
        Some(Fragment::Later) => Cut::Later,
    }
}

/// The packets that answer a question.
///
/// # Errors
/// [`ErrorCode::Invalid`] and [`ErrorCode::NotFound`], with what is wrong.
pub(super) fn aims(question: &Question, policy: &Policy) -> Result<Vec<Aim>, Problem> {
    let invalid = |text: String| Problem::new(ErrorCode::Invalid, text);
    let source = source(question);
    if question.to.is_some_and(|to| to.to_canonical().is_ipv4() != source.is_ipv4()) {
        return Err(invalid(format!(
            "{source} sends nothing to an address of the other IP version"
        )));
    }
    if let Some(vlan) = question.vlan.filter(|vlan| !VLANS.contains(vlan)) {
        return Err(invalid(format!("{vlan} is no VLAN: use 1 to 4094")));
    }
    let everyone = policy.services.iter().map(|(name, service)| (name, service.as_ref()));
    let Some(port) = question.port.as_deref() else {
        return Ok(everyone.filter_map(|(name, service)| first(question, name, service)).collect());
    };
    if let Ok(number) = port.parse::<u16>() {
        let aims: Vec<Aim> = Protocol::ALL
            .into_iter()
            .flat_map(|protocol| of_port(question, policy, protocol, number))
            .collect();
        let nobody = || Aim::at(None, Protocol::Tcp, destination(question, None, number));
        return match number {
            0 => Err(invalid("0 is no port: use 1 to 65535".into())),
            _ if aims.is_empty() => Ok(vec![nobody()]),
            _ => Ok(aims),
        };
    }
    if port.contains('/') {
        let ports: Ports = port.parse().map_err(|error| invalid(format!("{error}")))?;
        if ports.first != ports.last {
            return Err(invalid(format!("'{port}' is more than one port: name one")));
        }
        let aims = of_port(question, policy, ports.protocol, ports.first);
        let to = destination(question, None, ports.first);
        let nobody = || Aim::at(None, ports.protocol, to);
        return Ok(if aims.is_empty() { vec![nobody()] } else { aims });
    }
    let name: Name = port.parse().map_err(|_| {
        invalid(format!(
            "'{port}' is neither a port nor the name of a service: write 6379, tcp/6379 or redis"
        ))
    })?;
    let service = policy.services.get(&name).ok_or_else(|| unknown_service(policy, &name))?;
    Ok(first(question, &name, service).into_iter().collect())
}

fn unknown_service(policy: &Policy, name: &Name) -> Problem {
    let unknown = policy.unknown_service(name);
    Problem::new(ErrorCode::NotFound, format!("there is no service {unknown}"))
        .hint("`allowlist-ctl status` shows those there are")
}

impl Aim {
    const fn at(service: Option<Name>, protocol: Protocol, destination: SocketAddr) -> Self {
        Self { service, protocol, destination }
    }
}

/// A packet to the first port of a service: all of its ports are judged alike.
fn first(question: &Question, name: &Name, service: &Service) -> Option<Aim> {
    let port = service.ports.first()?;
    let destination = destination(question, Some(service), port.first);
    Some(Aim::at(Some(name.clone()), port.protocol, destination))
}

/// A packet for each service that has a port somewhere.
fn of_port(question: &Question, policy: &Policy, protocol: Protocol, port: u16) -> Vec<Aim> {
    let has = |service: &&std::sync::Arc<Service>| {
        let ports = &mut service.ports.iter();
        ports.any(|ports| ports.protocol == protocol && ports.range().contains(&port))
    };
    let on = |service: &Service| question.interface.as_deref().is_none_or(|it| service.is_on(it));
    let services = policy.services.iter().filter(|(_, service)| has(service) && on(service));
    services
        .map(|(name, service)| {
            Aim::at(Some(name.clone()), protocol, destination(question, Some(service), port))
        })
        .collect()
}

/// Where a packet goes: where the question says, or to an address of the service.
fn destination(question: &Question, service: Option<&Service>, port: u16) -> SocketAddr {
    let is_v4 = source(question).is_ipv4();
    let own = service.into_iter().flat_map(|service| &service.addresses);
    let mut own = own.map(|prefix| prefix.net().addr()).filter(|addr| addr.is_ipv4() == is_v4);
    let to = question.to.map(|to| to.to_canonical()).or_else(|| own.next());
    let anywhere = if is_v4 { ANYWHERE_V4.into() } else { ANYWHERE_V6.into() };
    SocketAddr::new(to.unwrap_or(anywhere), port)
}

#[cfg(test)]
mod tests;
