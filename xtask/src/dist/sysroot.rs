//! The C library of Debian 11, to link with: what is built with an old one starts with every newer one.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::debian::{Apt, Suite};

/// The C library with what a compiler needs of it, and the part of gcc's library that unwinds stacks: a newer gcc's asks a
/// newer C library for help.
const PACKAGES: [&str; 4] = ["libc6", "libc6-dev", "linux-libc-dev", "libgcc-10-dev"];

/// What is to be found first where rustc asks for the shared `libgcc_s`: the same, to be linked into the program.
const UNWINDER: &str = "libgcc_s.so";

/// The unpacked packages.
pub(super) struct Sysroot {
    root: PathBuf,
}

impl Sysroot {
    /// The one that is kept in this directory, or a new one from the system's mirror.
    pub(super) fn of(directory: &Path) -> Result<Self> {
        let kept = directory.join("sysroot");
        if !kept.exists() {
            fetch(directory, &kept).context("no C library from Debian's bullseye")?;
        }
        Ok(Self { root: kept })
    }

    /// What has gcc take the C library and its headers from here.
    pub(super) fn compiler_flag(&self) -> String {
        format!("--sysroot={}", self.root.display())
    }

    /// What has rustc link with it. gcc looks into the system's directories before those of its sysroot, unless it is told
    /// of these.
    pub(super) fn rust_flags(&self) -> Result<String> {
        let libraries = find(&self.root.join("usr/lib"), "libc.so")?;
        let libraries = libraries.parent().context("a library in no directory")?.display();
        let root = self.root.display();
        let arguments = [
            self.compiler_flag(),
            format!("-B{libraries}"),
            format!("-L{root}"),
            format!("-L{libraries}"),
        ];
        Ok(arguments.map(|argument| format!("-Clink-arg={argument}")).join(" "))
    }

    /// The words that start a program with this C library.
    pub(super) fn starter(&self) -> Result<Vec<PathBuf>> {
        let libraries = find(&self.root.join("lib"), "libc.so.6")?;
        let libraries = libraries.parent().context("a library in no directory")?.to_owned();
        let loader = fs::read_dir(&libraries)?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .find(|name| name.starts_with("ld-linux"))
            .context("the C library has no loader")?;
        Ok(vec![libraries.join(loader), "--library-path".into(), libraries])
    }
}

fn fetch(directory: &Path, kept: &Path) -> Result<()> {
    let apt = Apt::new(&Suite::BULLSEYE, &directory.join("apt"))?;
    println!("fetching Debian 11's C library: {}", PACKAGES.join(" "));
    let new = apt.unpack(&PACKAGES)?;
    stay_inside(&new, &new)?;
    let unwinder = find(&new.join("usr/lib/gcc"), "libgcc_eh.a")?;
    let unwinder = Path::new("/").join(unwinder.strip_prefix(&new)?);
    let library = unwinder.with_file_name("libgcc.a");
    let script = format!("GROUP ( {} {} )\n", unwinder.display(), library.display());
    fs::write(new.join(UNWINDER), script)?;
    // All at once, so that one that was interrupted is not taken for whole.
    Ok(fs::rename(&new, kept)?)
}

/// Has the symbolic links below a directory lead to where they do when `root` is the root.
fn stay_inside(root: &Path, directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
        if kind.is_dir() {
            stay_inside(root, &path)?;
        } else if kind.is_symlink()
            && let Ok(below) = fs::read_link(&path)?.strip_prefix("/")
        {
            fs::remove_file(&path)?;
            let depth = directory.strip_prefix(root)?.components().count();
            let up: PathBuf = vec![".."; depth].iter().collect();
            symlink(up.join(below), &path)?;
        }
    }
    Ok(())
}

/// The file of this name below a directory.
fn find(directory: &Path, name: &str) -> Result<PathBuf> {
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                directories.push(entry.path());
            } else if entry.file_name() == name {
                return Ok(entry.path());
            }
        }
    }
    bail!("no {name} in {}", directory.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_inside_of_a_tree_that_is_not_the_root() {
        let root = tempfile::tempdir().unwrap();
        let (deep, target) = (root.path().join("usr/lib"), root.path().join("lib/a"));
        fs::create_dir_all(&deep).unwrap();
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(&target, "content").unwrap();
        for (name, leads_to) in [("outside", "/lib/a"), ("inside", "../../lib/a")] {
            symlink(leads_to, deep.join(name)).unwrap();
        }
        stay_inside(root.path(), root.path()).unwrap();
        for name in ["outside", "inside"] {
            assert_eq!(fs::read_to_string(deep.join(name)).unwrap(), "content", "{name}");
        }
    }
}
