//! Entries of files that groups follow.

use std::path::Path;

use sha2::{Digest as _, Sha256};
use tracing::warn;

use super::{Owner, history::daemon, now, trail::Deed};
use crate::{
    api::{ChangeOptions, Problem},
    daemon::{
        entries,
        explain::{explain_refusal, explain_store, in_words},
    },
    policy::{
        EntryKey, Name, Origin,
        change::{self, Change},
        entry::NewEntry,
    },
};

impl Owner {
    /// Makes the entries that groups have from a file those of its content, which is new.
    ///
    /// What was taken before is not taken again, so that a rollback holds until the file changes.
    pub(super) fn take_file(&mut self, path: &Path, content: &[u8]) {
        let hash: [u8; 32] = Sha256::digest(content).into();
        let key = path.display().to_string();
        let followers: Vec<Name> = self
            .policy
            .groups
            .iter()
            .filter(|(_, group)| group.follow.as_deref() == Some(path))
            .map(|(name, _)| name.clone())
            .collect();
        for name in followers {
            let key = format!("{name}:{key}");
            let taken = self.take_for(&name, &key, &hash, content);
            if let Err(problem) = &taken {
                let (details, more) = (problem.details.first(), problem.details.len());
                warn!(group = %name, path = %path.display(), details, more, "{problem}");
            }
            self.shared.set_followed(&name, path, taken.err());
        }
    }

    fn take_for(
        &mut self,
        name: &Name,
        key: &str,
        hash: &[u8; 32],
        content: &[u8],
    ) -> Result<(), Problem> {
        let unreadable = |error| explain_store(&error);
        if self.store.followed(key).map_err(unreadable)?.as_deref() == Some(hash) {
            return Ok(());
        }
        self.check_free()?;
        let of_file = |new: NewEntry| {
            let key = EntryKey { origin: Origin::File, ..new.key };
            NewEntry { key, ..new }
        };
        let entries = entries::from_text(content)?.into_iter().map(of_file).collect();
        let change = Change::Sync { name: name.clone(), entries };
        let deed = Deed::of(&change, in_words(&change), &daemon());
        let outcome = change::apply(&self.policy, &change, &deed.author, now())
            .map_err(|refusal| explain_refusal(&refusal))?;
        if outcome.policy.revision == self.policy.revision {
            let draft = self.store.draft().map_err(unreadable)?;
            return draft.followed(key, hash).and_then(|()| draft.commit()).map_err(unreadable);
        }
        // Nobody is there to be asked or to force it. Whom the file no longer has is cut off, as it is meant.
        self.guard_opening(&outcome.policy, ChangeOptions::default())?;
        self.commit(&outcome, &deed, |draft| draft.followed(key, hash))
    }
}
