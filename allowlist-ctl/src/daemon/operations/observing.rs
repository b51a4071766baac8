//! By which packets are watched.

use super::operation::{Operation, Role};
use crate::{
    api::{
        EntrySpecs,
        ErrorCode::{Conflict, InvalidLines, NotFound, Pending},
        PolicyDocument, ProposalQuery, TrialQuery, WatchQuery, WatchSettings,
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
        Op::post("/v1/trial", "try", observing::try_policy)
            .says("Puts a whole policy on trial: packets are judged by it, too, and not touched")
            .needs(Role::Admin)
            .query::<TrialQuery>()
            .body::<PolicyDocument>()
            .fails(&[NotFound, Conflict, InvalidLines, Pending]),
        Op::post("/v1/trial/{name}", "tryList", observing::try_list)
            .says("Puts on trial what the policy would be with these entries of a service or group")
            .needs(Role::Admin)
            .query::<TrialQuery>()
            .body::<EntrySpecs>()
            .or_lines("An entry a line, `# comment` behind it")
            .fails(&[NotFound, InvalidLines, Pending]),
        Op::get("/v1/trial", "trial", observing::trial)
            .says("Tells what the policy on trial, or the last one, would do otherwise")
            .takes_no_query()
            .fails(&[NotFound]),
        Op::delete("/v1/trial", "endTrial", observing::end_trial)
            .says("Ends the trial, and tells what the policy would have done otherwise")
            .needs(Role::Admin)
            .query::<WatchQuery>()
            .fails(&[NotFound]),
    ]
}
