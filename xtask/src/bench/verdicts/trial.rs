//! What a verdict costs while another policy is on trial, beside what it costs without.

use std::{fs, os::fd::OwnedFd, path::Path};

use anyhow::{Result, ensure};
use serde_json::json;

use super::{
    super::{
        bed::{Bed, Place},
        harness::{Family, XDP_DROP, XDP_PASS},
        report::{Report, Unit},
    },
    REPEAT, ROUNDS, Stage, TCP, check, write_list,
};

const ENTRIES: u32 = 1_000;
const PORT: u16 = 1;

/// Measures it with a list of which all is on trial, too.
pub(super) fn measure(binaries: &Path, addresses: [OwnedFd; 2], report: &mut Report) -> Result<()> {
    let bed = Bed::new(binaries, Place::Memory)?;
    let settings = json!({ "ports": [format!("tcp/{PORT}")] });
    bed.connect()?.json("PUT", "/v1/services/tried", &settings)?;
    let list = bed.directory().join("list");
    write_list(&list, ENTRIES)?;
    let list = fs::read(&list)?;
    bed.replace("tried", &list)?;
    let mut stage = Stage { program: bed.program()?, addresses, cases: Vec::new() };
    for family in Family::BOTH {
        for (judged, one_of, verdict) in
            [("denied", None, XDP_DROP), ("admitted", Some(ENTRIES), XDP_PASS)]
        {
            let name = format!("{judged}, {ENTRIES} entries, {}", family.name());
            stage.add(name, family, one_of, family.frame(TCP, PORT), verdict, None)?;
        }
    }
    check(&bed, &stage.cases)?;
    for (is_on, suffix) in [(false, "nothing on trial"), (true, "a policy on trial")] {
        if is_on {
            let path = "/v1/trial/tried?seconds=3600";
            bed.connect()?.request("POST", path, "text/plain", &list)?;
        }
        for _ in 0..ROUNDS {
            for case in &mut stage.cases {
                let (verdict, nanoseconds) = case.harness.measure(&case.frame, REPEAT)?;
                ensure!(verdict == case.verdict, "{}: {verdict}", case.name);
                case.samples.push(nanoseconds);
            }
        }
        for case in &mut stage.cases {
            let samples = std::mem::take(&mut case.samples);
            report.add(format!("{}, {suffix}", case.name), Unit::Nanoseconds, samples, None);
        }
    }
    let trial = bed.connect()?.get("/v1/trial")?;
    ensure!(trial["packets"].as_u64() > Some(REPEAT.into()), "not judged twice: {trial}");
    ensure!(trial["newly_dropped"] == 0 && trial["newly_admitted"] == 0, "{trial}");
    Ok(())
}
