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
const FILES: [(&str, &str); 4] = [
    ("allowlist-ctl/package/allowlistd.service", "usr/lib/systemd/system/allowlistd.service"),
    (
        "allowlist-ctl/package/run-allowlistd-bpf.mount",
        "usr/lib/systemd/system/run-allowlistd-bpf.mount",
    ),
    ("allowlist-ctl/package/sysusers.conf", "usr/lib/sysusers.d/allowlist.conf"),
    ("allowlist-ctl/package/allowlistd.toml", "etc/allowlist/allowlistd.toml"),
];
/// Where what is to be read goes: in the same order as here, so that links lead where they should.
const DOCUMENTS: &str = "usr/share/doc/allowlist";
const TO_READ: [&str; 6] = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
];
/// The guide, with its pictures, the dashboard and the rules.
const GUIDE: &str = "docs";

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
        copy(&binaries::root().join(file), &tree.join(place))?;
    }
    let documents = tree.join(DOCUMENTS);
    for file in TO_READ {
        copy(&binaries::root().join(file), &documents.join(file))?;
    }
    copy(&binaries::root().join("allowlist-ctl/package/copyright"), &documents.join("copyright"))?;
    for file in files(&binaries::root().join(GUIDE))? {
        copy(&file, &documents.join(file.strip_prefix(binaries::root())?))?;
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

fn copy(file: &Path, place: &Path) -> Result<()> {
    fs::create_dir_all(place.parent().context("a file in no directory")?)?;
    fs::copy(file, place).with_context(|| format!("{} can't be copied", file.display()))?;
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
