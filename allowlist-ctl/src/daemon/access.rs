//! Who may do what: the roles of the configuration.

use std::collections::{BTreeMap, BTreeSet};

use nix::unistd::{Group, Uid, User};
use serde::Deserialize;
use tracing::warn;

use super::caller::Caller;
use crate::{
    api::{ErrorCode, Problem},
    policy::{Author, Name},
};

/// The roles as they are written: users by name, groups of users with a `@` before theirs.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AccessConfig {
    /// Who does everything, besides root.
    admins: Vec<String>,
    /// Who reads; not given: whoever may open the socket.
    viewers: Option<Vec<String>>,
    /// Who changes the entries of a service or group.
    editor: Vec<EditorConfig>,
}

/// Who changes the entries of a service or group.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
struct EditorConfig {
    name: Name,
    who: Vec<String>,
}

/// The roles by user and group id.
#[derive(Debug, Default)]
pub(super) struct Access {
    admins: Who,
    viewers: Option<Who>,
    editors: BTreeMap<Name, Who>,
}

/// Users and groups of users.
#[derive(Debug, Default)]
struct Who {
    uids: BTreeSet<u32>,
    gids: BTreeSet<u32>,
}

impl Who {
    /// Looks names up. One that is not known is warned about and is nobody: that a directory of users cannot be
    /// reached must not keep the filter from its interfaces.
    fn look_up(&mut self, names: &[String]) {
        for name in names {
            let known = match name.strip_prefix('@') {
                Some(group) => find_group(group).map(|gid| self.gids.insert(gid)),
                None => find_user(name).map(|uid| self.uids.insert(uid)),
            };
            if known.is_none() {
                warn!(
                    "[access] names '{name}', which is not known here: nobody has that role by it"
                );
            }
        }
    }

    fn includes(&self, caller: &Caller) -> bool {
        self.uids.contains(&caller.uid) || caller.gids.iter().any(|gid| self.gids.contains(gid))
    }
}

fn find_user(name: &str) -> Option<u32> {
    let user = User::from_name(name).ok().flatten().map(|user| user.uid.as_raw());
    user.or_else(|| name.parse().ok())
}

fn find_group(name: &str) -> Option<u32> {
    let group = Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw());
    group.or_else(|| name.parse().ok())
}

impl Access {
    pub(super) fn new(config: &AccessConfig) -> Self {
        let who = |names: &[String]| {
            let mut who = Who::default();
            who.look_up(names);
            who
        };
        let mut editors: BTreeMap<Name, Who> = BTreeMap::new();
        for editor in &config.editor {
            editors.entry(editor.name.clone()).or_default().look_up(&editor.who);
        }
        Self { admins: who(&config.admins), viewers: config.viewers.as_deref().map(who), editors }
    }

    /// Whether somebody does everything: root, the daemon's own user, and whom the configuration names.
    pub(super) fn is_admin(&self, caller: &Caller) -> bool {
        caller.uid == 0 || caller.uid == Uid::effective().as_raw() || self.admins.includes(caller)
    }

    fn is_editor(&self, caller: &Caller, list: &Name) -> bool {
        self.editors.get(list).is_some_and(|who| who.includes(caller))
    }

    fn is_viewer(&self, caller: &Caller) -> bool {
        self.viewers.as_ref().is_none_or(|who| who.includes(caller))
            || self.is_admin(caller)
            || self.editors.values().any(|who| who.includes(caller))
    }

    fn role(&self, caller: &Caller) -> String {
        let edits: Vec<&str> = self
            .editors
            .iter()
            .filter(|(_, who)| who.includes(caller))
            .map(|(name, _)| name.as_str())
            .collect();
        match edits.as_slice() {
            [] if self.is_viewer(caller) => "you are a viewer".to_owned(),
            [] => "you have none".to_owned(),
            lists => format!("you are editor of {}", lists.join(", ")),
        }
    }

    /// Checks that somebody may read.
    ///
    /// # Errors
    /// [`ErrorCode::Forbidden`], with the role that is needed, as all of these.
    pub(super) fn require_viewer(&self, caller: &Caller) -> Result<(), Problem> {
        self.check(caller, self.is_viewer(caller), "this needs the role viewer")
    }

    /// Checks that somebody may change the entries of a list.
    ///
    /// # Errors
    /// [`ErrorCode::Forbidden`].
    pub(super) fn require_editor(&self, caller: &Caller, list: &Name) -> Result<(), Problem> {
        let may = self.is_admin(caller) || self.is_editor(caller, list);
        self.check(caller, may, &format!("this needs the role editor of '{list}', or admin"))
    }

    /// Checks that somebody may do everything.
    ///
    /// # Errors
    /// [`ErrorCode::Forbidden`].
    pub(super) fn require_admin(&self, caller: &Caller) -> Result<(), Problem> {
        self.check(caller, self.is_admin(caller), "this needs the role admin")
    }

    /// Checks that somebody may keep or undo a pending change: its author may.
    ///
    /// # Errors
    /// [`ErrorCode::Forbidden`].
    pub(super) fn require_settler(&self, caller: &Caller, author: &Author) -> Result<(), Problem> {
        let may = self.is_admin(caller) || author.uid == caller.uid;
        self.check(caller, may, "this needs the role admin, or to have made the change")
    }

    fn check(&self, caller: &Caller, may: bool, needed: &str) -> Result<(), Problem> {
        if may {
            return Ok(());
        }
        let message = format!("{needed}, and {}", self.role(caller));
        Err(Problem::new(ErrorCode::Forbidden, message)
            .hint("root is admin: try it with sudo, or have an admin give you the role"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(uid: u32, gids: &[u32]) -> Caller {
        Caller::new(uid, gids.to_vec())
    }

    #[test]
    fn roles_go_by_user_and_group() {
        let config: AccessConfig = toml::from_str(
            "admins = ['4001', '@4100']\nviewers = ['4002']\n\
             [[editor]]\nname = 'redis'\nwho = ['4003', '@4103']\n\
             [[editor]]\nname = 'office'\nwho = ['4003', 'no-such-user']",
        )
        .unwrap();
        let access = Access::new(&config);
        let (redis, web) = ("redis".parse().unwrap(), "web".parse().unwrap());
        // Reads, edits redis, edits web, does everything.
        let table = [
            ("root", caller(0, &[]), [true, true, true, true]),
            ("an admin", caller(4001, &[]), [true, true, true, true]),
            ("an admin by group", caller(4999, &[5, 4100]), [true, true, true, true]),
            ("a viewer", caller(4002, &[]), [true, false, false, false]),
            ("an editor", caller(4003, &[]), [true, true, false, false]),
            ("an editor by group", caller(4998, &[4103]), [true, true, false, false]),
            ("anybody", caller(4997, &[4002]), [false, false, false, false]),
        ];
        for (who, caller, expected) in table {
            let found = [
                access.require_viewer(&caller).is_ok(),
                access.require_editor(&caller, &redis).is_ok(),
                access.require_editor(&caller, &web).is_ok(),
                access.require_admin(&caller).is_ok(),
            ];
            assert_eq!(found, expected, "{who}");
        }
        let refusal = access.require_editor(&caller(4003, &[]), &web).unwrap_err().to_string();
        assert_eq!(
            refusal,
            "this needs the role editor of 'web', or admin, and you are editor of office, redis"
        );
    }

    #[test]
    fn without_a_list_of_viewers_whoever_opens_the_socket_reads() {
        let access = Access::new(&AccessConfig::default());
        assert!(access.require_viewer(&caller(4997, &[])).is_ok());
        assert!(access.require_admin(&caller(4997, &[])).is_err());
    }

    #[test]
    fn whoever_made_a_change_may_settle_it() {
        let access = Access::new(&AccessConfig::default());
        let author = Author { uid: 4003, name: "eve".into() };
        assert!(access.require_settler(&caller(4003, &[]), &author).is_ok());
        assert!(access.require_settler(&caller(4004, &[]), &author).is_err());
        assert!(access.require_settler(&caller(0, &[]), &author).is_ok());
    }
}
