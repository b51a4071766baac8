//! What running programs take: time and memory.

use std::{
    fs, mem,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// What a command took from its start to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    pub(super) time: Duration,
    /// Most memory that was resident at once, in bytes.
    ///
    /// The kernel counts from before the program begins, when the memory is still that of the
    /// process that starts it: it is at least what this process has.
    pub(super) memory: u64,
}

/// Runs a command to its end; it has to succeed.
pub(super) fn run(command: &mut Command) -> Result<Usage> {
    let begin = Instant::now();
    let child = command.spawn().context("the command can't be run")?;
    let pid = libc::pid_t::try_from(child.id())?;
    let mut status = 0;
    // SAFETY: a structure of numbers, for which zeros are a value.
    let mut usage: libc::rusage = unsafe { mem::zeroed() };
    // SAFETY: both point to live variables of the right type; nobody else waits for the child.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) };
    let time = begin.elapsed();
    if waited != pid {
        return Err(std::io::Error::last_os_error()).context("the command can't be waited for");
    }
    if !(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0) {
        bail!("{command:?} failed");
    }
    Ok(Usage { time, memory: u64::try_from(usage.ru_maxrss)? * 1024 })
}

/// Most memory that was resident at once since a process began, in bytes.
pub(super) fn peak_memory(pid: u32) -> Result<u64> {
    memory(pid, "VmHWM:")
}

/// What memory of a process is resident, in bytes.
pub(super) fn resident_memory(pid: u32) -> Result<u64> {
    memory(pid, "VmRSS:")
}

fn memory(pid: u32, which: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(which));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kilobytes.context("the process has ended")?.parse::<u64>()? * 1024)
}

/// The same once it has ceased to shrink and grow, for maps and sets are freed later: or after some
/// seconds, where something else keeps the kernel at work.
pub(super) fn settled_kernel_memory() -> Result<u64> {
    const PAUSE: Duration = Duration::from_secs(1);
    const TIMES: usize = 4;
    const HARDLY: u64 = 1 << 20;
    let mut before = kernel_memory()?;
    for _ in 0..TIMES {
        thread::sleep(PAUSE);
        let now = kernel_memory()?;
        if now.abs_diff(before) < HARDLY {
            return Ok(now);
        }
        before = now;
    }
    Ok(before)
}

/// Memory of the kernel that it does not give up when asked for it, in bytes: maps and sets are
/// there. Whatever else the machine does is, too.
fn kernel_memory() -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let of = |name| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kilobytes.with_context(|| format!("the kernel does not say its {name}"))
    };
    Ok((of("SUnreclaim:")? + of("VmallocUsed:")? + of("Percpu:")?) * 1024)
}

/// Time that all threads of a process have had a CPU.
pub(super) fn cpu_time(pid: u32) -> Result<Duration> {
    let mut nanoseconds = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // One that has just ended has no more to tell.
        let Ok(told) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        let first = told.split(' ').next().and_then(|first| first.parse::<u64>().ok());
        nanoseconds += first.context("the kernel does not say what threads take")?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Keeps this thread on the CPU that it is on, and what it starts from now on.
pub(super) fn stay_on_this_cpu() -> Result<()> {
    // SAFETY: the call takes nothing.
    let cpu = unsafe { libc::sched_getcpu() };
    stay_on(0, usize::try_from(cpu)?)
}

/// Keeps a thread on a CPU; 0 is the one that asks, and takes along what it starts from now on.
pub(super) fn stay_on(thread: u32, cpu: usize) -> Result<()> {
    // SAFETY: a set of bits, for which zeros are a value.
    let mut cpus: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: it checks that the set has room for this CPU.
    unsafe { libc::CPU_SET(cpu, &mut cpus) };
    let thread = libc::pid_t::try_from(thread)?;
    // SAFETY: the set outlives the call and is as long as it says.
    if unsafe { libc::sched_setaffinity(thread, mem::size_of_val(&cpus), &raw const cpus) } != 0 {
        return Err(std::io::Error::last_os_error()).context("no thread that stays on a CPU");
    }
    Ok(())
}

/// Time that a process has had a CPU, to the nanosecond also while it has one.
pub(super) fn exact_cpu_time(pid: u32) -> Result<Duration> {
    let mut clock = 0;
    // SAFETY: the clock's number is written to a live variable.
    let result = unsafe { libc::clock_getcpuclockid(libc::pid_t::try_from(pid)?, &raw mut clock) };
    if result != 0 {
        return Err(std::io::Error::from_raw_os_error(result)).context("a process has no clock");
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is written to a live variable of the right type.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(std::io::Error::last_os_error()).context("a process's clock can't be read");
    }
    Ok(Duration::new(u64::try_from(time.tv_sec)?, u32::try_from(time.tv_nsec)?))
}

/// A time in milliseconds.
pub(super) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Bytes in millions.
#[expect(clippy::cast_precision_loss, reason = "memory is far below 2^53 bytes")]
pub(super) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
