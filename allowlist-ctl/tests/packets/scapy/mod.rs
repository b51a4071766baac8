//! Packets made by scapy: a builder that has no mistake in common with this project's own, nor with its parser.

use std::{path::Path, process::Command};

use allowlist::kernel::Variant;
use allowlist_common::parse::Aside;
use serde_json::Value;

use crate::{
    bed::in_lab,
    rows::check_all,
    table::{Fate, Row, row},
    wire::{on_cable, send_all},
};

/// Debian's, which its package of scapy is for; another one that comes first in `PATH` knows nothing of it.
const PYTHON: &str = "/usr/bin/python3";

fn fate(text: &str) -> Fate {
    match text {
        "admitted" => Fate::Admitted,
        "denied" => Fate::Denied,
        "open" => Fate::Open,
        "would deny" => Fate::WouldDeny,
        "no service" => Fate::NoService,
        "later fragment" => Fate::Later { allowed: false },
        "later fragment, allowed" => Fate::Later { allowed: true },
        "not ip" => Fate::Passed(Aside::NotIp),
        "other protocol" => Fate::Passed(Aside::OtherProtocol),
        "frame cut off" => Fate::Unreadable(Aside::FrameCutOff),
        "too many tags" => Fate::Unreadable(Aside::TooManyTags),
        "bad ip header" => Fate::Unreadable(Aside::BadIpHeader),
        "extension cut off" => Fate::Unreadable(Aside::ExtensionCutOff),
        "too many extensions" => Fate::Unreadable(Aside::TooManyExtensions),
        "ports cut off" => Fate::Unreadable(Aside::PortsCutOff),
        _ => panic!("there is no fate {text:?}"),
    }
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    assert_eq!(hexadecimal.len() % 2, 0);
    let starts = (0..hexadecimal.len()).step_by(2);
    starts.map(|at| u8::from_str_radix(&hexadecimal[at..at + 2], 16).unwrap()).collect()
}

/// What the script prints.
fn rows() -> Vec<Row> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packets/scapy/packets.py");
    let output = Command::new(PYTHON).arg(script).output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo xtask setup installs scapy; {complaints}");
    let read = |line: &str| {
        let packet: Value = serde_json::from_str(line).unwrap();
        let field = |name: &str| packet[name].as_str().unwrap().to_owned();
        row(field("name"), bytes(&field("frame")), fate(&field("fate")))
    };
    let rows: Vec<_> = String::from_utf8(output.stdout).unwrap().lines().map(read).collect();
    assert!(rows.len() > 200, "{} packets", rows.len());
    rows
}

#[test]
fn host_and_kernel_judge_every_packet_of_scapy_as_its_script_states() {
    in_lab(|bed| check_all(bed, &rows()));
}

#[test]
fn of_scapys_packets_exactly_those_that_pass_arrive_behind_the_program() {
    on_cable(Variant::Frags, |bed, cable| send_all(bed, cable, &rows()));
}
