//! Does what was typed, and says how it ended.

use std::io;

use jiff::Timestamp;
use serde::Serialize;

use super::{
    args::Args,
    check::check,
    client::{Client, Reply},
    complete,
    console::{Console, clean},
    document,
    edit::edit,
    error::Error,
    exit::Exit,
    follow::follow,
    learn::learn,
    render,
    request::{Change, Meaning, Request},
    top::top,
    trial::{self, try_out},
    watch::watch,
};
use crate::api::{
    AuditTrail, AuditVerification, Changed, Drops, ErrorCode, Listing, PolicyDocument, Problem,
    Revisions, Status,
};

/// Lines of drops that are shown unless somebody says otherwise.
const DROPS_SHOWN: u32 = 50;

/// Does what was typed; errors are told on the way.
pub(super) fn run(args: &Args, console: &mut Console<'_>) -> Exit {
    let done = execute(args, console).and_then(|()| Ok(console.stdout.flush()?));
    match done {
        Ok(()) => Exit::Done,
        // Whoever read the output has seen enough, as in `allowlist-ctl list | head`.
        Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        // That was the answer.
        Err(error @ Error::Dropped) => {
            let _: io::Result<()> = console.stdout.flush();
            error.exit()
        }
        Err(error) => {
            // What was written before comes first; the error is told in any case.
            let _: io::Result<()> = console.stdout.flush();
            error.tell(args.json, console);
            error.exit()
        }
    }
}

fn execute(args: &Args, console: &mut Console<'_>) -> Result<(), Error> {
    let meaning = Meaning::of(&args.command, console.stdin)?;
    let client = Client::new(&args.socket)?;
    match meaning {
        Meaning::Completions(_) if args.json => {
            Err(Error::Usage(vec!["completions are a script: leave out --json".to_owned()]))
        }
        Meaning::Top if args.json => Err(Error::Usage(vec![
            "top is for people: leave out --json, or take `status --json` and `drops --json`".to_owned(),
        ])),
        Meaning::Top if !console.has_screen => Err(Error::Usage(vec![
            "top draws on a terminal, and there is none: `allowlist-ctl status --watch` and `allowlist-ctl drops --follow` print lines".to_owned(),
        ])),
        Meaning::Top => top(&args.socket, console),
        Meaning::Completions(shell) => Ok(complete::script(shell, &mut *console.stdout)?),
        Meaning::Status => {
            let reply = client.send(&Request::get("/v1/status"))?;
            if args.json {
                return pass_on(reply, console);
            }
            let status: Status = reply.document()?;
            Ok(render::status(&status, console.stdout, console.paint)?)
        }
        Meaning::Watch(pause) => watch(&client, pause, args.json, console),
        Meaning::List(name) => {
            let is_one = name.is_some();
            let path = name.map_or("/v1/lists".to_owned(), |name| format!("/v1/lists/{name}"));
            let reply = client.send(&Request::get(path))?;
            if args.json {
                return pass_on(reply, console);
            }
            let listing: Listing = reply.document()?;
            Ok(render::list(&listing, is_one, console.stdout, console.paint)?)
        }
        Meaning::Export => {
            let reply = client.send(&Request::get("/v1/policy"))?;
            if args.json {
                return pass_on(reply, console);
            }
            let policy: PolicyDocument = reply.document()?;
            Ok(document::print(&policy, console.stdout)?)
        }
        Meaning::Revisions => {
            let reply = client.send(&Request::get("/v1/revisions"))?;
            if args.json {
                return pass_on(reply, console);
            }
            let revisions: Revisions = reply.document()?;
            Ok(render::revisions(&revisions, console.stdout, console.paint)?)
        }
        Meaning::Audit(query) => {
            let reply = client.send(&Request::get(format!("/v1/audit?{query}")))?;
            if args.json {
                return pass_on(reply, console);
            }
            let trail: AuditTrail = reply.document()?;
            Ok(render::audit(&trail, Timestamp::now(), console.stdout, console.paint)?)
        }
        Meaning::VerifyAudit => {
            let found: AuditVerification =
                client.send(&Request::get("/v1/audit/verify"))?.document()?;
            if args.json {
                print_json(&found, console)?;
            } else {
                render::verification(&found, console.stdout, console.paint)?;
            }
            found.broken.map_or(Ok(()), |_| Err(Error::Altered))
        }
        Meaning::Check(asked) => check(&client, &asked, args.json, console),
        Meaning::Edit(name, options) => edit(&client, &name, options, args.json, console),
        Meaning::Drops(limit) => {
            // A document for machines has everything, a table as much as somebody may want to read.
            let limit = if args.json { limit } else { limit.or(Some(DROPS_SHOWN)) };
            let query = limit.map(|limit| format!("?limit={limit}")).unwrap_or_default();
            let reply = client.send(&Request::get(format!("/v1/drops{query}")))?;
            if args.json {
                return pass_on(reply, console);
            }
            let drops: Drops = reply.document()?;
            Ok(render::drops(&drops, Timestamp::now(), console.stdout, console.paint)?)
        }
        Meaning::Follow => {
            follow(client.send(&Request::get("/v1/events?only=drop"))?, args.json, console)
        }
        Meaning::Learn(what) => learn(&client, &what, args.json, console),
        Meaning::Try(Some(candidate)) => try_out(&client, &candidate, args.json, console),
        Meaning::Try(None) => trial::end(&client, None, None, args.json, console),
        Meaning::Change(mut change) => {
            let reply = send_change(&client, &mut change, console)?;
            if args.json {
                return pass_on(reply, console);
            }
            let changed: Changed = reply.document()?;
            tell_change(&change, &changed, false, console)
        }
    }
}

/// Tells what a change did.
///
/// # Errors
/// [`Error::Output`]
pub(super) fn tell_change(
    change: &Change,
    changed: &Changed,
    json: bool,
    console: &mut Console<'_>,
) -> Result<(), Error> {
    if json {
        return print_json(changed, console);
    }
    render::changed(change, changed, console.stdout, console.paint)?;
    Ok(console.warn(&changed.warnings)?)
}

/// Sends a change, and asks where the daemon wants an answer and somebody is there to give it.
///
/// # Errors
/// The daemon's refusal, [`Error::Declined`], or why there is no answer.
pub(super) fn send_change<'a>(
    client: &'a Client,
    change: &mut Change,
    console: &mut Console<'_>,
) -> Result<Reply<'a>, Error> {
    change.request.options.session = (console.session)();
    let problem = match client.send(&change.request) {
        Err(Error::Refused(problem)) if problem.code == ErrorCode::Unconfirmed => problem,
        reply => return reply,
    };
    if !console.is_asked {
        return Err(problem.into());
    }
    let Problem { message, details, revision, .. } = problem;
    console.warn(&[message])?;
    for detail in details {
        writeln!(console.stderr, "  {}", clean(&detail))?;
    }
    if !console.confirm("Continue?") {
        return Err(Error::Declined);
    }
    // The answer is for what was asked about, and not for what somebody made of it since.
    let options = &mut change.request.options;
    options.yes = true;
    options.if_revision = revision.or(options.if_revision);
    client.send(&change.request)
}

pub(super) fn print_json(
    document: &impl Serialize,
    console: &mut Console<'_>,
) -> Result<(), Error> {
    serde_json::to_writer(&mut *console.stdout, document).map_err(io::Error::from)?;
    Ok(writeln!(console.stdout)?)
}

/// Passes the daemon's document on as it is.
fn pass_on(mut reply: Reply<'_>, console: &mut Console<'_>) -> Result<(), Error> {
    let mut last = None;
    while let Some(chunk) = reply.chunk()? {
        console.stdout.write_all(&chunk)?;
        last = chunk.last().copied().or(last);
    }
    if last != Some(b'\n') {
        writeln!(console.stdout)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
