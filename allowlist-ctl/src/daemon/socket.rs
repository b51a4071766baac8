//! The socket: bound without a moment in which too many could open it.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::{
        fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _},
        net::UnixStream,
    },
    path::Path,
};

use anyhow::{Context as _, bail};
use nix::{
    sys::stat::{Mode, umask},
    unistd::{Group, chown},
};
use tokio::net::UnixListener;

use super::config::SocketSettings;

/// Binds the socket; one that a dead daemon left behind is replaced.
///
/// # Errors
/// A sentence: a daemon answers there already, or the path cannot be used.
pub(super) fn bind(settings: &SocketSettings) -> anyhow::Result<UnixListener> {
    let path = &settings.path;
    clear(path)?;
    if let Some(directory) = path.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(directory)
            .with_context(|| format!("cannot make the directory {}", directory.display()))?;
    }
    // Born for its owner alone, and opened to others only when it belongs to the right group.
    let before = umask(Mode::from_bits_truncate(0o177));
    let listener = UnixListener::bind(path);
    umask(before);
    let listener =
        listener.with_context(|| format!("cannot bind the socket {}", path.display()))?;
    if let Some(name) = &settings.group {
        let group = Group::from_name(name)
            .with_context(|| format!("cannot look up the group '{name}'"))?
            .with_context(|| format!("there is no group '{name}' for the socket"))?;
        chown(path, None, Some(group.gid))
            .with_context(|| format!("cannot give the socket to the group '{name}'"))?;
    }
    fs::set_permissions(path, Permissions::from_mode(settings.mode))
        .with_context(|| format!("cannot set the mode of the socket {}", path.display()))?;
    Ok(listener)
}

fn clear(path: &Path) -> anyhow::Result<()> {
    let file_type = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata
            .with_context(|| format!("cannot use the socket {}", path.display()))?
            .file_type(),
    };
    if !file_type.is_socket() {
        bail!("{} is in the way of the socket: it is not one; move it away", path.display());
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)
            .with_context(|| format!("cannot remove the stale socket {}", path.display())),
        Ok(_) => bail!(
            "a daemon serves {} already: stop it first, or choose another --socket",
            path.display()
        ),
        Err(error) => {
            Err(error).with_context(|| format!("cannot use the socket {}", path.display()))
        }
    }
}

/// Removes the socket at the daemon's end.
pub(super) fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!("cannot remove the socket {}: {error}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(path: &Path) -> SocketSettings {
        SocketSettings { path: path.into(), mode: 0o640, group: None }
    }

    #[tokio::test]
    async fn a_socket_is_bound_with_its_mode_and_a_stale_one_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/s.sock");
        drop(bind(&settings(&path)).unwrap());
        let _listener = bind(&settings(&path)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        let error = bind(&settings(&path)).unwrap_err().to_string();
        assert!(error.starts_with("a daemon serves "), "{error}");
    }

    #[tokio::test]
    async fn a_file_in_the_way_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.sock");
        fs::write(&path, "precious").unwrap();
        let error = bind(&settings(&path)).unwrap_err().to_string();
        assert!(error.contains("is in the way of the socket"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}
