//! The socket: taken before anything else is touched, and opened when the filter is in force.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::{
        fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use nix::{
    sys::stat::{Mode, umask},
    unistd::{Gid, Group, chown},
};
use tokio::net::{UnixListener, UnixSocket};

use super::config::SocketSettings;
use crate::patience::patiently;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 128;

/// A socket that nobody can connect to yet.
pub(super) struct Bound {
    socket: UnixSocket,
    file: SocketFile,
}

/// The socket's file, removed with this.
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("cannot remove the socket {}: {error}", self.0.display());
        }
    }
}

impl Bound {
    /// Its file.
    pub(super) fn path(&self) -> &Path {
        &self.file.0
    }

    /// Lets clients connect.
    ///
    /// # Errors
    /// A sentence.
    pub(super) fn open(self) -> anyhow::Result<(UnixListener, SocketFile)> {
        let listener = self.socket.listen(BACKLOG);
        let listener = listener
            .with_context(|| format!("cannot open the socket {}", self.file.0.display()))?;
        Ok((listener, self.file))
    }
}

/// Takes the socket's place; one that a dead daemon left behind is replaced.
///
/// # Errors
/// A sentence: a daemon answers there already, or the path or the group cannot be used.
pub(super) fn bind(settings: &SocketSettings) -> anyhow::Result<Bound> {
    let path = &settings.path;
    let group = settings.group.as_deref().map(find_group).transpose()?;
    clear(path)?;
    if let Some(directory) = path.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(directory)
            .with_context(|| format!("cannot make the directory {}", directory.display()))?;
    }
    let socket = UnixSocket::new_stream().context("cannot make a socket")?;
    // Born for its owner alone, and opened to others only when it belongs to the right group.
    let before = umask(Mode::from_bits_truncate(0o177));
    let bound = socket.bind(path);
    umask(before);
    bound.with_context(|| format!("cannot bind the socket {}", path.display()))?;
    let file = SocketFile(path.clone());
    if let Some(group) = group {
        chown(path, None, Some(group))
            .with_context(|| format!("cannot give the socket {} to its group", path.display()))?;
    }
    fs::set_permissions(path, Permissions::from_mode(settings.mode))
        .with_context(|| format!("cannot set the mode of the socket {}", path.display()))?;
    Ok(Bound { socket, file })
}

fn find_group(name: &str) -> anyhow::Result<Gid> {
    let group = Group::from_name(name)
        .with_context(|| format!("cannot look up the group '{name}'"))?
        .with_context(|| format!("there is no group '{name}' for the socket"))?;
    Ok(group.gid)
}

fn clear(path: &Path) -> anyhow::Result<()> {
    patiently(|| try_to_clear(path))?.with_context(|| {
        format!(
            "a daemon serves {} already: stop it first, or choose another --socket",
            path.display()
        )
    })
}

/// Removes a socket that nobody serves; `None` where a daemon does.
fn try_to_clear(path: &Path) -> anyhow::Result<Option<()>> {
    let file_type = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(())),
        metadata => metadata
            .with_context(|| format!("cannot use the socket {}", path.display()))?
            .file_type(),
    };
    if !file_type.is_socket() {
        bail!("{} is in the way of the socket: it is not one; move it away", path.display());
    }
    match UnixStream::connect(path) {
        Ok(_) => Ok(None),
        // It was removed by the daemon that served it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error)
                    .with_context(|| format!("cannot remove the stale socket {}", path.display())),
                _ => Ok(Some(())),
            }
        }
        Err(error) => {
            Err(error).with_context(|| format!("cannot use the socket {}", path.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(path: &Path) -> SocketSettings {
        SocketSettings { path: path.into(), mode: 0o640, group: None }
    }

    fn refusal(path: &Path) -> String {
        bind(&settings(path)).err().unwrap().to_string()
    }

    #[tokio::test]
    async fn a_socket_is_bound_with_its_mode_and_a_stale_one_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/s.sock");
        drop(UnixListener::bind(directory.path().join("stale.sock")).unwrap());
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::rename(directory.path().join("stale.sock"), &path).unwrap();
        let bound = bind(&settings(&path)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        let refused = UnixStream::connect(&path).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let (_listener, file) = bound.open().unwrap();
        let error = refusal(&path);
        assert!(error.starts_with("a daemon serves "), "{error}");
        drop(file);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_file_in_the_way_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s.sock");
        fs::write(&path, "precious").unwrap();
        let error = refusal(&path);
        assert!(error.contains("is in the way of the socket"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}
