//! A cable to a host on which frames are sent byte by byte, and a tap behind the filter.
//!
//! Nobody else sends on it: what its device counts is what was sent here. The frames are addressed to another host's
//! hardware, so that the network stack behind the filter throws them away at once.

use std::{
    io,
    mem::size_of,
    net::IpAddr,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{
    namespace::Namespace,
    network::{Host, INTERFACE, link},
    wait::until,
};

/// How long a frame that was sent may take to be judged on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of frames that a tap holds while nobody takes them.
const TAP_BUFFER: libc::c_int = 64 << 20;
const PAYLOAD: usize = 18;

/// A cable from a namespace of its own to a host's interface.
#[derive(Debug)]
pub struct Wire {
    namespace: Namespace,
    sender: OwnedFd,
}

impl Wire {
    /// Lays it, to an interface of the host that is made for it.
    ///
    /// # Errors
    ///
    /// Not root, or the link does not come up.
    pub fn new(host: &Host, interface: &str) -> Result<Self> {
        let namespace = Namespace::new("wire")?;
        // Without addresses it sends nothing by itself.
        namespace.sysctl("net/ipv6/conf/default/disable_ipv6", "1")?;
        link(&namespace, INTERFACE, &host.namespace, interface)?;
        let sender = packet_socket(&namespace, INTERFACE, 0)?;
        Ok(Self { namespace, sender })
    }

    /// Sends a frame; one for which there was no room is counted by [`Wire::dropped`].
    ///
    /// # Errors
    ///
    /// The device does not take it for another reason.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        // SAFETY: the socket is open, and the kernel reads as many bytes as the slice has.
        let sent =
            unsafe { libc::send(self.sender.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        if sent >= 0 {
            return Ok(());
        }
        match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(()),
            error => Err(error).context("a frame can't be sent"),
        }
    }

    /// How many frames the cable has lost before anybody judged them.
    ///
    /// # Errors
    ///
    /// The device is gone.
    pub fn dropped(&self) -> Result<u64> {
        let links =
            self.namespace.run("ip", &["-json", "-statistics", "link", "show", INTERFACE])?;
        let links: Value = serde_json::from_str(&links)?;
        let dropped = links[0]["stats64"]["tx"]["dropped"].as_u64();
        dropped.with_context(|| format!("no drops in {links}"))
    }
}

/// What comes through the filter at an interface.
#[derive(Debug)]
pub struct Tap {
    socket: OwnedFd,
}

impl Tap {
    /// Taps an interface of a namespace.
    ///
    /// # Errors
    ///
    /// Not root, or no such interface.
    pub fn new(namespace: &Namespace, interface: &str) -> Result<Self> {
        let socket = packet_socket(namespace, interface, libc::ETH_P_ALL)?;
        set(&socket, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1)?;
        set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, TAP_BUFFER)?;
        Ok(Self { socket })
    }

    /// The next frame, if one has come through.
    ///
    /// # Errors
    ///
    /// The interface is gone.
    pub fn next(&self) -> Result<Option<Vec<u8>>> {
        let mut frame = vec![0; 2048];
        // SAFETY: the kernel writes at most as many bytes as the vector has.
        let length = unsafe {
            libc::recv(
                self.socket.as_raw_fd(),
                frame.as_mut_ptr().cast(),
                frame.len(),
                libc::MSG_DONTWAIT,
            )
        };
        if let Ok(length) = usize::try_from(length) {
            frame.truncate(length);
            return Ok(Some(frame));
        }
        match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            error => Err(error).context("the tap is dry"),
        }
    }

    /// How many frames have come through since this was asked last, those included for which there was no room.
    ///
    /// # Errors
    ///
    /// The socket is not to be asked.
    pub fn came_through(&self) -> Result<u64> {
        let mut counted = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut length = libc::socklen_t::try_from(size_of::<libc::tpacket_stats>())?;
        // SAFETY: the kernel writes at most `length` bytes of numbers into a structure of them.
        let result = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut counted).cast(),
                &raw mut length,
            )
        };
        if result != 0 {
            return Err(io::Error::last_os_error()).context("the tap does not count");
        }
        Ok(counted.tp_packets.into())
    }

    /// Waits for a frame that ends so, and returns those that came before it.
    ///
    /// # Errors
    ///
    /// It does not come.
    pub fn until(&self, end: &[u8]) -> Result<Vec<Vec<u8>>> {
        let mut frames = Vec::new();
        until("the last frame at the tap", PATIENCE, || {
            while let Ok(Some(frame)) = self.next() {
                if frame.ends_with(end) {
                    return Some(());
                }
                frames.push(frame);
            }
            None
        })?;
        Ok(frames)
    }
}

/// A UDP frame to a port of an address, with a number at its end.
///
/// # Panics
///
/// Where source and destination are of different families.
#[must_use]
pub fn udp_frame(source: IpAddr, destination: IpAddr, port: u16, number: u64) -> Vec<u8> {
    const UDP: u8 = 17;
    // Locally administered addresses, and no interface's.
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    let udp_length = u16::try_from(8 + PAYLOAD).unwrap_or_default().to_be_bytes();
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let length = u16::try_from(20 + 8 + PAYLOAD).unwrap_or_default().to_be_bytes();
            frame.extend([8, 0, 0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, UDP, 0, 0]);
            frame.extend(source.octets());
            frame.extend(destination.octets());
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, udp_length[0], udp_length[1], UDP, 64]);
            frame.extend(source.octets());
            frame.extend(destination.octets());
        }
        _ => panic!("{source} can't send to {destination}"),
    }
    frame.extend([0x13, 0x88]);
    frame.extend(port.to_be_bytes());
    frame.extend(udp_length);
    frame.extend([0; 2 + PAYLOAD - 8]);
    frame.extend(number.to_be_bytes());
    frame
}

/// A socket for whole frames at an interface; protocol 0 receives nothing.
fn packet_socket(namespace: &Namespace, interface: &str, protocol: libc::c_int) -> Result<OwnedFd> {
    let protocol = u16::try_from(protocol)?.to_be();
    let open = || -> Result<OwnedFd> {
        // SAFETY: socket(2) takes plain numbers.
        let socket =
            unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if socket < 0 {
            return Err(io::Error::last_os_error()).context("no packet socket; not root?");
        }
        // SAFETY: it has just been opened, and nobody else has it.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        let name = std::ffi::CString::new(interface)?;
        // SAFETY: the name ends with a zero byte.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        // SAFETY: a structure of numbers, for which zeros are a value.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = u16::try_from(libc::AF_PACKET)?;
        address.sll_protocol = protocol;
        address.sll_ifindex = i32::try_from(index)?;
        let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>())?;
        // SAFETY: the address is a live structure of this length.
        let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
        if index == 0 || bound != 0 {
            return Err(io::Error::last_os_error()).context(format!("no {interface} to bind to"));
        }
        Ok(socket)
    };
    namespace.inside(open)?
}

fn set(
    socket: &OwnedFd,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> Result<()> {
    let length = libc::socklen_t::try_from(size_of::<libc::c_int>())?;
    // SAFETY: the value is a live number of this length.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), length)
    };
    if result != 0 {
        return Err(io::Error::last_os_error()).context("an option of a socket can't be set");
    }
    Ok(())
}
