//! Requests and replies of the HTTP interface, shared by the daemon and the command line.
//!
//! What can be asked for is in one table, `daemon::operations`. The router is made from it, and so is the description at
//! `GET /v1/openapi.json`, with the schemas of the types in here. Every change takes [`ChangeOptions`] as its query and
//! answers with [`Changed`]. Every failure answers with [`Failure`].

mod audit;
mod change;
mod check;
mod document;
mod drops;
mod engine;
mod events;
mod failure;
mod history;
mod listing;
mod observe;
mod past;
mod schema;
mod session;
mod status;
mod trial;

pub(crate) use self::schema::InterfaceName;
pub use self::{
    audit::{AuditBreak, AuditBreakKind, AuditResult, AuditRow, AuditTrail, AuditVerification},
    change::{
        AttachSettings, ChangeOptions, Changed, CutConnection, EntrySpec, EntrySpecs,
        GroupSettings, MAX_CONFIRM, ModeSetting, ServiceSettings, Shutdown,
    },
    check::{
        Answers, Check, CheckAnswer, CheckReason, CheckVerdict, CheckedEntry, Checks, Fragment,
        ListedBy, MAX_QUESTIONS, Question, Questions,
    },
    document::{DocumentEntry, GroupDocument, PolicyDocument, ServiceDocument},
    drops::{DropReason, DroppedPacket, DroppedPackets, Drops},
    engine::{Engine, EngineKind, EngineStatus, ServiceEngines},
    events::{ChangeEvent, ChangeState, EventKind, EventKinds, InvalidKinds, LostEvents},
    failure::{ErrorCode, Failure, Problem},
    history::{Pending, RevisionView, Revisions, Rollback},
    listing::{EntryView, List, ListKind, Listing},
    observe::{
        EndedWatches, LeftOut, MAX_WATCH, Proposal, ProposalQuery, ProposedEntry, SeenSources,
        WatchQuery, WatchSettings, Watching,
    },
    past::{PastFilter, Tunnel, Unfiltered},
    session::{InvalidSession, SshSession},
    status::{
        Degraded, DegradedPart, GroupStatus, InterfaceState, InterfaceStatus, LastMinute,
        ServiceState, ServiceStatus, ServiceTraffic, Status, Traffic,
    },
    trial::{Trial, TrialQuery, TrialReport, TrialSource, WouldBe},
};
pub use crate::policy::difference::{Difference, Differences};

/// Where the daemon's socket is unless somebody says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/allowlist/allowlistd.sock";
/// What the daemon calls itself in the header `server` of each answer, by which clients know that it is one.
pub const DAEMON: &str = "allowlistd";
/// Largest body of a request, in bytes; lists may be [`MAX_LIST_BODY`] long.
pub const MAX_BODY: usize = 1 << 20;
/// Largest body of a request that replaces a list, in bytes.
pub const MAX_LIST_BODY: usize = 256 << 20;
