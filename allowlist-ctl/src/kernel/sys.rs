//! The one question to the kernel that aya does not ask: which interface does a pinned link hold?

use std::{
    ffi::CString,
    io, mem,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use aya_obj::generated::{bpf_attr, bpf_cmd, bpf_link_info, bpf_link_type};

/// Index of the interface that a pinned XDP link holds; `None` for a link whose interface is gone or which was
/// cut, and for a link of another type.
///
/// # Errors
/// What the kernel answered; `NotFound` where there is no pin.
pub(super) fn pinned_link_ifindex(path: &Path) -> io::Result<Option<u32>> {
    let link = open_pin(path)?;
    // SAFETY: both are plain data for which zeros are a value.
    let (mut info, mut attr) =
        unsafe { (mem::zeroed::<bpf_link_info>(), mem::zeroed::<bpf_attr>()) };
    attr.info.bpf_fd = link.as_raw_fd().unsigned_abs();
    attr.info.info_len = u32::try_from(mem::size_of::<bpf_link_info>()).unwrap_or(0);
    attr.info.info = (&raw mut info).addr() as u64;
    // SAFETY: the attributes are those of the command; `info` outlives the call and is as long as they say.
    unsafe { bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr)? };
    if info.type_ != bpf_link_type::BPF_LINK_TYPE_XDP as u32 {
        return Ok(None);
    }
    // SAFETY: the kernel fills this member for links of type XDP.
    let ifindex = unsafe { info.__bindgen_anon_1.xdp.ifindex };
    Ok((ifindex != 0).then_some(ifindex))
}

fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: plain data for which zeros are a value.
    let mut attr = unsafe { mem::zeroed::<bpf_attr>() };
    attr.__bindgen_anon_4.pathname = path.as_ptr().addr() as u64;
    // SAFETY: the attributes are those of the command; `path` outlives the call.
    let fd = unsafe { bpf(bpf_cmd::BPF_OBJ_GET, &mut attr)? };
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
