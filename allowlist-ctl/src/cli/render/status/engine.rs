//! How sources are looked up.

use crate::api::{Engine, EngineStatus, ServiceEngines, ServiceStatus};

/// A sentence of it.
pub(super) fn engine(engine: &EngineStatus, services: &[ServiceStatus]) -> String {
    let EngineStatus { kind, memory_used, memory_limit } = engine;
    let flat: Vec<String> = services.iter().filter_map(in_flat).collect();
    let flat = match flat.as_slice() {
        [] => "no list is in flat memory".to_owned(),
        flat => format!("in flat memory: {}", flat.join(", ")),
    };
    let (used, limit) = (mebibytes(*memory_used), mebibytes(*memory_limit));
    format!("Engine {}: {flat}. Entries take {used} of {limit} MiB of kernel memory.", kind.word())
}

/// A service with what of its entries is in flat memory.
fn in_flat(service: &ServiceStatus) -> Option<String> {
    let ServiceEngines { ipv4, ipv6 } = service.engine;
    let name = &service.name;
    match (ipv4 == Some(Engine::Flat), ipv6 == Some(Engine::Flat)) {
        (true, true) => Some(name.to_string()),
        (true, false) if ipv6.is_none() => Some(name.to_string()),
        (false, true) if ipv4.is_none() => Some(name.to_string()),
        (true, false) => Some(format!("{name} (IPv4)")),
        (false, true) => Some(format!("{name} (IPv6)")),
        (false, false) => None,
    }
}

/// Full ones and the part of one that is begun.
fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}
