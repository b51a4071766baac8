//! Loading the program.

use std::{io, os::fd::OwnedFd};

use allowlist_common::abi::{maps, next};
use aya::{
    Ebpf, EbpfError, EbpfLoader,
    maps::{Map, MapData, MapError, ProgramArray},
    programs::{ProgramError, ProgramType, Xdp},
    sys::{BpfHelper, is_helper_supported},
};
use aya_log::EbpfLogger;
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use tracing::{Level, debug, enabled};

use super::{
    Counters, Events, Pins,
    error::LoadError,
    pins::OfProgram,
    retry::{Calls, Meaning, copy, os_error, pin},
    sys::open_pin,
};

/// The program, compiled by the build script.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/allowlist-ebpf"));

/// The program's constant of [`Variant::coarse_clock`].
const COARSE_CLOCK: &str = "COARSE_CLOCK";

/// The programs for kernels of different abilities.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Variant {
    /// Takes packets in several buffers, which came with Linux 5.18.
    Frags,
    /// Takes packets in one buffer.
    Plain,
    /// The same without the clock that is read for next to nothing, which came with Linux 5.11.
    PlainOldClock,
    /// The same in one function, for kernels that do not mix calls of functions with tail calls: Linux before 6.0 on
    /// arm64. Without flat memory.
    InOne,
}

impl Variant {
    /// Every variant; the first one that the kernel takes is the one that is used.
    pub const ALL: [Self; 4] = [Self::Frags, Self::Plain, Self::PlainOldClock, Self::InOne];

    /// The judging program and the one that follows a denial.
    const fn names(self) -> [&'static str; 2] {
        match self {
            Self::Frags => ["allowlist_frags", "aftermath_frags"],
            Self::Plain | Self::PlainOldClock => ["allowlist", "aftermath"],
            Self::InOne => ["allowlist_in_one", "aftermath"],
        }
    }

    /// The program that watches.
    const fn observer(self) -> &'static str {
        match self {
            Self::Frags => "observe_frags",
            Self::Plain | Self::PlainOldClock => "observe",
            Self::InOne => "observe_in_one",
        }
    }

    /// The judging program's twin.
    const fn explainer(self) -> &'static str {
        match self {
            Self::Frags | Self::Plain | Self::PlainOldClock => "explain",
            Self::InOne => "explain_in_one",
        }
    }

    /// Whether its sources can be in flat memory.
    pub(super) const fn has_flat(self) -> bool {
        !matches!(self, Self::InOne)
    }

    const fn coarse_clock(self) -> u8 {
        match self {
            Self::Frags | Self::Plain => 1,
            Self::PlainOldClock | Self::InOne => 0,
        }
    }

    /// Whether the kernel has the newest helper that the programs call, tried with a program of one call: the verifier
    /// may follow a large one for seconds before it comes to that call.
    fn may_be_taken(self) -> bool {
        let newest = match self {
            Self::Frags => BpfHelper::BPF_FUNC_xdp_get_buff_len,
            Self::Plain => BpfHelper::BPF_FUNC_ktime_get_coarse_ns,
            Self::PlainOldClock | Self::InOne => return true,
        };
        is_helper_supported(ProgramType::Xdp, newest).unwrap_or(true)
    }
}

/// A loaded program and its maps.
pub(super) struct Loaded {
    ebpf: Ebpf,
    names: [&'static str; 2],
    pub(super) variant: Variant,
    /// The programs that go on with a packet, once they are joined. Programs that are loaded later refer to the map by
    /// the number of this descriptor.
    next: Option<ProgramArray<MapData>>,
    /// Whether the program that watches is among them.
    has_observer: bool,
    /// The programs of a start that did not take over every link: its own links go on by them until they are taken over.
    before: Option<OwnedFd>,
}

impl Loaded {
    pub(super) fn program(&self) -> Result<&Xdp, ProgramError> {
        let program = self.ebpf.program(self.names[0]).ok_or(ProgramError::NotLoaded)?;
        program.try_into()
    }

    /// Id of the judging program.
    pub(super) fn program_id(&self) -> Result<u32, LoadError> {
        let info = self.program().and_then(Xdp::info);
        info.map(|info| info.id()).map_err(|error| LoadError::Other(chain(&error)))
    }

    /// The programs that were loaded, by name.
    pub(super) fn programs(&self) -> impl Iterator<Item = (&'static str, &Xdp)> {
        let named = |name| {
            let program: &Xdp = self.ebpf.program(name)?.try_into().ok()?;
            program.fd().is_ok().then_some((name, program))
        };
        let [judging, aftermath] = self.names;
        [judging, aftermath, self.variant.observer(), self.variant.explainer()]
            .into_iter()
            .filter_map(named)
    }

    /// Takes a map out of the object.
    pub(super) fn take_map(&mut self, name: &str) -> Result<Map, LoadError> {
        let map = self.ebpf.take_map(name);
        map.ok_or_else(|| LoadError::Other(format!("the object has no map {name}")))
    }

    /// Puts the program that follows a denial where the judging one finds it, and pins both.
    pub(super) fn join_programs(&mut self, pins: &Pins, calls: &Calls) -> Result<(), LoadError> {
        let other = |error: ProgramError| LoadError::Other(chain(&error));
        let map = self.take_map(maps::NEXT)?;
        let judging = self.ebpf.program_mut(self.names[0]).ok_or(ProgramError::NotLoaded);
        let judging: &mut Xdp = judging.and_then(TryInto::try_into).map_err(other)?;
        let [itself, others] = OfProgram::ALL.map(|what| pins.of_program(what, true));
        self.before = open_pin(&others).ok();
        for left_by_a_start_that_came_no_further in [&itself, &others] {
            let _ = std::fs::remove_file(left_by_a_start_that_came_no_further);
        }
        pin(calls, || judging.pin(&itself)).map_err(|source| LoadError::pin(&itself, source))?;
        pin(calls, || map.pin(&others)).map_err(|source| LoadError::pin(&others, source))?;
        let mut array = ProgramArray::try_from(map)?;
        self.place(self.names[1], &mut array, next::AFTERMATH, calls)?;
        self.next = Some(array);
        Ok(())
    }

    fn place(
        &self,
        name: &str,
        array: &mut ProgramArray<MapData>,
        place: u32,
        calls: &Calls,
    ) -> Result<(), LoadError> {
        let other = |error: ProgramError| LoadError::Other(chain(&error));
        let program: &Xdp = self
            .ebpf
            .program(name)
            .ok_or(ProgramError::NotLoaded)
            .and_then(TryInto::try_into)
            .map_err(other)?;
        let program = program.fd().map_err(other)?;
        Ok(calls.patiently(|| array.set(place, program, 0))?)
    }

    /// Loads the program that watches, unless it is loaded, and puts it where the judging one finds it.
    ///
    /// # Errors
    /// [`LoadError`]
    pub(super) fn load_observer(&mut self, calls: &Calls) -> Result<(), LoadError> {
        let name = self.variant.observer();
        self.load_once(name, calls)?;
        if !self.has_observer
            && let Some(mut array) = self.next.take()
        {
            let placed = self.place(name, &mut array, next::OBSERVE, calls);
            self.next = Some(array);
            placed?;
            self.has_observer = true;
        }
        Ok(())
    }

    /// The judging program's twin, loaded when it is needed first.
    ///
    /// # Errors
    /// [`LoadError`]
    pub(super) fn explainer(&mut self, calls: &Calls) -> Result<&Xdp, LoadError> {
        let name = self.variant.explainer();
        self.load_once(name, calls)?;
        let program = self.ebpf.program(name).ok_or(ProgramError::NotLoaded);
        program.and_then(TryInto::try_into).map_err(|error| load_error(error.into()))
    }

    /// Loads one more program of the object, unless it is loaded.
    fn load_once(&mut self, name: &str, calls: &Calls) -> Result<(), LoadError> {
        let program = self.ebpf.program(name).and_then(|program| <&Xdp>::try_from(program).ok());
        if program.is_some_and(|program| program.fd().is_ok()) {
            return Ok(());
        }
        load_program(&mut self.ebpf, name, calls).map_err(|error| load_error(error.into()))
    }

    pub(super) fn take_events(&mut self) -> Result<Events, LoadError> {
        let ring = self.take_map(maps::EVENTS)?;
        let budget = self.take_map(maps::EVENT_BUDGET)?;
        Ok(Events::new(ring, budget, self.take_map(maps::EVENTS_LOST)?)?)
    }

    pub(super) fn take_counters(&mut self) -> Result<Counters, LoadError> {
        let services = self.take_map(maps::SERVICE_COUNTERS)?;
        Ok(Counters::new(services, self.take_map(maps::UNMATCHED_COUNTERS)?)?)
    }
}

/// Takes the limit off locked memory, to which kernels before 5.11 account maps; newer ones do not care. Where it is in
/// the way, whoever may not raise it meets it when loading.
pub fn raise_memory_limit() {
    if let Err(errno) = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY) {
        debug!("the limit of locked memory stays as it is: {errno}");
    }
}

/// Loads the first of these variants that the kernel takes; its counters go on where those that are pinned left off.
///
/// # Errors
/// [`LoadError`] says in a sentence what is missing.
pub(super) fn load(pins: &Pins, variants: &[Variant], calls: &Calls) -> Result<Loaded, LoadError> {
    raise_memory_limit();
    // A line a dropped packet: only for whoever asks for it by name, not with RUST_LOG=debug.
    let log_level: u8 = if enabled!(target: "allowlist_ebpf", Level::TRACE) { 4 } else { 0 };
    let mut refused = None;
    for &variant in variants {
        if !variant.may_be_taken() {
            debug!(?variant, "not loaded: the kernel lacks a helper");
            let source = io::Error::from_raw_os_error(libc::EINVAL);
            refused = Some(LoadError::TooOld { feature: "run the program", source });
            continue;
        }
        let (names, coarse_clock) = (variant.names(), variant.coarse_clock());
        let mut loader = EbpfLoader::new();
        loader.override_global(aya_log::LEVEL, &log_level, true);
        loader.override_global(COARSE_CLOCK, &coarse_clock, true);
        for (name, entries) in Pins::counter_maps() {
            loader.map_pin_path(name, pins.counters(name, entries, calls)?);
        }
        let made = calls.once(|| Ok::<_, MapError>(loader.load(OBJECT)));
        let mut ebpf = made?.map_err(load_error)?;
        match names.iter().try_for_each(|name| load_program(&mut ebpf, name, calls)) {
            Ok(()) => {
                if log_level > 0 {
                    forward_log(&mut ebpf);
                }
                return Ok(Loaded {
                    ebpf,
                    names,
                    variant,
                    next: None,
                    has_observer: false,
                    before: None,
                });
            }
            // Another variant would not fare better, or be taken for no reason that lasts.
            Err(error) if is_shortage(&error) => return Err(load_error(error.into())),
            Err(error) => refused = Some(load_error(error.into())),
        }
    }
    Err(refused.unwrap_or_else(|| LoadError::Other("the object has no program".into())))
}

fn load_program(ebpf: &mut Ebpf, name: &str, calls: &Calls) -> Result<(), ProgramError> {
    let program: &mut Xdp = ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?.try_into()?;
    if let Err(error) = calls.once(|| program.load()) {
        debug!(program = name, "not loaded: {error}");
        return Err(error);
    }
    let instructions = program.info().ok().and_then(|info| info.verified_instruction_count());
    debug!(program = name, instructions, "loaded");
    Ok(())
}

/// Whether the kernel lacks something else than the abilities that a program needs.
fn is_shortage(error: &ProgramError) -> bool {
    match error {
        ProgramError::LoadError { io_error, .. } => is_shortage_of(io_error),
        ProgramError::SyscallError(error) => is_shortage_of(&error.io_error),
        _ => false,
    }
}

fn is_shortage_of(error: &io::Error) -> bool {
    match Meaning::of(error) {
        // The verifier's word for what a program may not do is EACCES.
        Meaning::Denied => error.raw_os_error() == Some(libc::EPERM),
        Meaning::Memory | Meaning::Files | Meaning::Passing => true,
        Meaning::Lacking | Meaning::Other => false,
    }
}

/// Hands what the program logs to the daemon's log, from a thread of its own.
fn forward_log(ebpf: &mut Ebpf) {
    const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);
    match EbpfLogger::init(ebpf) {
        Ok(mut logger) => {
            std::thread::spawn(move || {
                loop {
                    logger.flush();
                    std::thread::sleep(PAUSE);
                }
            });
        }
        Err(error) => debug!("the program's own log is not to be had: {error}"),
    }
}

/// Says what the kernel meant.
fn load_error(error: EbpfError) -> LoadError {
    let text = error.to_string();
    let (source, feature) = match error {
        EbpfError::MapError(error) => match os_error(&error) {
            Some(source) => (copy(source), "make the maps of the filter"),
            None => return LoadError::Other(chain(&error)),
        },
        EbpfError::ProgramError(ProgramError::LoadError { io_error, verifier_log }) => {
            debug!("verifier log: {verifier_log}");
            if !is_shortage_of(&io_error) {
                return LoadError::Verifier { source: io_error };
            }
            (io_error, "load the program")
        }
        EbpfError::ProgramError(ProgramError::SyscallError(error)) => {
            (error.io_error, "load the program")
        }
        other => return LoadError::Other(format!("{text}: {}", chain(&other))),
    };
    match Meaning::of(&source) {
        Meaning::Denied => LoadError::Capability,
        Meaning::Memory => LoadError::Memory { source },
        Meaning::Passing => LoadError::Passing { source },
        Meaning::Lacking => LoadError::TooOld { feature, source },
        Meaning::Files | Meaning::Other => {
            LoadError::Other(format!("the kernel does not {feature}: {source}"))
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

impl From<MapError> for LoadError {
    fn from(error: MapError) -> Self {
        load_error(error.into())
    }
}
