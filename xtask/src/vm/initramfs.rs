//! Images that a kernel boots: archives of files that it unpacks into its memory.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use super::{kernels::Kernel, suite::MODULES};
use crate::output;

/// Files to be packed.
pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// Makes an empty one in a directory of its own.
    pub(super) fn new(root: PathBuf) -> Result<Self> {
        drop(fs::remove_dir_all(&root));
        fs::create_dir_all(&root)?;
        Ok(Self { root })
    }

    /// Where a file of this path goes.
    fn place(&self, path: &Path) -> Result<PathBuf> {
        let path = path.strip_prefix("/").context("not an absolute path")?;
        let place = self.root.join(path);
        fs::create_dir_all(place.parent().context("the root is no file")?)?;
        Ok(place)
    }

    /// Puts an executable where it is here, without what debuggers read, and the libraries that it is linked with.
    pub(super) fn add_executable(&self, path: &Path) -> Result<()> {
        let place = self.place(path)?;
        output(Command::new("strip").arg("-o").arg(&place).arg(path))?;
        // Of one that is linked statically ldd says so and fails.
        let ldd = Command::new("ldd").arg(path).output().context("ldd can't be run")?;
        let libraries = String::from_utf8_lossy(&ldd.stdout);
        for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
            let place = self.place(Path::new(library))?;
            if !place.exists() {
                fs::copy(library, place)?;
            }
        }
        Ok(())
    }

    /// Links a path to another one.
    pub(super) fn link(&self, path: &str, to: &Path) -> Result<()> {
        Ok(symlink(to, self.place(Path::new(path))?)?)
    }

    /// Puts a program there.
    pub(super) fn add_script(&self, path: &str, text: &str) -> Result<()> {
        let place = self.place(Path::new(path))?;
        fs::write(&place, text)?;
        Ok(fs::set_permissions(place, fs::Permissions::from_mode(0o755))?)
    }

    /// Puts the modules into `/modules`, and the order in which they are to be loaded into `/modules/order`.
    pub(super) fn add_modules(&self, kernel: &Kernel) -> Result<()> {
        let mut order: Vec<String> = Vec::new();
        for module in MODULES {
            let steps =
                output(Command::new("modprobe").arg("--dirname").arg(&kernel.root).args([
                    "--set-version",
                    &kernel.release,
                    "--show-depends",
                    module,
                ]))?;
            for file in steps.lines().filter_map(|step| step.strip_prefix("insmod ")) {
                let file = Path::new(file.trim());
                let name = file.file_name().context("a module without a name")?.to_string_lossy();
                let (name, unpack) = match name.rsplit_once('.') {
                    Some((name, "xz")) => (name, Some("xz")),
                    Some((name, "zst")) => (name, Some("zstd")),
                    _ => (name.as_ref(), None),
                };
                if order.iter().any(|known| known == name) {
                    continue;
                }
                let place = self.place(&Path::new("/modules").join(name))?;
                match unpack {
                    Some(program) => run_into(
                        Command::new(program).args(["--decompress", "--stdout"]).arg(file),
                        &place,
                    )?,
                    None => drop(fs::copy(file, place)?),
                }
                order.push(name.to_owned());
            }
        }
        Ok(fs::write(self.place(Path::new("/modules/order"))?, order.join("\n") + "\n")?)
    }

    /// Packs it.
    pub(super) fn pack(&self, archive: &Path) -> Result<()> {
        let files = output(Command::new("find").arg(".").current_dir(&self.root))?;
        let mut cpio = Command::new("cpio")
            .args(["--create", "--format=newc", "--owner=0:0", "--quiet"])
            .current_dir(&self.root)
            .stdin(Stdio::piped())
            .stdout(File::create(archive)?)
            .spawn()
            .context("cpio can't be run")?;
        let mut stdin = cpio.stdin.take().context("cpio has no standard input")?;
        stdin.write_all(files.as_bytes())?;
        drop(stdin);
        if !cpio.wait()?.success() {
            bail!("cpio could not pack {}", self.root.display());
        }
        Ok(())
    }
}

/// Writes archives one after another; the kernel unpacks them all.
pub(super) fn join(archives: &[&Path], image: &Path) -> Result<()> {
    let mut image = File::create(image)?;
    for archive in archives {
        std::io::copy(&mut File::open(archive)?, &mut image)?;
    }
    Ok(())
}

fn run_into(command: &mut Command, file: &Path) -> Result<()> {
    let status = command.stdout(File::create(file)?).status();
    if !status.with_context(|| format!("{command:?} can't be run"))?.success() {
        bail!("{command:?} failed");
    }
    Ok(())
}
