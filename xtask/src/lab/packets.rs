//! Raw frames on an interface, from the Ethernet header on (packet(7)).

use std::{
    ffi::CString,
    io, mem,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    time::Duration,
};

use anyhow::{Context as _, Result};

use super::namespace::Namespace;

/// Of `linux/if_packet.h`.
const PACKET_AUXDATA: libc::c_int = 8;
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;
const TP_STATUS_VLAN_VALID: u32 = 1 << 4;

/// Longer than any frame of an interface with an MTU of 9216.
const LONGEST: usize = 1 << 14;
/// Two Ethernet addresses stand before a VLAN tag.
const ADDRESSES: usize = 12;

/// What the kernel says of a frame beside its bytes: `struct tpacket_auxdata`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Aside {
    status: u32,
    length: u32,
    captured: u32,
    link: u16,
    network: u16,
    vlan_control: u16,
    vlan_identifier: u16,
}

/// A socket for frames: it sends any, and receives all that come in, whoever they are for.
#[derive(Debug)]
pub struct PacketSocket {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl PacketSocket {
    /// Opens one on an interface of a namespace.
    ///
    /// # Errors
    ///
    /// Not root, or there is no such interface.
    pub fn open(namespace: &Namespace, interface: &str) -> Result<Self> {
        let socket = namespace.inside(|| open(interface))?;
        let socket = socket.with_context(|| format!("no packet socket on {interface}"))?;
        Ok(Self { socket, buffer: vec![0; LONGEST] })
    }

    /// Sends a frame.
    ///
    /// # Errors
    ///
    /// What the kernel answered: it takes no frames shorter than an Ethernet header or longer than the interface's MTU.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        // SAFETY: the frame outlives the call and is as long as it says.
        let sent =
            unsafe { libc::send(self.socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        usize::try_from(sent).map(drop).map_err(|_| io::Error::last_os_error())
    }

    /// The next frame that came in, or `None` where none comes in this time. VLAN tags are where they were on the wire.
    ///
    /// # Errors
    ///
    /// What the kernel answered.
    pub fn receive(&mut self, within: Duration) -> io::Result<Option<Vec<u8>>> {
        let mut wanted =
            libc::pollfd { fd: self.socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let timeout = libc::c_int::try_from(within.as_millis()).unwrap_or(libc::c_int::MAX);
        // SAFETY: one live structure, as the count says.
        match unsafe { libc::poll(&raw mut wanted, 1, timeout) } {
            0 => Ok(None),
            1.. => self.next_frame().map(Some),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn next_frame(&mut self) -> io::Result<Vec<u8>> {
        // Aligned as control messages have to be.
        let mut control = [0_u64; 16];
        let mut part =
            libc::iovec { iov_base: self.buffer.as_mut_ptr().cast(), iov_len: self.buffer.len() };
        // SAFETY: a structure of numbers and pointers, for which zeros are a value.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = mem::size_of_val(&control);
        // SAFETY: everything that the message points to lives on, and is as long as it says.
        let length = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut message, 0) };
        let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
        let mut frame = self.buffer[..length].to_vec();
        if let Some(aside) = aside(&message)
            && aside.status & TP_STATUS_VLAN_VALID != 0
        {
            let [a, b] = aside.vlan_identifier.to_be_bytes();
            let [c, d] = aside.vlan_control.to_be_bytes();
            frame.splice(ADDRESSES..ADDRESSES, [a, b, c, d]);
        }
        Ok(frame)
    }
}

/// What the kernel said of the frame of a message: the network stack keeps the outermost tag there.
fn aside(message: &libc::msghdr) -> Option<Aside> {
    // SAFETY: the kernel has filled in the message and its control buffer.
    let header = unsafe { libc::CMSG_FIRSTHDR(message).as_ref() }?;
    if header.cmsg_level != libc::SOL_PACKET || header.cmsg_type != PACKET_AUXDATA {
        return None;
    }
    // SAFETY: the data of such a message is this structure, which is nothing but numbers.
    Some(unsafe { libc::CMSG_DATA(header).cast::<Aside>().read_unaligned() })
}

/// A socket that hears nothing but this interface.
fn open(interface: &str) -> Result<OwnedFd> {
    let every = u16::try_from(libc::ETH_P_ALL)?.to_be();
    // Of no protocol yet: it would hear every interface until it is bound.
    // SAFETY: a call on plain numbers.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    check(fd)?;
    // SAFETY: the kernel has just made this descriptor for us.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    for option in [PACKET_AUXDATA, PACKET_IGNORE_OUTGOING] {
        let on: libc::c_int = 1;
        let length = libc::socklen_t::try_from(mem::size_of_val(&on))?;
        // SAFETY: the value outlives the call and is as long as it says.
        check(unsafe {
            libc::setsockopt(fd, libc::SOL_PACKET, option, (&raw const on).cast(), length)
        })?;
    }
    let name = CString::new(interface)?;
    // SAFETY: the name outlives the call and ends with a zero.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    // SAFETY: a structure of numbers, for which zeros are a value.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET)?;
    address.sll_protocol = every;
    address.sll_ifindex = i32::try_from(index)?;
    if index == 0 {
        return Err(io::Error::last_os_error().into());
    }
    let length = libc::socklen_t::try_from(mem::size_of_val(&address))?;
    // SAFETY: the address outlives the call and is as long as it says.
    check(unsafe { libc::bind(fd, (&raw const address).cast(), length) })?;
    Ok(socket)
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
