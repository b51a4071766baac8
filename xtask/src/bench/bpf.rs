//! The few calls of bpf(2) that measuring takes, on plain numbers: what is measured is loaded by
//! the daemon, and the harness is some twenty instructions.

use std::{
    io, mem,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use super::harness::Instruction;

const MAP_CREATE: i32 = 0;
const MAP_UPDATE_ELEM: i32 = 2;
const PROG_LOAD: i32 = 5;
const PROG_TEST_RUN: i32 = 10;
const PROG_GET_FD_BY_ID: i32 = 13;
const LINK_CREATE: i32 = 28;

const PROG_TYPE_XDP: u32 = 6;
const ATTACH_TYPE_XDP: u32 = 37;
/// For programs that packets in several buffers may reach.
const F_XDP_HAS_FRAGS: u32 = 1 << 5;
/// The packets of a test run are real ones: where the program sends them, there they go.
const F_TEST_XDP_LIVE_FRAMES: u32 = 1 << 1;
/// As many of them at once as the kernel allows.
const LIVE_BATCH: u32 = 256;

/// Kinds of maps.
#[derive(Clone, Copy)]
pub(super) enum MapType {
    Array = 2,
    Programs = 3,
}

/// The kernel takes an attribute that is shorter than its own for one that ends with zeros.
#[repr(C)]
struct CreateMap {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
}

#[repr(C)]
struct UpdateElement {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct LoadProgram {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
}

#[derive(Default)]
#[repr(C)]
struct TestRun {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    padding: u32,
}

/// What an XDP program is told (`struct xdp_md` of linux/bpf.h).
#[repr(C)]
struct XdpContext {
    data: u32,
    data_end: u32,
    data_meta: u32,
    ingress_ifindex: u32,
    rx_queue_index: u32,
    egress_ifindex: u32,
}

#[repr(C)]
struct CreateLink {
    prog_fd: u32,
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
}

#[repr(C)]
struct ProgramById {
    prog_id: u32,
    next_id: u32,
}

/// Makes an array of values, or of programs, which are values of four bytes.
pub(super) fn create_map(map_type: MapType, value_size: u32, entries: u32) -> Result<OwnedFd> {
    let map_type = map_type as u32;
    let mut attr = CreateMap { map_type, key_size: 4, value_size, max_entries: entries };
    // SAFETY: the attribute of the command, and it points to nothing.
    let fd = unsafe { bpf(MAP_CREATE, &mut attr) }.context("no map")?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sets an element of an array whose values have `N` bytes.
pub(super) fn set<const N: usize>(map: &OwnedFd, index: u32, value: [u8; N]) -> Result<()> {
    let mut attr = UpdateElement {
        map_fd: map.as_raw_fd().unsigned_abs(),
        padding: 0,
        key: (&raw const index).addr() as u64,
        value: (&raw const value).addr() as u64,
        flags: 0,
    };
    // SAFETY: the attribute of the command; key and value outlive the call. The callers know how
    // long the map's values are.
    unsafe { bpf(MAP_UPDATE_ELEM, &mut attr) }.context("no element of a map")?;
    Ok(())
}

/// Puts a program in an array of programs. The kernel refuses one that takes packets in several
/// buffers where the others do not, and the other way round.
pub(super) fn set_program(map: &OwnedFd, index: u32, program: &OwnedFd) -> Result<()> {
    set(map, index, program.as_raw_fd().to_ne_bytes())
}

/// Loads an XDP program.
pub(super) fn load(instructions: &[Instruction], frags: bool) -> Result<OwnedFd> {
    let mut log = vec![0_u8; 1 << 16];
    let mut attr = LoadProgram {
        prog_type: PROG_TYPE_XDP,
        insn_cnt: u32::try_from(instructions.len())?,
        insns: instructions.as_ptr().addr() as u64,
        license: c"GPL".as_ptr().addr() as u64,
        log_level: 1,
        log_size: u32::try_from(log.len())?,
        log_buf: log.as_mut_ptr().addr() as u64,
        kern_version: 0,
        prog_flags: if frags { F_XDP_HAS_FRAGS } else { 0 },
        prog_name: *b"allowlist_bench\0",
        prog_ifindex: 0,
        expected_attach_type: ATTACH_TYPE_XDP,
    };
    // SAFETY: the attribute of the command; instructions, licence and log outlive the call, and
    // their lengths are theirs.
    match unsafe { bpf(PROG_LOAD, &mut attr) } {
        // SAFETY: the kernel has just made this descriptor for us.
        Ok(fd) => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        Err(error) => {
            let end = log.iter().position(|byte| *byte == 0).unwrap_or_default();
            bail!("no harness: {error}: {}", String::from_utf8_lossy(&log[..end]))
        }
    }
}

/// A program that somebody else has loaded.
pub(super) fn program_by_id(id: u32) -> Result<OwnedFd> {
    let mut attr = ProgramById { prog_id: id, next_id: 0 };
    // SAFETY: the attribute of the command, and it points to nothing.
    let fd = unsafe { bpf(PROG_GET_FD_BY_ID, &mut attr) }
        .with_context(|| format!("there is no program {id}"))?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Runs a program over and over on one packet, which keeps what the program writes into it. Says
/// what the last run returned, and the time of one run in whole nanoseconds.
pub(super) fn test_run(program: &OwnedFd, packet: &[u8], repeat: u32) -> Result<(u32, Duration)> {
    let mut attr = TestRun {
        prog_fd: program.as_raw_fd().unsigned_abs(),
        data_size_in: u32::try_from(packet.len())?,
        data_in: packet.as_ptr().addr() as u64,
        repeat,
        ..TestRun::default()
    };
    // SAFETY: the attribute of the command; the packet outlives the call and is as long as it says.
    unsafe { bpf(PROG_TEST_RUN, &mut attr) }.context("no test run")?;
    Ok((attr.retval, Duration::from_nanos(attr.duration.into())))
}

/// Runs a program on so many real frames, each as if it had come in at this interface of this
/// thread's namespace, which has to have an XDP program; those that it transmits go out there.
pub(super) fn live_run(program: &OwnedFd, frame: &[u8], ifindex: u32, repeat: u32) -> Result<()> {
    let length = u32::try_from(frame.len())?;
    let context = XdpContext {
        data: 0,
        data_end: length,
        data_meta: 0,
        ingress_ifindex: ifindex,
        rx_queue_index: 0,
        egress_ifindex: 0,
    };
    let mut attr = TestRun {
        prog_fd: program.as_raw_fd().unsigned_abs(),
        data_size_in: length,
        data_in: frame.as_ptr().addr() as u64,
        repeat,
        ctx_size_in: u32::try_from(mem::size_of_val(&context))?,
        ctx_in: (&raw const context).addr() as u64,
        flags: F_TEST_XDP_LIVE_FRAMES,
        batch_size: LIVE_BATCH,
        ..TestRun::default()
    };
    // SAFETY: the attribute of the command; frame and context outlive the call and are as long as
    // it says.
    unsafe { bpf(PROG_TEST_RUN, &mut attr) }.context("no live frames")?;
    Ok(())
}

/// Attaches an XDP program to an interface of this thread's namespace, until the link is dropped.
pub(super) fn attach(program: &OwnedFd, ifindex: u32) -> Result<OwnedFd> {
    let mut attr = CreateLink {
        prog_fd: program.as_raw_fd().unsigned_abs(),
        target_ifindex: ifindex,
        attach_type: ATTACH_TYPE_XDP,
        flags: 0,
    };
    // SAFETY: the attribute of the command, and it points to nothing.
    let fd = unsafe { bpf(LINK_CREATE, &mut attr) }.context("no program on an interface")?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The system call.
///
/// # Safety
///
/// `attr` must be what the command takes, and what it points to must live until the call returns.
unsafe fn bpf<T>(command: i32, attr: &mut T) -> io::Result<i32> {
    // SAFETY: the caller vouches for the attribute; the length is its own.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), mem::size_of::<T>())
    };
    match i32::try_from(result) {
        Ok(result) if result >= 0 => Ok(result),
        _ => Err(io::Error::last_os_error()),
    }
}
