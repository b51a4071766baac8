//! `cargo xtask vm --package`: the package on a Debian with systemd, from installing it to purging it.

mod root;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use self::root::Root;
use super::machine::{self, Boot};
use crate::{binaries, dist, output, privilege, setup};

/// What is run there.
const SCENARIO: [(&str, &str); 2] = [
    ("scenario.sh", include_str!("package/scenario.sh")),
    ("traffic.py", include_str!("package/traffic.py")),
];
/// Where the guide has the steps that are followed.
const GUIDE: &str = "docs/start.md";
/// How the blocks of what is typed there begin; others are for another machine.
const TYPED: [&str; 2] = ["sh", "sh package"];
/// Megabytes.
const MEMORY: u32 = 1024;
const LIMIT: Duration = Duration::from_mins(20);

/// Makes two versions, and a disk where there is none, and shows what the machine says.
pub(super) fn run(directory: &Path, update: bool) -> Result<()> {
    let begin = Instant::now();
    if !privilege::is_root() {
        bail!("the files of a Debian are root's: run it with sudo");
    }
    setup::ensure_packing()?;
    let directory = directory.join("package");
    fs::create_dir_all(&directory)?;
    let root = Root::of(&directory, update)?;
    let next = next(dist::VERSION)?;
    // The version that is given away last, so that its files are those that stay.
    let upgrade = dist::make(&next)?.deb;
    let package = dist::make(dist::VERSION)?.deb;
    let payload = pack(&directory, &package, &upgrade, &next)?;
    println!("built and packed in {:.0} s", begin.elapsed().as_secs_f64());

    let boot = Boot {
        kernel: &root.kernel,
        initrd: &root.initrd,
        parameters: "root=/dev/vda rw net.ifnames=0 systemd.show_status=false",
        memory: MEMORY,
        disks: &[&root.disk, &payload],
        has_cable: true,
        may_restart: true,
        limit: LIMIT,
    };
    let outcome = machine::run("package", &boot, &directory)?;
    if !outcome.is_ok {
        println!("{}", outcome.console.trim());
        bail!("the package is not as it should be");
    }
    println!(
        "the package: {} statements hold, {:.0} s in the machine, {:.0} s in all",
        outcome.passed,
        outcome.took.as_secs_f64(),
        begin.elapsed().as_secs_f64()
    );
    Ok(())
}

/// The version after one.
fn next(version: &str) -> Result<String> {
    let (series, patch) = version.rsplit_once('.').context("a version without a dot")?;
    Ok(format!("{series}.{}", patch.parse::<u32>()? + 1))
}

/// Packs what the machine runs into an archive, which is its second disk.
fn pack(directory: &Path, package: &Path, upgrade: &Path, next: &str) -> Result<PathBuf> {
    let files = directory.join("files");
    drop(fs::remove_dir_all(&files));
    fs::create_dir_all(&files)?;
    for (name, text) in SCENARIO {
        fs::write(files.join(name), text)?;
    }
    fs::write(files.join("run"), format!("export NEXT={next}\n. \"${{0%/*}}/scenario.sh\"\n"))?;
    let guide = fs::read_to_string(binaries::root().join(GUIDE))?;
    fs::write(files.join("steps"), steps(&guide))?;
    let name = package.file_name().context("a package without a name")?;
    fs::copy(package, files.join(name))?;
    fs::copy(upgrade, files.join("next.deb"))?;
    let payload = directory.join("payload");
    // A disk has whole blocks.
    let blocks = ["--create", "--blocking-factor=2048", "--file"];
    output(Command::new("tar").args(blocks).arg(&payload).arg("-C").arg(&files).arg("."))?;
    File::open(&payload)?.sync_all()?;
    Ok(payload)
}

/// The commands that are to be typed, the first of which installs the package.
fn steps(guide: &str) -> String {
    let blocks = guide.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    blocks.filter(|(begin, _)| TYPED.contains(begin)).map(|(_, text)| text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_has_the_steps() {
        let guide = fs::read_to_string(binaries::root().join(GUIDE)).unwrap();
        let steps = steps(&guide);
        let expected = [
            "apt install ./allowlist_",
            "name = \"eth0\"",
            "systemctl enable --now allowlistd",
            "allowlist-ctl add trusted 203.0.113.7 ",
            "allowlist-ctl protect redis tcp/6379",
            "allowlist-ctl add redis ",
        ];
        let places = expected.map(|line| steps.find(line).unwrap_or_else(|| panic!("no {line}")));
        assert!(places[0] == 0 && places.is_sorted(), "{places:?} in:\n{steps}");
    }

    #[test]
    fn only_what_is_typed_there_is_a_step() {
        let guide =
            "one\n```sh\na\nb\n```\n```sh read\nc\n```\n```text\nd\n```\n```sh package\ne\n```\n";
        assert_eq!(steps(guide), "a\nb\ne\n");
    }

    #[test]
    fn the_next_version_is_a_higher_one() {
        for (version, expected) in [("0.1.0", "0.1.1"), ("1.2.9", "1.2.10")] {
            assert_eq!(next(version).unwrap(), expected);
        }
    }
}
