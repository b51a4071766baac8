//! Lists of prefixes: random ones, always the same, and real ones from files.

use std::{
    fmt,
    fs::File,
    io::{self, BufWriter, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::harness::Family;

/// Lengths as operators use them: networks and single hosts.
const V4_LENGTHS: RangeInclusive<u32> = 20..=32;
const V6_LENGTHS: RangeInclusive<u32> = 32..=64;

/// Longer ones, so that few addresses are covered however many there are.
const LONG_V4: RangeInclusive<u32> = 24..=32;
const LONG_V6: RangeInclusive<u32> = 32..=128;

/// An address and how many of its bits count; the others are zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Prefix {
    pub(super) address: IpAddr,
    pub(super) length: u32,
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl Prefix {
    fn covers(&self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros() >= self.length
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros() >= self.length
            }
            _ => false,
        }
    }

    /// An address that it covers; which one, the random bits say.
    pub(super) fn host(&self, random: u128) -> IpAddr {
        match self.address {
            IpAddr::V4(own) => {
                let mask = u32::MAX.checked_shr(self.length).unwrap_or_default();
                let random = u32::try_from(random & u128::from(mask)).unwrap_or_default();
                Ipv4Addr::from_bits(own.to_bits() | random).into()
            }
            IpAddr::V6(own) => {
                let mask = u128::MAX.checked_shr(self.length).unwrap_or_default();
                Ipv6Addr::from_bits(own.to_bits() | random & mask).into()
            }
        }
    }
}

/// The long random prefix of this index: /24 to /32, or /32 to /128.
pub(super) fn long(family: Family, index: u32) -> Prefix {
    match family {
        Family::V4 => {
            let (address, length) = ipv4(&LONG_V4, index);
            Prefix { address: address.into(), length }
        }
        Family::V6 => {
            let (address, length) = ipv6(&LONG_V6, index);
            Prefix { address: address.into(), length }
        }
    }
}

/// So many prefixes, in words.
pub(super) fn counted(count: usize) -> String {
    match count {
        1 => "1 prefix".to_owned(),
        count => format!("{count} prefixes"),
    }
}

/// So many long random prefixes of which none covers another: some programs refuse those that do.
pub(super) fn disjoint(family: Family, count: usize) -> Result<Vec<Prefix>> {
    let candidates = u32::try_from(count + count / 10 + 1)?;
    let mut prefixes: Vec<_> = (0..candidates).map(|index| (long(family, index), index)).collect();
    // Each comes right before those that it covers.
    prefixes.sort_unstable();
    prefixes.dedup_by(|next, kept| kept.0.covers(next.0.address));
    prefixes.sort_unstable_by_key(|(_, index)| *index);
    prefixes.truncate(count);
    ensure!(prefixes.len() == count, "of {candidates} prefixes too many cover others");
    Ok(prefixes.into_iter().map(|(prefix, _)| prefix).collect())
}

/// The random IPv4 prefix of this index: its address and length. Each index has another one.
pub(super) fn ipv4(lengths: &RangeInclusive<u32>, index: u32) -> (Ipv4Addr, u32) {
    let (length, number) = spread(lengths, index);
    let address = u32::try_from(permute(number.into(), length)).unwrap_or_default();
    (Ipv4Addr::from_bits(address << (32 - length)), length)
}

/// The same for IPv6, in `2000::/3`, which is all of the global unicast space.
pub(super) fn ipv6(lengths: &RangeInclusive<u32>, index: u32) -> (Ipv6Addr, u32) {
    let (length, number) = spread(lengths, index);
    // The network's half makes it another one, also among the lengths that have all of it; the
    // host's half is as random.
    let network = length.min(64);
    let beyond = u64::from(length - network);
    let half = permute(u64::from(number) * 65 + beyond, network - 3) | 1 << (network - 3);
    let host = u128::from(permute(half, 63)) & !(u128::MAX << beyond);
    let address = u128::from(half) << (length - network) | host;
    (Ipv6Addr::from_bits(address << (128 - length)), length)
}

/// The length for an index, and how many smaller indexes share it.
fn spread(lengths: &RangeInclusive<u32>, index: u32) -> (u32, u32) {
    let span = lengths.end() - lengths.start() + 1;
    (lengths.start() + index % span, index / span)
}

/// Mixes the numbers of so many bits (1 to 63) such that no two become the same: each step can be
/// undone, the multiplication because the factor is odd.
fn permute(number: u64, bits: u32) -> u64 {
    let mask = (1 << bits) - 1;
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15) & mask;
    for factor in [0xbf58_476d_1ce4_e5b9_u64, 0x94d0_49bb_1331_11eb, 0xd6e8_feb8_6659_fd93] {
        mixed = mixed.wrapping_mul(factor) & mask;
        mixed ^= mixed >> bits.div_ceil(2);
    }
    mixed
}

/// Writes a file of so many random prefixes, as many of each family.
pub(super) fn write_random(path: &Path, count: u32) -> Result<()> {
    write_others(path, 0, count)
}

/// The same without the first so many, which are other ones.
pub(super) fn write_others(path: &Path, first: u32, count: u32) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for index in first / 2..first / 2 + count / 2 {
        let (address, length) = ipv4(&V4_LENGTHS, index);
        writeln!(file, "{address}/{length}")?;
        let (address, length) = ipv6(&V6_LENGTHS, index);
        writeln!(file, "{address}/{length}")?;
    }
    file.flush().with_context(|| format!("{} can't be written", path.display()))
}

/// Writes the named real lists, such as `eu-v4`, one after another into a file. Says how many
/// lines they have; some of the European Union's stand there twice.
pub(super) fn write_real(path: &Path, directory: &Path, names: &[&str]) -> Result<usize> {
    let mut file = File::create(path)?;
    for name in names {
        let plain = directory.join(format!("{name}.txt"));
        let packed = directory.join(format!("{name}.txt.gz"));
        if plain.exists() {
            io::copy(&mut File::open(plain)?, &mut file)?;
            continue;
        }
        if !packed.exists() {
            bail!("{} has neither {name}.txt nor {name}.txt.gz", directory.display());
        }
        let gzip = Command::new("gzip")
            .arg("-dc")
            .arg(packed)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .status()
            .context("gzip can't be run")?;
        if !gzip.success() {
            bail!("gzip can't read {name}.txt.gz");
        }
    }
    Ok(io::BufRead::lines(io::BufReader::new(File::open(path)?)).count())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_random_prefixes_are_the_same() {
        const COUNT: u32 = 100_000;
        let v4: HashSet<_> = (0..COUNT).map(|index| ipv4(&V4_LENGTHS, index)).collect();
        let v6: HashSet<_> = (0..COUNT).map(|index| ipv6(&V6_LENGTHS, index)).collect();
        assert_eq!([v4.len(), v6.len()], [COUNT as usize; 2]);
    }

    #[test]
    fn long_prefixes_cover_no_other_one_and_are_of_all_lengths() {
        const COUNT: usize = 20_000;
        for family in Family::BOTH {
            let prefixes = disjoint(family, COUNT).unwrap();
            assert_eq!(prefixes.len(), COUNT);
            let known: HashSet<_> = prefixes.iter().copied().collect();
            for prefix in &prefixes {
                let shorter = (24..prefix.length).find(|length| {
                    let drop = u128::MAX.checked_shr(*length).unwrap_or_default();
                    let address = match prefix.address {
                        IpAddr::V4(own) => Ipv4Addr::from_bits(
                            own.to_bits() & !u32::MAX.checked_shr(*length).unwrap_or_default(),
                        )
                        .into(),
                        IpAddr::V6(own) => Ipv6Addr::from_bits(own.to_bits() & !drop).into(),
                    };
                    known.contains(&Prefix { address, length: *length })
                });
                assert_eq!(shorter, None, "{prefix}");
                assert!(prefix.covers(prefix.host(u128::MAX)), "{prefix}");
                assert!(prefix.covers(prefix.host(0)), "{prefix}");
            }
            let lengths: HashSet<_> = prefixes.iter().map(|prefix| prefix.length).collect();
            let all = match family {
                Family::V4 => LONG_V4,
                Family::V6 => LONG_V6,
            };
            assert_eq!(lengths, all.collect());
        }
    }

    #[test]
    fn random_prefixes_have_no_host_bits_and_lie_where_they_should() {
        for index in 0..10_000 {
            let (address, length) = ipv4(&V4_LENGTHS, index);
            assert!(V4_LENGTHS.contains(&length));
            assert!(address.to_bits().trailing_zeros() >= 32 - length, "{address}/{length}");
            for lengths in [V6_LENGTHS, LONG_V6] {
                let (address, length) = ipv6(&lengths, index);
                assert!(lengths.contains(&length));
                assert!(address.to_bits().trailing_zeros() >= 128 - length, "{address}/{length}");
                assert_eq!(address.segments()[0] >> 13, 1, "{address}");
            }
        }
    }
}
