//! Packets from random sources as the kernel makes them, over a cable to a device: a test run of a
//! small XDP program on real frames, which transmits each from the other end of the cable.
//!
//! The cable is a veth pair. Its receiving end takes frames only while it polls, which it does with
//! an XDP program or with GRO on; the polling is done by a thread of the kernel, which stays on a
//! CPU of its own. What that thread takes of the CPU is what the packets cost, however fast they
//! come and whatever else the machine does: rates are of its seconds.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _},
    os::fd::OwnedFd,
    process,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use xtask::lab::{Namespace, link};

use super::{
    bpf,
    harness::{Draw, EXIT, Family, Instruction, XDP_DROP, copy, draw_source, load, number, op},
    usage,
};

const XDP_TX: u32 = 3;
const UDP: u8 = 17;
/// The sending end.
const SENDER: &str = "feed";
const SENDER_CPU: usize = 0;
/// Frames of one test run: some tenths of a second, and its beginning and end take hundredths.
const BURST: u32 = 400_000;
/// Of the receiver's CPU, until caches and branch predictors know what they are at.
const WARM_UP: Duration = Duration::from_millis(50);
/// Between two looks at what it has had.
const LOOK: Duration = Duration::from_millis(10);
const TIMES_AS_LONG: u32 = 4;
/// Packets that say anything, and how long they may take to come.
const FEWEST: u64 = 10_000;
const PATIENCE: Duration = Duration::from_secs(10);
/// Of the receiving end's hardware, or else its packets are somebody else's.
const MAC: [u8; 6] = [2, 0x77, 0, 0, 1, 1];

static LAID: AtomicU32 = AtomicU32::new(0);

/// A cable to a device of a namespace, and the feed at its other end.
pub(super) struct Cable {
    /// The receiving device.
    pub(super) interface: String,
    /// The name of its namespace.
    receiver: String,
    program: OwnedFd,
    frame: Vec<u8>,
    /// Of the sending end.
    ifindex: u32,
    _rejects: OwnedFd,
    sender: Namespace,
    /// What the devices of the receiving namespace count.
    counters: File,
}

/// What the receiving end has done in a while.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// Packets that it has taken.
    pub(super) packets: u64,
    /// What its thread had of a CPU meanwhile.
    pub(super) cpu: Duration,
    /// How long the while was.
    pub(super) time: Duration,
}

impl Turn {
    /// Packets in each second of the receiver.
    #[expect(clippy::cast_precision_loss, reason = "packets of a second or so")]
    pub(super) fn rate(&self) -> f64 {
        self.packets as f64 / self.cpu.as_secs_f64()
    }
}

impl Cable {
    /// Lays it to a new interface of a namespace. Packets of the family go to this UDP port.
    pub(super) fn new(receiver: &Namespace, family: Family, port: u16) -> Result<Self> {
        let sender = Namespace::new("feed")?;
        // Without addresses it sends nothing by itself.
        sender.sysctl("net/ipv6/conf/default/disable_ipv6", "1")?;
        let number = LAID.fetch_add(1, Ordering::Relaxed);
        // A name that no other device of the machine has: so the polling thread is found.
        let interface = format!("f{}n{number}", process::id());
        link(&sender, SENDER, receiver, &interface)?;
        let mac: Vec<_> = MAC.iter().map(|byte| format!("{byte:02x}")).collect();
        receiver.ip(&[format!("link set {interface} address {}", mac.join(":"))])?;
        let counters = receiver.inside(|| File::open("/proc/thread-self/net/dev"))??;

        let links = sender.run("ip", &["-json", "link", "show", SENDER])?;
        let ifindex = serde_json::from_str::<Value>(&links)?[0]["ifindex"].as_u64();
        let ifindex = u32::try_from(ifindex.context("the sending end has no index")?)?;
        let frame = frame(family, port);
        let program = bpf::load(&instructions(family, &frame), false)?;
        // An end without a program has no queue that a test run could be on.
        let rejects = bpf::load(&[number_of(XDP_DROP), EXIT], false)?;
        let rejects = sender.inside(|| bpf::attach(&rejects, ifindex))??;
        let receiver = receiver.name().to_owned();
        Ok(Self {
            interface,
            receiver,
            program,
            frame,
            ifindex,
            _rejects: rejects,
            sender,
            counters,
        })
    }

    /// Has the receiving end poll, which has no program.
    pub(super) fn poll(&self, receiver: &Namespace) -> Result<()> {
        receiver.run("ethtool", &["-K", &self.interface, "gro", "on"]).map(drop)
    }

    /// Puts a program on the receiving end, until the link is dropped.
    pub(super) fn attach(&self, receiver: &Namespace, program: &OwnedFd) -> Result<OwnedFd> {
        let links = receiver.run("ip", &["-json", "link", "show", &self.interface])?;
        let ifindex = serde_json::from_str::<Value>(&links)?[0]["ifindex"].as_u64();
        let ifindex = u32::try_from(ifindex.context("the receiving end has no index")?)?;
        receiver.inside(|| bpf::attach(program, ifindex))?
    }

    /// Sends until the receiving end has had so much of its CPU, and says what it did with it.
    pub(super) fn feed(&self, cpu: Duration) -> Result<Turn> {
        let poller = match self.poller()? {
            Some(poller) => poller,
            None => self.poll_by_thread()?,
        };
        let cpus = thread::available_parallelism().context("no count of CPUs")?.get();
        usage::stay_on(poller, (SENDER_CPU + 1) % cpus)?;
        let end = AtomicBool::new(false);
        thread::scope(|scope| {
            let sending = scope.spawn(|| {
                self.sender.inside(|| {
                    usage::stay_on(0, SENDER_CPU)?;
                    while !end.load(Ordering::Relaxed) {
                        bpf::live_run(&self.program, &self.frame, self.ifindex, BURST)?;
                    }
                    anyhow::Ok(())
                })?
            });
            let turn = self.watch(poller, cpu);
            end.store(true, Ordering::Relaxed);
            sending.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            turn
        })
    }

    fn watch(&self, poller: u32, cpu: Duration) -> Result<Turn> {
        self.spend(poller, WARM_UP)?;
        self.spend(poller, cpu)
    }

    /// Waits until the receiving end has had so much of a CPU, or for some times as long, if it has
    /// had any: there may be other work on the machine, and it may be faster than the sender.
    fn spend(&self, poller: u32, cpu: Duration) -> Result<Turn> {
        let look = || anyhow::Ok((self.received()?, usage::exact_cpu_time(poller)?));
        let begin = Instant::now();
        let before = look()?;
        loop {
            thread::sleep(LOOK);
            let after = look()?;
            let turn = Turn {
                packets: after.0 - before.0,
                cpu: after.1.saturating_sub(before.1),
                time: begin.elapsed(),
            };
            let enough = turn.cpu >= cpu || turn.time >= cpu * TIMES_AS_LONG;
            if enough && turn.packets >= FEWEST {
                return Ok(turn);
            }
            ensure!(turn.time < PATIENCE, "{} gets no packets: {turn:?}", self.interface);
        }
    }

    /// Packets that the receiving end has taken so far.
    pub(super) fn received(&self) -> Result<u64> {
        let mut text = String::new();
        (&self.counters).rewind()?;
        (&self.counters).read_to_string(&mut text)?;
        let prefix = format!("{}:", self.interface);
        let line = text.lines().find_map(|line| line.trim_start().strip_prefix(&prefix));
        // Bytes come first.
        let packets = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        packets.with_context(|| format!("{} is gone", self.interface))
    }

    /// Packets that a program on the receiving end has dropped so far.
    pub(super) fn dropped(&self, receiver: &Namespace) -> Result<u64> {
        let statistics = receiver.run("ethtool", &["-S", &self.interface])?;
        let drops = statistics.lines().filter_map(|line| {
            let (name, count) = line.trim().split_once(": ")?;
            name.ends_with("_xdp_drops").then(|| count.parse::<u64>().ok()).flatten()
        });
        Ok(drops.sum())
    }

    /// The kernel's thread that polls the receiving end, if there is one.
    fn poller(&self) -> Result<Option<u32>> {
        let prefix = format!("napi/{}-", self.interface);
        let pids = fs::read_dir("/proc")?.flatten();
        let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Ok(pids.find(|pid: &u32| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm"));
            name.is_ok_and(|name| name.starts_with(&prefix))
        }))
    }

    /// Has a thread poll the receiving end. It has to poll already, and does not know of this any
    /// more once it has polled anew, for another program.
    fn poll_by_thread(&self) -> Result<u32> {
        // sysfs shows the devices of the namespace that it was mounted in.
        let threaded = format!("echo 1 > /sys/class/net/{}/threaded", self.interface);
        run("ip", &["netns", "exec", &self.receiver, "sh", "-c", &threaded])?;
        let poller = self.poller()?;
        poller.with_context(|| format!("{} is not polled by a thread", self.interface))
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let output = process::Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("{program} can't be run"))?;
    let reason = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {}", arguments.join(" "), reason.trim());
    Ok(())
}

/// A frame that the receiving host takes for its own, to an address that it has not.
fn frame(family: Family, port: u16) -> Vec<u8> {
    let mut frame = family.frame(UDP, port);
    frame[..6].copy_from_slice(&MAC);
    let transport = match family {
        Family::V4 => {
            frame[30..34].copy_from_slice(&[192, 0, 2, 1]);
            34
        }
        Family::V6 => {
            frame[38..42].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
            54
        }
    };
    let length = u16::try_from(frame.len() - transport).unwrap_or_default();
    frame[transport + 4..transport + 6].copy_from_slice(&length.to_be_bytes());
    frame
}

const fn number_of(verdict: u32) -> Instruction {
    number(0, verdict.cast_signed())
}

fn instructions(family: Family, frame: &[u8]) -> Vec<Instruction> {
    let mut code = draw_source(family, Draw::Any);
    if family == Family::V4 {
        code.extend(checksum(frame));
    }
    code.extend([number_of(XDP_TX), EXIT]);
    code
}

/// The header's checksum for the source that was drawn (RFC 1071): the host looks at it before any
/// of its filters but the first. The order of the bytes is the machine's, also in the sum.
fn checksum(frame: &[u8]) -> Vec<Instruction> {
    const HEADER: usize = 14;
    const CHECKSUM: i16 = 14 + 10;
    const SOURCE: i16 = 14 + 12;
    let right_shift = |register| op(0x77, register, 0, 0, 16);
    let low_half = |register| op(0x57, register, 0, 0, 0xffff);
    let add = |to, from| op(0x0f, to, from, 0, 0);
    let others: i32 = (0..20)
        .step_by(2)
        .filter(|offset| !(10..16).contains(offset))
        .map(|offset| {
            let word = [frame[HEADER + offset], frame[HEADER + offset + 1]];
            i32::from(u16::from_ne_bytes(word))
        })
        .sum();
    let fold = [copy(2, 1), right_shift(2), low_half(1), add(1, 2)];
    let mut code = vec![load(1, 7, SOURCE)];
    code.extend(fold);
    code.push(op(0x07, 1, 0, 0, others));
    code.extend(fold);
    code.extend(fold);
    // The complement, 16 bits of it to memory.
    code.extend([op(0xa7, 1, 0, 0, 0xffff), op(0x6b, 7, 1, CHECKSUM, 0)]);
    code
}
