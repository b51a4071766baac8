//! Entries changed in an editor: no text that somebody wrote is lost.

mod buffer;
mod editor;

use hyper::Method;

use self::buffer::Buffer;
pub(super) use self::editor::find_editor;
use super::{
    client::Client,
    console::{Console, Style, clean},
    error::Error,
    request::{Body, Change, Deed, Request},
    run::{send_change, tell_change},
};
use crate::{
    api::{ChangeOptions, Changed, ErrorCode, List, Listing, Problem},
    policy::{Name, lines},
};

/// Opens the entries of a list in the editor, and makes them what was saved.
///
/// # Errors
/// [`Error::Kept`] once there is a text that is not taken; before that whatever went wrong.
pub(super) fn edit(
    client: &Client,
    name: &Name,
    options: ChangeOptions,
    json: bool,
    console: &mut Console<'_>,
) -> Result<(), Error> {
    let (list, revision) = read_list(client, name, options)?;
    let buffer = Buffer::create(&list, revision)?;
    let text = match written(&buffer, console) {
        Ok(text) => text,
        Err(error) => return Err(buffer.kept(error)),
    };
    let request = Request {
        method: Method::PUT,
        path: format!("/v1/lists/{name}"),
        options: ChangeOptions { if_revision: Some(revision), ..options },
        body: text.clone().map_or(Body::Empty, |text| Body::Text(text.into())),
    };
    let mut change = Change { subject: name.to_string(), deed: Deed::Edit, request };
    let changed = if text.is_none() {
        Changed { revision, dry_run: options.dry_run, ..Changed::default() }
    } else {
        let reply = send_change(client, &mut change, console);
        match reply.and_then(super::client::Reply::document) {
            Ok(changed) => changed,
            Err(error) => return Err(buffer.kept(error)),
        }
    };
    tell_change(&change, &changed, json, console)?;
    if changed.changed && changed.dry_run {
        let file = buffer.keep()?;
        console.stdout.flush()?;
        let file = file.display().to_string();
        let file = clean(&file);
        let sentence =
            format!("the text is in {file}: `allowlist-ctl replace {name} -f {file}` makes it so");
        writeln!(
            console.stderr,
            "{} {sentence}",
            console.stderr_paint.paint(Style::Heading, "note:")
        )?;
    }
    Ok(())
}

fn read_list(client: &Client, name: &Name, options: ChangeOptions) -> Result<(List, u64), Error> {
    let reply = client.send(&Request::get(format!("/v1/lists/{name}")))?;
    let Listing { revision, lists } = reply.document()?;
    if let Some(expected) = options.if_revision.filter(|expected| *expected != revision) {
        let message =
            format!("the policy is at revision {revision}, not {expected}; nothing was changed");
        let problem = Problem::new(ErrorCode::RevisionConflict, message);
        return Err(Problem { revision: Some(revision), ..problem }.into());
    }
    let list = lists.into_iter().next();
    let list = list.ok_or_else(|| Error::Unreadable(format!("it has no list '{name}'")))?;
    Ok((list, revision))
}

/// What somebody made of the text, or `None` where it is as it was.
fn written(buffer: &Buffer, console: &mut Console<'_>) -> Result<Option<Vec<u8>>, Error> {
    console.stdout.flush()?;
    loop {
        editor::run(console.editor.as_deref(), buffer.path())?;
        let Some(text) = buffer.changed_text()? else { return Ok(None) };
        let Err(wrong) = lines::parse(&String::from_utf8_lossy(&text)) else {
            return Ok(Some(text));
        };
        let lines = match wrong.len() {
            1 => "1 line cannot be read".to_owned(),
            lines => format!("{lines} lines cannot be read"),
        };
        let problem = Problem {
            details: wrong.iter().map(ToString::to_string).collect(),
            ..Problem::new(ErrorCode::InvalidLines, format!("{lines}; nothing was changed"))
        };
        let error = Error::Refused(problem);
        if !console.is_asked {
            return Err(error);
        }
        error.tell(false, console);
        if !console.confirm("Edit it again?") {
            return Err(error);
        }
    }
}

#[cfg(test)]
mod tests;
