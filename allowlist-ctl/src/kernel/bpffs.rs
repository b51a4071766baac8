//! The BPF file system that pins live on.

use std::{fs, io, path::Path};

use nix::{
    mount::{MsFlags, mount},
    sys::statfs::{BPF_FS_MAGIC, statfs},
};

use super::error::LoadError;

/// Sees to it that `path` is on a BPF file system, mounting one where it may.
///
/// # Errors
/// [`LoadError::Bpffs`].
pub(super) fn ensure(path: &Path) -> Result<(), LoadError> {
    let failed = |source: io::Error| LoadError::Bpffs { path: path.to_owned(), source };
    if is_bpffs(path).unwrap_or(false) {
        return Ok(());
    }
    fs::create_dir_all(path).map_err(failed)?;
    if is_bpffs(path).map_err(failed)? {
        return Ok(());
    }
    let options = Some("mode=0700");
    mount(Some("bpf"), path, Some("bpf"), MsFlags::empty(), options)
        .map_err(|errno| failed(errno.into()))
}

fn is_bpffs(path: &Path) -> io::Result<bool> {
    Ok(statfs(path)?.filesystem_type() == BPF_FS_MAGIC)
}
