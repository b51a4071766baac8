//! The questions about links to the kernel that aya does not ask, and those that it follows up with a way of its own.
//!
//! Where the kernel refuses a link with `EINVAL`, aya attaches the program without one. Nothing can pin that, so the
//! filter would end with the daemon; here a refusal stays one.

use std::{
    ffi::CString,
    fs, io, mem,
    os::{
        fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use aya_obj::generated::{bpf_attach_type, bpf_attr, bpf_cmd, bpf_link_info, bpf_link_type};

/// What the kernel says of an XDP link.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct LinkState {
    /// Its id.
    pub(super) id: u32,
    /// Index of its interface, in that one's network namespace; 0 where the interface is gone, or the link was cut.
    pub(super) ifindex: u32,
    /// Id of its program.
    pub(super) program: u32,
}

/// How the kernel is to run a program: `XDP_FLAGS_*` of `linux/if_link.h`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Run {
    Generic = 1 << 1,
    Native = 1 << 2,
}

/// What a link is; `None` where it is none of XDP.
///
/// # Errors
/// What the kernel answered.
pub(super) fn link_state(link: BorrowedFd<'_>) -> io::Result<Option<LinkState>> {
    if !is_link(link)? {
        return Ok(None);
    }
    // SAFETY: plain data for which zeros are a value.
    let mut info = unsafe { mem::zeroed::<bpf_link_info>() };
    let mut attr = blank();
    attr.info.bpf_fd = number(link);
    attr.info.info_len = u32::try_from(mem::size_of::<bpf_link_info>()).unwrap_or(0);
    attr.info.info = (&raw mut info).addr() as u64;
    // SAFETY: the attributes are those of the command; `info` outlives the call and is as long as they say.
    unsafe { bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr)? };
    if info.type_ != bpf_link_type::BPF_LINK_TYPE_XDP as u32 {
        return Ok(None);
    }
    // SAFETY: the kernel fills this member for links of type XDP.
    let ifindex = unsafe { info.__bindgen_anon_1.xdp.ifindex };
    Ok(Some(LinkState { id: info.id, ifindex, program: info.prog_id }))
}

/// Whether a descriptor is one of a link. Programs and maps answer to the same question, and their types have the same
/// numbers.
fn is_link(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))?;
    Ok(info.lines().any(|line| line.starts_with("link_id:")))
}

/// Puts a program on an interface, for as long as the link is held or pinned.
///
/// # Errors
/// What the kernel answered.
pub(super) fn create_link(program: BorrowedFd<'_>, ifindex: u32, run: Run) -> io::Result<OwnedFd> {
    let mut attr = blank();
    attr.link_create.__bindgen_anon_1.prog_fd = number(program);
    attr.link_create.__bindgen_anon_2.target_ifindex = ifindex;
    attr.link_create.attach_type = bpf_attach_type::BPF_XDP as u32;
    attr.link_create.flags = run as u32;
    // SAFETY: the attributes are those of the command, which makes a descriptor.
    unsafe { bpf_fd(bpf_cmd::BPF_LINK_CREATE, &mut attr) }
}

/// Has a link run another program from the next packet on.
///
/// # Errors
/// What the kernel answered; the program before stays then.
pub(super) fn update_link(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = blank();
    attr.link_update.link_fd = number(link);
    attr.link_update.__bindgen_anon_1.new_prog_fd = number(program);
    // SAFETY: the attributes are those of the command.
    unsafe { bpf(bpf_cmd::BPF_LINK_UPDATE, &mut attr).map(drop) }
}

/// What is pinned there.
///
/// # Errors
/// What the kernel answered; `NotFound` where there is no pin.
pub(super) fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = blank();
    attr.__bindgen_anon_4.pathname = path.as_ptr().addr() as u64;
    // SAFETY: the attributes are those of the command, which makes a descriptor; `path` outlives the call.
    unsafe { bpf_fd(bpf_cmd::BPF_OBJ_GET, &mut attr) }
}

/// Pins something, so that it outlives its descriptors.
///
/// # Errors
/// What the kernel answered.
pub(super) fn pin(what: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = blank();
    attr.__bindgen_anon_4.bpf_fd = number(what);
    attr.__bindgen_anon_4.pathname = path.as_ptr().addr() as u64;
    // SAFETY: the attributes are those of the command; `path` outlives the call.
    unsafe { bpf(bpf_cmd::BPF_OBJ_PIN, &mut attr).map(drop) }
}

fn blank() -> bpf_attr {
    // SAFETY: plain data for which zeros are a value.
    unsafe { mem::zeroed() }
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().unsigned_abs()
}

/// The system call, of a command that makes a descriptor.
///
/// # Safety
/// As of [`bpf`]; the command must make a descriptor.
unsafe fn bpf_fd(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<OwnedFd> {
    // SAFETY: the caller vouches for the attributes.
    let fd = unsafe { bpf(command, attr)? };
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The system call.
///
/// # Safety
/// `attr` must be filled for `command`, and what it points to must live until the call returns.
unsafe fn bpf(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<i32> {
    // SAFETY: the caller vouches for the attributes; the length is theirs.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), mem::size_of::<bpf_attr>())
    };
    match i32::try_from(result) {
        Ok(result) if result >= 0 => Ok(result),
        _ => Err(io::Error::last_os_error()),
    }
}
