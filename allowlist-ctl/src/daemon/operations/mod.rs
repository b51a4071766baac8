//! Everything that can be asked for under `/v1/`: the one table from which the router and its description are made.

mod document;
mod observing;
mod operation;
mod schemas;

use axum::Router;
use hyper::body::Bytes;

pub(super) use self::operation::Answers;
use self::operation::{Operation, Role};
use super::{
    changing,
    office::Office,
    reading::{self, AuditQuery, DropsQuery, EventsQuery},
};
use crate::api::{
    AttachSettings, EntrySpecs,
    ErrorCode::{Conflict, Guarded, InUse, InvalidLines, NotFound, Unconfirmed},
    GroupSettings, ModeSetting, PolicyDocument, Question, Questions, Rollback, ServiceSettings,
    Shutdown,
};

fn operations() -> Vec<Operation> {
    reading().into_iter().chain(changing()).chain(observing::operations()).collect()
}

/// What only reads.
fn reading() -> Vec<Operation> {
    use Operation as Op;
    vec![
        Op::get("/v1/status", "status", reading::status).says("Tells the state of everything"),
        Op::get("/v1/lists", "lists", reading::list_all)
            .says("Tells all lists and their entries, streamed"),
        Op::get("/v1/lists/{name}", "list", reading::list_one)
            .says("Tells the entries of a service or group, streamed")
            .fails(&[NotFound]),
        Op::get("/v1/policy", "export", reading::export)
            .says("Tells the whole policy as one document, streamed"),
        Op::get("/v1/revisions", "revisions", reading::revisions)
            .says("Tells the kept revisions, the latest first"),
        Op::get("/v1/audit", "audit", reading::audit)
            .says("Tells the audit trail: the latest rows in the order in which they were written")
            .query::<AuditQuery>(),
        Op::get("/v1/audit/verify", "verifyAudit", reading::verify_audit)
            .says("Tells whether the audit trail is as it was written"),
        Op::get("/v1/check", "check", reading::check)
            .says(
                "Tells how a made-up packet would be judged, by the program in the kernel, and why",
            )
            .query::<Question>()
            .fails(&[NotFound]),
        Op::post("/v1/check", "checkMany", reading::check_many)
            .says("Tells the same of several packets")
            .takes_no_query()
            .body::<Questions>(),
        Op::get("/v1/drops", "drops", reading::drops)
            .says("Tells recent dropped packets by source, service and port, the latest first")
            .query::<DropsQuery>(),
        Op::get("/v1/events", "events", reading::events)
            .says("Tells dropped packets, changes and how the interfaces fare as it happens, until the connection is closed; a reader that is too slow misses events, and is told how many")
            .query::<EventsQuery>(),
        Op::get("/v1/metrics", "metrics", reading::metrics)
            .says("Tells figures for monitoring, in Prometheus' text format"),
        Op::get("/v1/openapi.json", "openapi", reading::description).says("Tells this description"),
    ]
}

/// What changes something.
fn changing() -> Vec<Operation> {
    use Operation as Op;
    vec![
        Op::put("/v1/lists/{name}", "replace", changing::replace)
            .says("Makes the entries of a service or group exactly these")
            .changes(Role::Editor)
            .body::<EntrySpecs>()
            .or_lines("An entry a line, `# comment` behind it")
            .fails(&[NotFound, Guarded, Unconfirmed, InvalidLines]),
        Op::post("/v1/lists/{name}/add", "add", changing::add)
            .says("Adds entries to a service or group")
            .changes(Role::Editor)
            .body::<EntrySpecs>()
            .fails(&[NotFound, Guarded]),
        Op::post("/v1/lists/{name}/remove", "remove", changing::remove)
            .says("Removes entries from a service or group")
            .changes(Role::Editor)
            .body::<EntrySpecs>()
            .fails(&[NotFound, Guarded, Unconfirmed]),
        Op::put("/v1/services/{name}", "protect", changing::protect)
            .says("Makes a service, or changes one")
            .changes(Role::Admin)
            .body::<ServiceSettings>()
            .fails(&[NotFound, Guarded, Unconfirmed, Conflict]),
        Op::delete("/v1/services/{name}", "unprotect", changing::unprotect)
            .says("Removes a service and its entries")
            .changes(Role::Admin)
            .fails(&[NotFound, Guarded, Unconfirmed]),
        Op::put("/v1/services/{name}/mode", "mode", changing::set_mode)
            .says("Switches a service")
            .changes(Role::Admin)
            .body::<ModeSetting>()
            .fails(&[NotFound, Guarded]),
        Op::put("/v1/groups/{name}", "group", changing::set_group)
            .says("Makes a group, or changes one")
            .changes(Role::Admin)
            .optional_body::<GroupSettings>()
            .fails(&[Guarded, Unconfirmed, Conflict]),
        Op::delete("/v1/groups/{name}", "ungroup", changing::remove_group)
            .says("Removes a group that no service includes, and its entries")
            .changes(Role::Admin)
            .fails(&[NotFound, Guarded, Conflict, InUse]),
        Op::put("/v1/policy", "apply", changing::apply)
            .says("Makes the whole policy so")
            .changes(Role::Admin)
            .body::<PolicyDocument>()
            .fails(&[NotFound, Guarded, Unconfirmed, Conflict, InvalidLines]),
        Op::post("/v1/confirm", "confirm", changing::confirm)
            .says("Keeps the pending change")
            .changes(Role::Settler)
            .fails(&[NotFound]),
        Op::post("/v1/rollback", "rollback", changing::roll_back)
            .says("Undoes the pending change, or goes back to an earlier revision")
            .changes(Role::Settler)
            .optional_body::<Rollback>()
            .fails(&[NotFound, Guarded, Unconfirmed]),
        Op::put("/v1/interfaces/{name}", "attach", changing::attach)
            .says("Puts the filter on an interface")
            .changes(Role::Admin)
            .optional_body::<AttachSettings>()
            .fails(&[NotFound, Guarded, Conflict]),
        Op::delete("/v1/interfaces/{name}", "detach", changing::detach)
            .says("Takes the filter off an interface")
            .changes(Role::Admin)
            .fails(&[NotFound, Unconfirmed]),
        Op::post("/v1/shutdown", "shutdown", changing::shutdown)
            .says("Stops the daemon; the filter stays in force unless it is to be taken off")
            .needs(Role::Admin)
            .takes_no_query()
            .optional_body::<Shutdown>(),
    ]
}

/// The routes of `/v1/`, and what `/v1/openapi.json` says of them.
pub(super) fn router() -> (Router<Office>, Bytes) {
    let operations = operations();
    let description = document::document(&operations).to_string();
    let route = |router: Router<Office>, it: Operation| {
        let (path, handler) = it.route();
        router.route(path, handler)
    };
    (operations.into_iter().fold(Router::new(), route), (description + "\n").into())
}

#[cfg(test)]
mod tests;
