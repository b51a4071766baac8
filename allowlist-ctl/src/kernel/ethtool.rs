//! What a network card's driver tells of itself, by ethtool's ioctl (`linux/ethtool.h`).

use std::{
    io, mem,
    os::{fd::AsRawFd as _, unix::net::UnixDatagram},
};

const SIOCETHTOOL: libc::Ioctl = 0x8946;

const GDRVINFO: u32 = 0x03;
const GSTRINGS: u32 = 0x1b;
const GSSET_INFO: u32 = 0x37;
const GFEATURES: u32 = 0x3a;
const GCHANNELS: u32 = 0x3c;
/// The set of the names of features.
const FEATURES: u32 = 4;

const WORD: usize = 4;
/// Bytes of a name, filled up with zeros.
const NAME: usize = 32;
/// Words of the largest structure of fixed size.
const LARGEST: usize = 49;

/// What a driver tells.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Driver {
    /// Its name.
    pub(super) name: Option<String>,
    /// Those of `rx-lro` and `rx-gro-hw` that are on.
    pub(super) merging: Vec<&'static str>,
    /// How many combined queues there are, and how many there could be.
    pub(super) queues: Option<(u32, u32)>,
}

/// Asks the driver of an interface; what it does not tell is left out.
pub(super) fn driver(interface: &str) -> Driver {
    let Ok(socket) = UnixDatagram::unbound() else { return Driver::default() };
    Driver {
        name: name(&socket, interface),
        merging: merging(&features(&socket, interface).unwrap_or_default()),
        queues: queues(&socket, interface),
    }
}

fn name(socket: &UnixDatagram, interface: &str) -> Option<String> {
    let mut words = [0; LARGEST];
    words[0] = GDRVINFO;
    ask(socket, interface, &mut words).ok()?;
    Some(text(&words[1..=NAME / WORD])).filter(|name| !name.is_empty())
}

fn queues(socket: &UnixDatagram, interface: &str) -> Option<(u32, u32)> {
    let mut words = [0; LARGEST];
    words[0] = GCHANNELS;
    ask(socket, interface, &mut words).ok()?;
    // The largest numbers of receive, transmit, other and combined queues, then those there are.
    Some((words[8], words[4])).filter(|(_, most)| *most > 0)
}

/// Those by which packets are merged before XDP could see them.
fn merging(features: &[String]) -> Vec<&'static str> {
    let is_on = |wanted: &&str| features.iter().any(|feature| feature == wanted);
    ["rx-lro", "rx-gro-hw"].into_iter().filter(is_on).collect()
}

/// The features that are on.
fn features(socket: &UnixDatagram, interface: &str) -> io::Result<Vec<String>> {
    // The sets that are asked for are bits of 64, in the order of the host's bytes; the kernel leaves those that it knows,
    // and their sizes follow.
    let asked = halves(1 << FEATURES);
    let mut info = [0; LARGEST];
    (info[0], info[2], info[3]) = (GSSET_INFO, asked[0], asked[1]);
    ask(socket, interface, &mut info)?;
    if info[2..4] != asked || info[4] == 0 {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let count = info[4] as usize;

    let mut names = vec![0; 3 + count * NAME / WORD];
    (names[0], names[1], names[2]) = (GSTRINGS, FEATURES, info[4]);
    ask(socket, interface, &mut names)?;

    // Four words for each 32 features: which can be set, are asked for, are on, and never change.
    let blocks = count.div_ceil(32);
    let mut features = vec![0; 2 + blocks * 4];
    features[0] = GFEATURES;
    features[1] = info[4].div_ceil(32);
    ask(socket, interface, &mut features)?;

    let names = names[3..].chunks(NAME / WORD).map(text).enumerate();
    let on = names.filter(|(number, _)| {
        let active = features.get(2 + number / 32 * 4 + 2).copied().unwrap_or(0);
        active & 1 << (number % 32) != 0
    });
    Ok(on.map(|(_, name)| name).collect())
}

/// A number as the two words that it takes in a structure.
fn halves(number: u64) -> [u32; 2] {
    let bytes = number.to_ne_bytes();
    [0, WORD].map(|at| u32::from_ne_bytes(std::array::from_fn(|byte| bytes[at + byte])))
}

/// The text in some words, up to the first zero.
fn text(words: &[u32]) -> String {
    let bytes = words.iter().flat_map(|word| word.to_ne_bytes());
    let bytes: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Asks a question whose structure is these words, with room for the answer.
fn ask(socket: &UnixDatagram, interface: &str, words: &mut [u32]) -> io::Result<()> {
    // SAFETY: plain data for which zeros are a value.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    if interface.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    request.ifr_ifru.ifru_data = words.as_mut_ptr().cast();
    // SAFETY: the kernel reads and writes as many words as the questions above have room for. The fixed structures, and the
    // size of one set behind its question, are no larger than `LARGEST`. Of features it writes as many blocks as the head
    // says. Of names it writes all there are, whatever the head says: the number of features is a constant of the kernel,
    // which it has told before.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_that_are_on_are_told_by_name() {
        let socket = UnixDatagram::unbound().unwrap();
        let on = features(&socket, "lo").unwrap();
        let is_on = |name: &str| on.iter().any(|feature| feature == name);
        // These are always so; others stand between them.
        for (name, expected) in [("loopback", true), ("highdma", true), ("rx-lro", false)] {
            assert_eq!(is_on(name), expected, "{name} in {on:?}");
        }
        let error = features(&socket, "nowhere").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }

    #[test]
    fn a_number_of_two_words_has_its_bytes_in_the_hosts_order() {
        let number = 0x0102_0304_0506_0708_u64;
        assert_eq!(halves(number).map(u32::to_ne_bytes).concat(), number.to_ne_bytes());
    }

    #[test]
    fn those_that_merge_packets_are_picked_out() {
        let on = ["rx-gro", "rx-gro-hw", "highdma", "rx-lro"].map(str::to_owned);
        assert_eq!(merging(&on), ["rx-lro", "rx-gro-hw"]);
        assert!(merging(&on[..1]).is_empty());
    }

    #[test]
    fn nobody_drives_what_is_not_there() {
        for interface in ["nowhere", "longer than any interface's name"] {
            assert_eq!(driver(interface), Driver::default(), "{interface}");
        }
    }
}
