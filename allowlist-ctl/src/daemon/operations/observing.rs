//! By which packets are watched.

use super::operation::{Operation, Role};
use crate::{
    api::{
        ErrorCode::{Conflict, NotFound},
        ProposalQuery, WatchQuery, WatchSettings,
    },
    daemon::observing,
};

/// Those operations.
pub(super) fn operations() -> Vec<Operation> {
    use Operation as Op;
    vec![
        Op::post("/v1/services/{name}/watch", "watch", observing::watch)
            .says("Has the sources of a service's packets noted for a while")
            .needs(Role::Editor)
            .takes_no_query()
            .body::<WatchSettings>()
            .fails(&[NotFound, Conflict]),
        Op::delete("/v1/services/{name}/watch", "endWatch", observing::end_watch)
            .says("Ends that before its time")
            .needs(Role::Editor)
            .query::<WatchQuery>()
            .fails(&[NotFound]),
        Op::get("/v1/services/{name}/proposal", "proposal", observing::proposal)
            .says("Tells entries that admit whom a service admits today, from what was seen")
            .query::<ProposalQuery>()
            .fails(&[NotFound, Conflict]),
    ]
}
