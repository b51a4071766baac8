//! A small XDP program before the one that is measured: it draws a source address inside the
//! kernel, writes it into the packet, and goes on to another program by a tail call.
//!
//! A packet that is always the same is hot in every cache and says nothing. The harness is run with
//! the measured program behind it and with an empty one; the difference is what a packet costs.

use std::os::fd::{AsRawFd as _, OwnedFd};

use anyhow::Result;

use super::bpf;

/// Two programs that the harness goes on to, by index.
const EMPTY: u32 = 0;
const SUBJECT: u32 = 1;

pub(super) const XDP_DROP: u32 = 1;
pub(super) const XDP_PASS: u32 = 2;

/// An instruction as the kernel stores it (RFC 9669, section 3.1).
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Instruction {
    code: u8,
    /// Destination in the low half, source in the high half.
    registers: u8,
    offset: i16,
    immediate: i32,
}

pub(super) const fn op(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: from << 4 | to, offset, immediate }
}

pub(super) const EXIT: Instruction = op(0x95, 0, 0, 0, 0);

pub(super) const fn copy(to: u8, from: u8) -> Instruction {
    op(0xbf, to, from, 0, 0)
}

pub(super) const fn number(to: u8, immediate: i32) -> Instruction {
    op(0xb7, to, 0, 0, immediate)
}

pub(super) const fn add(to: u8, immediate: i32) -> Instruction {
    op(0x07, to, 0, 0, immediate)
}

/// 32 bits from memory to a register.
pub(super) const fn load(to: u8, from: u8, offset: i16) -> Instruction {
    op(0x61, to, from, offset, 0)
}

/// 32 bits from a register to memory.
const fn store(to: u8, offset: i16, from: u8) -> Instruction {
    op(0x63, to, from, offset, 0)
}

const fn call(helper: i32) -> Instruction {
    op(0x85, 0, 0, 0, helper)
}

/// A 64-bit immediate in two instructions; source 1 makes it the address of a map.
fn map(to: u8, map: &OwnedFd) -> [Instruction; 2] {
    [op(0x18, to, 1, 0, map.as_raw_fd()), op(0, 0, 0, 0, 0)]
}

const MAP_LOOKUP: i32 = 1;
const GET_PRANDOM_U32: i32 = 7;
const TAIL_CALL: i32 = 12;

/// Which family a packet is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) const BOTH: [Self; 2] = [Self::V4, Self::V6];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// Where the source address is in an Ethernet frame, and how many 32-bit words it has.
    const fn source(self) -> (i16, i16) {
        match self {
            Self::V4 => (14 + 12, 1),
            Self::V6 => (14 + 8, 4),
        }
    }

    /// A frame of 80 bytes with this protocol and destination port; its source is left open.
    pub(super) fn frame(self, protocol: u8, port: u16) -> Vec<u8> {
        let mut frame = vec![0; 80];
        let transport = match self {
            Self::V4 => {
                frame[12..24].copy_from_slice(&[8, 0, 0x45, 0, 0, 66, 0, 0, 0, 0, 64, protocol]);
                34
            }
            Self::V6 => {
                frame[12..22].copy_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0, 0, 26, protocol, 64]);
                54
            }
        };
        frame[transport + 2..transport + 4].copy_from_slice(&port.to_be_bytes());
        frame
    }
}

/// Where the sources come from.
#[derive(Clone, Copy)]
pub(super) enum Draw<'a> {
    /// Any address; of IPv6 any in `2000::/3`.
    Any,
    /// One of the first so many addresses of an array.
    OneOf(&'a OwnedFd, u32),
}

/// The harness, before a program and before an empty one.
pub(super) struct Harness {
    subject: OwnedFd,
    empty: OwnedFd,
    _programs: OwnedFd,
}

impl Harness {
    pub(super) fn new(subject: &OwnedFd, family: Family, draw: Draw<'_>) -> Result<Self> {
        // Programs that call each other have to agree on packets in several buffers, and nothing
        // tells what the subject does.
        Self::load(subject, family, draw, true)
            .or_else(|_| Self::load(subject, family, draw, false))
    }

    fn load(subject: &OwnedFd, family: Family, draw: Draw<'_>, frags: bool) -> Result<Self> {
        let programs = bpf::create_map(bpf::MapType::Programs, 4, 2)?;
        let nothing = bpf::load(&[number(0, XDP_PASS.cast_signed()), EXIT], frags)?;
        bpf::set_program(&programs, EMPTY, &nothing)?;
        bpf::set_program(&programs, SUBJECT, subject)?;
        let load = |next| bpf::load(&instructions(family, draw, &programs, next), frags);
        Ok(Self { subject: load(SUBJECT)?, empty: load(EMPTY)?, _programs: programs })
    }

    /// Nanoseconds of one packet above the empty program, and the verdict on the last one.
    pub(super) fn measure(&self, frame: &[u8], repeat: u32) -> Result<(u32, f64)> {
        let (_, empty) = bpf::test_run(&self.empty, frame, repeat)?;
        let (verdict, whole) = bpf::test_run(&self.subject, frame, repeat)?;
        Ok((verdict, (whole.as_secs_f64() - empty.as_secs_f64()) * 1e9))
    }
}

fn instructions(family: Family, draw: Draw<'_>, programs: &OwnedFd, next: u32) -> Vec<Instruction> {
    let mut code = draw_source(family, draw);
    code.push(copy(1, 6));
    code.extend(map(2, programs));
    code.extend([number(3, next.cast_signed()), call(TAIL_CALL), number(0, 0), EXIT]);
    code
}

/// The beginning of a program, which writes a source into the packet. Registers afterwards: 6 the
/// context, 7 the packet, of which 64 bytes may be read and written.
pub(super) fn draw_source(family: Family, draw: Draw<'_>) -> Vec<Instruction> {
    let (source, words) = family.source();
    let mut code = vec![
        copy(6, 1),
        load(7, 6, 0),
        load(2, 6, 4),
        copy(3, 7),
        add(3, 64),
        // The packet has 64 bytes, or else: aborted.
        op(0x3d, 2, 3, 2, 0),
        number(0, 0),
        EXIT,
    ];
    match draw {
        Draw::Any => {
            for word in 0..words {
                code.push(call(GET_PRANDOM_U32));
                if family == Family::V6 && word == 0 {
                    // The first byte is the lowest: its upper bits become 001.
                    code.extend([op(0x57, 0, 0, 0, !0xe0), op(0x47, 0, 0, 0, 0x20)]);
                }
                code.push(store(7, source + word * 4, 0));
            }
        }
        Draw::OneOf(addresses, count) => {
            // The remainder, in 32 bits.
            code.extend([call(GET_PRANDOM_U32), op(0x94, 0, 0, 0, count.cast_signed())]);
            code.push(store(10, -4, 0));
            code.extend(map(1, addresses));
            code.extend([copy(2, 10), add(2, -4), call(MAP_LOOKUP)]);
            // There is such an element, or else: aborted.
            code.extend([op(0x55, 0, 0, 1, 0), EXIT]);
            for word in 0..words {
                code.extend([load(1, 0, word * 4), store(7, source + word * 4, 1)]);
            }
        }
    }
    code
}
