//! What running programs take: time and memory.

use std::{
    fs, mem,
    process::Command,
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
    // SAFETY: a set of bits, for which zeros are a value; the call takes nothing.
    let (mut cpus, cpu): (libc::cpu_set_t, _) = unsafe { (mem::zeroed(), libc::sched_getcpu()) };
    // SAFETY: it checks that the set has room for this CPU.
    unsafe { libc::CPU_SET(usize::try_from(cpu)?, &mut cpus) };
    // SAFETY: the set outlives the call and is as long as it says; 0 stands for this thread.
    if unsafe { libc::sched_setaffinity(0, mem::size_of_val(&cpus), &raw const cpus) } != 0 {
        return Err(std::io::Error::last_os_error()).context("no thread that stays on a CPU");
    }
    Ok(())
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
