//! What was typed.
//!
//! Names, ports and entries stay text here: [`super::request`] reads them, and names every bad one at once.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::{
    api::ChangeOptions,
    kernel::XdpMode,
    policy::service::{Action, Mode, WhenEmpty},
};

const AFTER_HELP: &str = "\
A first session:
  allowlist-ctl protect redis tcp/6379
  allowlist-ctl add redis 203.0.113.0/24 --comment office
  allowlist-ctl status

Exit codes: 0 done, 1 failed, 2 usage, 3 no daemon at the socket, 4 role missing,
5 refused by a guard or not confirmed, 6 not found, 7 revision conflict";

/// Says who may reach the protected ports of this server.
#[derive(Debug, Parser)]
#[command(name = "allowlist-ctl", version = crate::version::long(), after_help = AFTER_HELP)]
#[command(max_term_width = 100)]
pub(super) struct Args {
    /// The daemon's socket
    #[arg(long, global = true, value_name = "PATH", env = "ALLOWLIST_SOCKET")]
    #[arg(default_value = "/run/allowlist/allowlistd.sock", help_heading = "Global options")]
    pub(super) socket: PathBuf,
    /// Print one JSON document instead of text, errors too
    #[arg(long, global = true, help_heading = "Global options")]
    pub(super) json: bool,
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show interfaces, services, packets and warnings
    #[command(after_help = "Example: allowlist-ctl status --json | jq .revision")]
    Status,
    /// Protect ports, or change a service
    ///
    /// Makes the service NAME of the given ports. Where it exists already, its ports are replaced,
    /// and options that are not given stay as they are. As long as it has no entries, everyone is
    /// admitted; the first entry shuts out everyone else.
    #[command(after_help = "\
Examples:
  allowlist-ctl protect redis tcp/6379 tcp/16379
  allowlist-ctl protect staging tcp/5432 --address 192.0.2.8 --address 2001:db8:8::/64
  allowlist-ctl protect ssh tcp/22 --mode monitor --action reject")]
    Protect {
        /// Name of the service
        name: String,
        /// Ports: tcp/6379, udp/5000-5010; also udplite, sctp and dccp
        #[arg(required = true, value_name = "PORT")]
        ports: Vec<String>,
        /// Limit it to this interface; may be repeated, 'all' lifts the limit
        #[arg(long = "interface", value_name = "IF")]
        interfaces: Vec<String>,
        /// Limit it to packets to this destination, an address or a prefix; may be repeated, 'any'
        /// lifts the limit
        #[arg(long = "address", value_name = "ADDR")]
        addresses: Vec<String>,
        /// What becomes of packets that are not allowed
        #[arg(long, value_enum)]
        mode: Option<ModeArg>,
        /// How packets are dropped
        #[arg(long, value_enum)]
        action: Option<ActionArg>,
        /// Whom it admits while it has no entries
        #[arg(long, value_enum, value_name = "STATE")]
        when_empty: Option<WhenEmptyArg>,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Remove a service and its entries
    #[command(after_help = "Example: allowlist-ctl unprotect redis --yes")]
    Unprotect {
        /// Name of the service
        name: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Switch a service between enforcing, monitoring and nothing
    ///
    /// Its ports and entries stay as they are. Does not ask, not even where everyone is admitted
    /// from then on.
    #[command(after_help = "\
Examples:
  allowlist-ctl mode redis monitor
  allowlist-ctl mode redis enforce")]
    Mode {
        /// Name of the service
        name: String,
        /// What becomes of packets that are not allowed
        #[arg(value_enum)]
        mode: ModeArg,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Add entries to a service
    ///
    /// The most specific entry that covers an address decides. An entry that is there already gets
    /// the new comment.
    #[command(after_help = "\
Examples:
  allowlist-ctl add redis 203.0.113.7 2001:db8::/32 --comment 'web servers'
  allowlist-ctl add redis 10.0.0.0/8 '!10.6.6.0/24'")]
    Add {
        /// Name of the service
        name: String,
        #[command(flatten)]
        entries: EntryArgs,
        /// A note that is kept with the entries
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Remove entries from a service
    ///
    /// Removes all of the given entries, or none where one of them is not there. Connections that
    /// they admitted are cut.
    #[command(after_help = "Example: allowlist-ctl remove redis 203.0.113.7")]
    Remove {
        /// Name of the service
        name: String,
        #[command(flatten)]
        entries: EntryArgs,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Make the entries of a service exactly those of a file
    ///
    /// The file has an entry a line, written as for `add`; a comment after '#' is kept with its
    /// entry. A line that cannot be read is named, and nothing is changed.
    #[command(after_help = "Example: allowlist-ctl replace redis -f office.txt --dry-run")]
    Replace {
        /// Name of the service
        name: String,
        /// The file; '-' reads standard input
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Show entries, of one service or of all
    #[command(after_help = "Example: allowlist-ctl list redis")]
    List {
        /// Name of the service
        name: Option<String>,
    },
    /// Show dropped packets
    ///
    /// Shows them by source, service and port, the latest first, also those that a service in mode
    /// monitor would have dropped. Of a flood some are reported, and the rest are counted.
    #[command(after_help = "\
Examples:
  allowlist-ctl drops --limit 10
  allowlist-ctl drops --follow
  allowlist-ctl drops --json | jq -r '.drops[].source'")]
    Drops {
        /// Show every packet as it is dropped, until interrupted; with --json an object a line
        #[arg(long, conflicts_with = "limit")]
        follow: bool,
        /// Show at most N lines; not given: 50, and all with --json
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        limit: Option<u32>,
    },
    /// Put the filter on an interface
    #[command(after_help = "Example: allowlist-ctl attach eth0")]
    Attach {
        /// Name of the interface
        #[arg(value_name = "IF")]
        interface: String,
        /// How the filter is to run; not given: as the daemon was started
        #[arg(long, value_enum, value_name = "MODE")]
        xdp_mode: Option<XdpMode>,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Take the filter off an interface
    ///
    /// Everyone is admitted there from then on, also after a restart of the daemon, until `attach`.
    #[command(after_help = "Example: allowlist-ctl detach eth0 --yes")]
    Detach {
        /// Name of the interface
        #[arg(value_name = "IF")]
        interface: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Print the completions of a shell
    #[command(after_help = "\
Example: allowlist-ctl completions bash > /etc/bash_completion.d/allowlist-ctl")]
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
}

/// Entries as `add` and `remove` take them.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct EntryArgs {
    /// Addresses, prefixes or ranges (10.0.0.1-10.0.0.9); '!' before one makes it an except, which
    /// denies a smaller range inside an allowed one (quote it for the shell)
    #[arg(required = true, value_name = "CIDR")]
    pub(super) cidrs: Vec<String>,
    /// Take all of them for excepts, as if written with '!'
    #[arg(long)]
    pub(super) except: bool,
}

/// What every change takes.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(super) struct ChangeArgs {
    /// Go ahead without asking where a closed service would come to admit everyone
    #[arg(long)]
    pub(super) yes: bool,
    /// Override the guard, which refuses what would likely shut out or let in too many
    #[arg(long)]
    pub(super) force: bool,
    /// Say what would change, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Refuse unless the policy is still at revision N
    #[arg(long, value_name = "N")]
    pub(super) if_revision: Option<u64>,
}

impl From<ChangeArgs> for ChangeOptions {
    fn from(args: ChangeArgs) -> Self {
        let ChangeArgs { yes, force, dry_run, if_revision } = args;
        Self { yes, force, dry_run, confirm: None, session: None, if_revision }
    }
}

/// What becomes of packets that are not allowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum ModeArg {
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
pub(super) enum ActionArg {
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
pub(super) enum WhenEmptyArg {
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
pub(super) enum Shell {
    /// GNU bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

impl From<Shell> for clap_complete::Shell {
    fn from(shell: Shell) -> Self {
        match shell {
            Shell::Bash => Self::Bash,
            Shell::Zsh => Self::Zsh,
            Shell::Fish => Self::Fish,
        }
    }
}

#[cfg(test)]
mod tests;
