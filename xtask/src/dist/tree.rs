//! All files, where a machine has them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::build;
use crate::{binaries, output};

/// Files of the project, and where they go.
const FILES: [(&str, &str); 11] = [
    ("allowlist-ctl/package/allowlistd.service", "usr/lib/systemd/system/allowlistd.service"),
    (
        "allowlist-ctl/package/run-allowlistd-bpf.mount",
        "usr/lib/systemd/system/run-allowlistd-bpf.mount",
    ),
    ("allowlist-ctl/package/sysusers.conf", "usr/lib/sysusers.d/allowlist.conf"),
    ("allowlist-ctl/package/allowlistd.toml", "etc/allowlist/allowlistd.toml"),
    ("docs/monitoring/dashboard.json", "usr/share/doc/allowlist/monitoring/dashboard.json"),
    ("docs/monitoring/alerts.yml", "usr/share/doc/allowlist/monitoring/alerts.yml"),
    ("README.md", "usr/share/doc/allowlist/README.md"),
    ("CHANGELOG.md", "usr/share/doc/allowlist/CHANGELOG.md"),
    ("allowlist-ctl/package/copyright", "usr/share/doc/allowlist/copyright"),
    ("LICENSE-MIT", "usr/share/doc/allowlist/LICENSE-MIT"),
    ("LICENSE-APACHE", "usr/share/doc/allowlist/LICENSE-APACHE"),
];

/// Puts them together below `tree`, and what debuggers want to know below `debug`.
pub(super) fn make(built: &Path, version: &str, tree: &Path, debug: &Path) -> Result<()> {
    for directory in [tree, debug] {
        drop(fs::remove_dir_all(directory));
        fs::create_dir_all(directory)?;
    }
    for (program, place) in build::PROGRAMS.iter().zip(["usr/sbin", "usr/bin"]) {
        build::strip(&built.join(program), &tree.join(place).join(program), debug)?;
    }
    for (file, place) in FILES {
        let place = tree.join(place);
        fs::create_dir_all(place.parent().context("a file in no directory")?)?;
        fs::copy(binaries::root().join(file), place)
            .with_context(|| format!("{file} can't be copied"))?;
    }
    let pages = ["run", "--quiet", "--package", "allowlist-ctl", "--example", "pages", "--"];
    let mut cargo = Command::new("cargo");
    output(cargo.args(pages).arg(tree).arg(version).current_dir(binaries::root()))?;
    for page in files(&tree.join("usr/share/man"))? {
        // Without a name and a time of the file, so that the same page makes the same archive.
        output(Command::new("gzip").args(["--best", "--no-name"]).arg(page))?;
    }
    Ok(())
}

/// The files below a directory, by name.
pub(super) fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
