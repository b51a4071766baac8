//! The per-CPU counters, summed.

use std::sync::{PoisonError, RwLock};

use allowlist_common::abi::{Counter, Judged, Unmatched};
use aya::{
    Pod,
    maps::{Map, MapData, MapError, PerCpuArray, PerCpuValues},
    util::nr_cpus,
};

use super::retry::Calls;

/// [`Counter`] as aya wants it: any bytes are one.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Raw(Counter);

// SAFETY: `Counter` is two u64, without padding, and every bit pattern is a value.
unsafe impl Pod for Raw {}

/// Reads the counters, from any thread.
pub struct Counters {
    /// Written only to start a new service at zero.
    services: RwLock<PerCpuArray<MapData, Raw>>,
    unmatched: PerCpuArray<MapData, Raw>,
}

impl Counters {
    pub(super) fn new(services: Map, unmatched: Map) -> Result<Self, MapError> {
        Ok(Self { services: RwLock::new(services.try_into()?), unmatched: unmatched.try_into()? })
    }

    /// What a service's packets came to.
    ///
    /// # Errors
    /// The kernel's refusal to read the map.
    pub fn service(&self, number: u16, judged: Judged) -> Result<Counter, MapError> {
        sum(&self.services.read().unwrap_or_else(PoisonError::into_inner), judged.counter(number))
    }

    /// What the packets of no service came to.
    ///
    /// # Errors
    /// The kernel's refusal to read the map.
    pub fn unmatched(&self, unmatched: Unmatched) -> Result<Counter, MapError> {
        sum(&self.unmatched, unmatched.counter())
    }

    /// Starts the counters of a service at zero.
    pub(super) fn reset(&self, number: u16, calls: &Calls) -> Result<(), MapError> {
        let cpus = nr_cpus().map_err(|(_, error)| MapError::IoError(error))?;
        let mut services = self.services.write().unwrap_or_else(PoisonError::into_inner);
        for judged in Judged::ALL {
            let zeros = || PerCpuValues::try_from(vec![Raw(Counter::default()); cpus]);
            calls.patiently(|| services.set(judged.counter(number), zeros()?, 0))?;
        }
        Ok(())
    }
}

fn sum(map: &PerCpuArray<MapData, Raw>, index: u32) -> Result<Counter, MapError> {
    let values = map.get(&index, 0)?;
    Ok(values.iter().fold(Counter::default(), |sum, Raw(cpu)| Counter {
        packets: sum.packets.wrapping_add(cpu.packets),
        bytes: sum.bytes.wrapping_add(cpu.bytes),
    }))
}
