//! Who is asking, and what they may do.

use nix::unistd::{Uid, User};
use tokio::net::UnixStream;

use crate::{
    api::{ErrorCode, Problem},
    policy::Author,
};

/// Somebody on the socket, known by the kernel's word (`SO_PEERCRED`, unix(7)).
#[derive(Clone, Debug)]
pub(super) struct Caller {
    uid: u32,
}

/// What a caller may do.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Role {
    /// Reads.
    Viewer,
    /// Does everything.
    Admin,
}

impl Caller {
    pub(super) fn of(stream: &UnixStream) -> std::io::Result<Self> {
        Ok(Self { uid: stream.peer_cred()?.uid() })
    }

    /// Whether it is root or the daemon's own user.
    pub(super) fn is_admin(&self) -> bool {
        self.uid == 0 || self.uid == Uid::effective().as_raw()
    }

    fn role(&self) -> Role {
        if self.is_admin() { Role::Admin } else { Role::Viewer }
    }

    /// Checks the role.
    ///
    /// # Errors
    /// [`ErrorCode::Forbidden`], with the role that is needed.
    pub(super) fn require(&self, needed: Role) -> Result<(), Problem> {
        if self.role() >= needed {
            return Ok(());
        }
        let message = match needed {
            Role::Viewer => "this needs the role viewer",
            Role::Admin => "this needs the role admin, and you are a viewer",
        };
        Err(Problem::new(ErrorCode::Forbidden, message).hint("root is admin: try it with sudo"))
    }

    /// The caller as the author of a change.
    pub(super) fn author(&self) -> Author {
        let user = User::from_uid(Uid::from_raw(self.uid)).ok().flatten();
        Author { uid: self.uid, name: user.map_or_else(|| self.uid.to_string(), |user| user.name) }
    }
}
