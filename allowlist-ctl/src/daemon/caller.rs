//! Who is asking, by the kernel's word.

use std::{io, os::fd::AsRawFd as _, sync::Arc};

use nix::unistd::{Uid, User};
use tokio::net::UnixStream;

use crate::policy::Author;

/// So many groups of users a caller is asked about at first.
const GROUPS: usize = 64;

/// Somebody on the socket (`SO_PEERCRED` and `SO_PEERGROUPS`, unix(7)).
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// User id.
    pub(super) uid: u32,
    /// Ids of the user's groups, the first and all others.
    pub(super) gids: Vec<u32>,
    author: Arc<Author>,
}

impl Caller {
    /// Who opened a connection.
    ///
    /// # Errors
    /// What the kernel answered.
    pub(super) fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        let mut gids = supplementary_groups(stream)?;
        gids.push(credentials.gid());
        Ok(Self::new(credentials.uid(), gids))
    }

    pub(super) fn new(uid: u32, gids: Vec<u32>) -> Self {
        Self { uid, gids, author: Arc::new(Author { uid, name: uid.to_string() }) }
    }

    /// The caller with the user's name. A directory of users may be slow to answer: nobody else waits for that.
    pub(super) async fn named(self) -> Self {
        let uid = Uid::from_raw(self.uid);
        let user = tokio::task::spawn_blocking(move || User::from_uid(uid).ok().flatten()).await;
        match user.ok().flatten() {
            Some(user) => {
                Self { author: Arc::new(Author { uid: self.uid, name: user.name }), ..self }
            }
            None => self,
        }
    }

    /// The caller as the author of a change.
    pub(super) fn author(&self) -> Arc<Author> {
        Arc::clone(&self.author)
    }
}

/// The groups that `SO_PEERCRED` leaves out; kernels before 4.13 know none.
fn supplementary_groups(stream: &UnixStream) -> io::Result<Vec<u32>> {
    let mut groups = vec![0_u32; GROUPS];
    loop {
        let capacity = groups.len() * size_of::<u32>();
        let mut length = libc::socklen_t::try_from(capacity).map_err(io::Error::other)?;
        // SAFETY: the descriptor is open as long as the stream is borrowed; the buffer has `length` bytes, of which
        // the kernel writes as many as it has, and says how many those are.
        let answer = unsafe {
            libc::getsockopt(
                stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let found = usize::try_from(length).map_err(io::Error::other)? / size_of::<u32>();
        if answer == 0 {
            groups.truncate(found);
            return Ok(groups);
        }
        match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ERANGE) && found > groups.len() => {
                groups.resize(found, 0);
            }
            error if error.raw_os_error() == Some(libc::ENOPROTOOPT) => return Ok(Vec::new()),
            error => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_kernel_says_who_calls() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let caller = Caller::of(&ours).unwrap();
        assert_eq!(caller.author().name, caller.uid.to_string());
        let user = User::from_uid(Uid::effective()).unwrap().unwrap();
        assert_eq!(caller.clone().named().await.author().name, user.name);
        assert_eq!(caller.uid, Uid::effective().as_raw());
        let mut expected: Vec<u32> =
            nix::unistd::getgroups().unwrap().into_iter().map(nix::unistd::Gid::as_raw).collect();
        expected.push(nix::unistd::getegid().as_raw());
        assert_eq!(caller.gids, expected);
    }
}
