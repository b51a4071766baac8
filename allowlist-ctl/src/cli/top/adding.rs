//! Adding an entry as `allowlist-ctl add` does.

use std::io;

use super::dialog::Addition;
use crate::{
    api::{Changed, SshSession},
    cli::{
        args::{ChangeArgs, Command, EndArgs, EntryArgs},
        client::Client,
        console::Paint,
        error::Error,
        render,
        request::{Change, Meaning},
    },
};

/// What the command would be, read as if it had been typed.
fn change(addition: &Addition, session: Option<SshSession>) -> Result<Change, Error> {
    let Addition { list, entry, comment } = addition;
    let command = Command::Add {
        name: list.clone(),
        entries: EntryArgs { cidrs: vec![entry.clone()], except: false },
        comment: (!comment.is_empty()).then(|| comment.clone()),
        end: EndArgs::default(),
        change: ChangeArgs::default(),
    };
    match Meaning::of(&command, &mut io::empty())? {
        Meaning::Change(mut change) => {
            change.request.options.session = session;
            Ok(*change)
        }
        other => Err(Error::Unreadable(format!("{other:?} is no change"))),
    }
}

fn told(change: &Change, changed: &Changed) -> Result<Vec<String>, Error> {
    let mut text = Vec::new();
    render::changed(change, changed, &mut text, Paint::for_terminal(false))?;
    let text = String::from_utf8_lossy(&text);
    let warnings = changed.warnings.iter().map(|warning| format!("warning: {warning}"));
    Ok(text.lines().map(str::to_owned).chain(warnings).collect())
}

/// Says what an addition would do, and to which revision, where it would do anything.
///
/// # Errors
/// The daemon's refusal, or why there is no answer.
pub(super) fn try_it(
    client: &Client,
    addition: &Addition,
    session: Option<SshSession>,
) -> Result<(Vec<String>, Option<u64>), Error> {
    let mut change = change(addition, session)?;
    change.request.options.dry_run = true;
    let changed: Changed = client.send(&change.request)?.document()?;
    // What was said is of the revision before.
    let revision = changed.changed.then(|| changed.revision.saturating_sub(1));
    Ok((told(&change, &changed)?, revision))
}

/// Adds it, if this is still the revision, and says what that did.
///
/// # Errors
/// The daemon's refusal, or why there is no answer.
pub(super) fn do_it(
    client: &Client,
    addition: &Addition,
    revision: u64,
    session: Option<SshSession>,
) -> Result<Vec<String>, Error> {
    let mut change = change(addition, session)?;
    change.request.options.if_revision = Some(revision);
    let changed: Changed = client.send(&change.request)?.document()?;
    told(&change, &changed)
}
