//! Options that several commands have in common, and the words that they take.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::{
    api::{ChangeOptions, Fragment},
    cli::when,
    policy::service::{Action, Mode, WhenEmpty},
};

/// What `protect` takes.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::cli) struct ProtectArgs {
    /// Name of the service
    pub(in crate::cli) name: String,
    /// Ports: tcp/6379, udp/5000-5010; also udplite, sctp and dccp
    #[arg(required = true, value_name = "PORT")]
    pub(in crate::cli) ports: Vec<String>,
    /// Limit it to this interface; may be repeated, 'all' lifts the limit
    #[arg(long = "interface", value_name = "IF")]
    pub(in crate::cli) interfaces: Vec<String>,
    /// Limit it to packets to this destination, an address or a prefix; may be repeated, 'any'
    /// lifts the limit
    #[arg(long = "address", value_name = "ADDR")]
    pub(in crate::cli) addresses: Vec<String>,
    /// Take the entries of this group for its own, too; may be repeated, 'none' ends it
    #[arg(long = "include", value_name = "GROUP")]
    pub(in crate::cli) include: Vec<String>,
    /// What becomes of packets that are not allowed
    #[arg(long, value_enum)]
    pub(in crate::cli) mode: Option<ModeArg>,
    /// How packets are dropped
    #[arg(long, value_enum)]
    pub(in crate::cli) action: Option<ActionArg>,
    /// Whom it admits while it has no entries
    #[arg(long, value_enum, value_name = "STATE")]
    pub(in crate::cli) when_empty: Option<WhenEmptyArg>,
    #[command(flatten)]
    pub(in crate::cli) change: ChangeArgs,
}

/// What `check` takes.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::cli) struct CheckArgs {
    /// Where the packet comes from
    #[arg(value_name = "ADDRESS", required_unless_present = "file")]
    pub(in crate::cli) address: Option<String>,
    /// Where it goes: redis, tcp/6379 or 6379
    #[arg(value_name = "PORT")]
    pub(in crate::cli) port: Option<String>,
    /// The interface that it comes in on; not given: one that the filter and the service are on
    #[arg(long, value_name = "IF")]
    pub(in crate::cli) interface: Option<String>,
    /// Its destination address; not given: one of the service's
    #[arg(long, value_name = "ADDR")]
    pub(in crate::cli) to: Option<String>,
    /// With a tag of this VLAN
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4094))]
    pub(in crate::cli) vlan: Option<u16>,
    /// As a fragment
    #[arg(long, value_enum, value_name = "WHICH")]
    pub(in crate::cli) fragment: Option<Fragment>,
    /// Check the assertions of a file, such as `203.0.113.7 redis admitted`, one a line; '-' reads
    /// standard input
    #[arg(long, value_name = "FILE")]
    #[arg(conflicts_with_all = ["address", "port", "interface", "to", "vlan", "fragment"])]
    pub(in crate::cli) file: Option<PathBuf>,
}

/// What `learn` takes.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::cli) struct LearnArgs {
    /// Name of the service
    pub(in crate::cli) name: String,
    /// Note the sources for so long first: 60s, 10m, 2h; Ctrl-C proposes from those so far
    #[arg(long = "for", value_name = "DUR")]
    pub(in crate::cli) lasting: Option<String>,
    /// Leave out the service's own entries, but for excepts, and propose every source that was seen:
    /// a list that is too wide gets narrower
    #[arg(long)]
    pub(in crate::cli) tighten: bool,
}

/// What `try` takes.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::cli) struct TryArgs {
    /// Name of the service or group whose entries the file has
    pub(in crate::cli) name: Option<String>,
    /// The file; '-' reads standard input
    #[arg(short, long, value_name = "FILE", required_unless_present = "end")]
    pub(in crate::cli) file: Option<PathBuf>,
    /// For so long: 60s, 10m, 2h; Ctrl-C ends it and tells what was seen so far
    #[arg(long = "for", value_name = "DUR", default_value = "60s")]
    pub(in crate::cli) lasting: String,
    /// End the trial that is running, whoever began it, and tell what was seen
    #[arg(long, conflicts_with_all = ["name", "file", "lasting"])]
    pub(in crate::cli) end: bool,
}

/// Entries as `add` and `remove` take them.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::cli) struct EntryArgs {
    /// Addresses, prefixes or ranges (10.0.0.1-10.0.0.9); '!' before one makes it an except, which
    /// denies a smaller range inside an allowed one (quote it for the shell)
    #[arg(required = true, value_name = "CIDR")]
    pub(in crate::cli) cidrs: Vec<String>,
    /// Take all of them for excepts, as if written with '!'
    #[arg(long)]
    pub(in crate::cli) except: bool,
}

/// When entries end.
#[derive(Clone, Debug, Default, clap::Args)]
pub(in crate::cli) struct EndArgs {
    /// Let the entries end after so long: 90s, 2h30m, 7d, 4w
    #[arg(long = "for", value_name = "DUR", conflicts_with = "until")]
    pub(in crate::cli) lasting: Option<String>,
    /// Let the entries end then: 2026-12-01T00:00Z, or with an offset in place of the Z
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) until: Option<String>,
}

/// What every change takes.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(in crate::cli) struct ChangeArgs {
    /// Go ahead without asking where a closed service would come to admit everyone
    #[arg(long)]
    pub(in crate::cli) yes: bool,
    /// Override the guard, which refuses what would likely shut out or let in too many
    #[arg(long)]
    pub(in crate::cli) force: bool,
    /// Say what would change, and change nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Take the change back after so long (60s, 5m) unless `allowlist-ctl confirm` comes before
    #[arg(long, value_name = "DUR", value_parser = when::confirm)]
    pub(in crate::cli) confirm: Option<u64>,
    /// Refuse unless the policy is still at revision N
    #[arg(long, value_name = "N")]
    pub(in crate::cli) if_revision: Option<u64>,
}

impl From<ChangeArgs> for ChangeOptions {
    fn from(args: ChangeArgs) -> Self {
        let ChangeArgs { yes, force, dry_run, confirm, if_revision } = args;
        Self { yes, force, dry_run, confirm, if_revision, session: None }
    }
}

/// What becomes of packets that are not allowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(in crate::cli) enum ModeArg {
    /// Drop them
    Enforce,
    /// Pass them, and count what would be dropped
    Monitor,
    /// Judge no packets at all
    Off,
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Enforce => Self::Enforce,
            ModeArg::Monitor => Self::Monitor,
            ModeArg::Off => Self::Off,
        }
    }
}

/// How packets are dropped.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(in crate::cli) enum ActionArg {
    /// Without a word
    Drop,
    /// With an answer, so that the client knows at once: a TCP reset or an ICMP error
    Reject,
}

impl From<ActionArg> for Action {
    fn from(action: ActionArg) -> Self {
        match action {
            ActionArg::Drop => Self::Drop,
            ActionArg::Reject => Self::Reject,
        }
    }
}

/// Whom a service admits while it has no entries.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(in crate::cli) enum WhenEmptyArg {
    /// Everyone
    Open,
    /// No one
    Closed,
}

impl From<WhenEmptyArg> for WhenEmpty {
    fn from(when_empty: WhenEmptyArg) -> Self {
        match when_empty {
            WhenEmptyArg::Open => Self::Open,
            WhenEmptyArg::Closed => Self::Closed,
        }
    }
}

/// Shells that completions are made for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(in crate::cli) enum Shell {
    /// GNU bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}
