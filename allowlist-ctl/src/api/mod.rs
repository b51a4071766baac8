//! Requests and replies of the HTTP interface, shared by the daemon and the command line.
//!
//! | request | does |
//! | --- | --- |
//! | `GET /v1/status` | [`Status`] |
//! | `GET /v1/lists`, `GET /v1/lists/{name}` | [`Listing`], streamed |
//! | `PUT /v1/services/{name}` | makes or changes a service: [`ServiceSettings`] |
//! | `DELETE /v1/services/{name}` | removes a service |
//! | `PUT /v1/services/{name}/mode` | switches a service: [`ModeSetting`] |
//! | `GET /v1/audit?name=NAME&since=TIME&limit=N` | [`AuditTrail`], the latest rows in their order |
//! | `GET /v1/audit/verify` | [`AuditVerification`] |
//! | `GET /v1/drops?limit=N` | [`Drops`], the latest first |
//! | `GET /v1/drops/follow` | server-sent events: `drop` with a [`DroppedPacket`], `lost` with a [`LostEvents`] |
//! | `POST /v1/lists/{name}/add` | adds entries: [`EntrySpecs`] |
//! | `POST /v1/lists/{name}/remove` | removes entries: [`EntrySpecs`] |
//! | `PUT /v1/lists/{name}` | replaces all entries: [`EntrySpecs`], or `text/plain` with an entry a line |
//! | `PUT /v1/groups/{name}` | makes or changes a group: [`GroupSettings`] |
//! | `DELETE /v1/groups/{name}` | removes a group |
//! | `GET /v1/policy` | [`PolicyDocument`] |
//! | `PUT /v1/policy` | makes the whole policy so: [`PolicyDocument`] |
//! | `GET /v1/revisions` | [`Revisions`] |
//! | `POST /v1/confirm` | keeps the pending change |
//! | `POST /v1/rollback` | goes back: [`Rollback`] |
//! | `PUT /v1/interfaces/{name}` | attaches: [`AttachSettings`] |
//! | `DELETE /v1/interfaces/{name}` | detaches |
//! | `POST /v1/shutdown` | stops the daemon: [`Shutdown`] |
//!
//! Every change takes [`ChangeOptions`] as its query and answers with [`Changed`]. Every failure answers with
//! [`Failure`].

mod audit;
mod change;
mod document;
mod drops;
mod failure;
mod history;
mod listing;
mod schema;
mod session;
mod status;

pub(crate) use self::schema::InterfaceName;
pub use self::{
    audit::{AuditBreak, AuditBreakKind, AuditResult, AuditRow, AuditTrail, AuditVerification},
    change::{
        AttachSettings, ChangeOptions, Changed, CutConnection, EntrySpec, EntrySpecs,
        GroupSettings, MAX_CONFIRM, ModeSetting, ServiceSettings, Shutdown,
    },
    document::{DocumentEntry, GroupDocument, PolicyDocument, ServiceDocument},
    drops::{DropReason, DroppedPacket, DroppedPackets, Drops, LostEvents},
    failure::{ErrorCode, Failure, Problem},
    history::{Pending, RevisionView, Revisions, Rollback},
    listing::{EntryView, List, ListKind, Listing},
    session::{InvalidSession, SshSession},
    status::{
        GroupStatus, InterfaceState, InterfaceStatus, ServiceState, ServiceStatus, Status, Traffic,
    },
};
pub use crate::policy::difference::{Difference, Differences};

/// Where the daemon's socket is unless somebody says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/allowlist/allowlistd.sock";
/// Largest body of a request, in bytes; lists may be [`MAX_LIST_BODY`] long.
pub const MAX_BODY: usize = 1 << 20;
/// Largest body of a request that replaces a list, in bytes.
pub const MAX_LIST_BODY: usize = 256 << 20;
