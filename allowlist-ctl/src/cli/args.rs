//! What was typed.
//!
//! Names, ports and entries stay text here: [`super::request`] reads them, and names every bad one at once.

mod options;

use std::{ffi::OsString, path::PathBuf};

use clap::{
    Parser, Subcommand,
    builder::{OsStringValueParser, TypedValueParser as _},
};

pub(super) use self::options::{
    ChangeArgs, CheckArgs, EndArgs, EntryArgs, LearnArgs, ModeArg, ProtectArgs, Shell, TryArgs,
};
use crate::{api::DEFAULT_SOCKET, kernel::XdpMode};

const AFTER_HELP: &str = "\
A first session:
  allowlist-ctl protect redis tcp/6379
  allowlist-ctl add redis 203.0.113.0/24 --comment office
  allowlist-ctl status

Exit codes: 0 done, 1 failed, 2 usage, 3 no daemon at the socket, 4 role missing,
5 refused by a guard, not answered with yes, or something else is pending or in
use, 6 not found, 7 revision conflict, 10 `check` says dropped";

/// An empty variable is one that is not set.
pub(super) fn socket_at(text: OsString) -> PathBuf {
    if text.is_empty() { DEFAULT_SOCKET.into() } else { text.into() }
}

/// Says who may reach the protected ports of this server.
#[derive(Debug, Parser)]
#[command(name = "allowlist-ctl", version = crate::version::long(), after_help = AFTER_HELP)]
#[command(max_term_width = 100)]
pub(super) struct Args {
    /// The daemon's socket
    #[arg(long, global = true, value_name = "PATH", env = "ALLOWLIST_SOCKET")]
    #[arg(default_value = DEFAULT_SOCKET)]
    #[arg(value_parser = OsStringValueParser::new().map(socket_at), help_heading = "Global options")]
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
    #[command(after_help = "\
Examples:
  allowlist-ctl status --json | jq .revision
  allowlist-ctl status --watch")]
    Status {
        /// Show it again every SECONDS (2 if not given), until interrupted: in place on a terminal, one after
        /// another elsewhere; with --json a document a line
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2")]
        #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
        watch: Option<u64>,
    },
    /// Protect ports, or change a service
    ///
    /// Makes the service NAME of the given ports. Where it exists already, its ports are replaced,
    /// and options that are not given stay as they are. As long as it has no entries, everyone is
    /// admitted; the first entry shuts out everyone else.
    #[command(after_help = "\
Examples:
  allowlist-ctl protect redis tcp/6379 tcp/16379
  allowlist-ctl protect staging tcp/5432 --address 192.0.2.8 --address 2001:db8:8::/64
  allowlist-ctl protect web tcp/443 --include office --include monitoring
  allowlist-ctl protect ssh tcp/22 --mode monitor --action reject")]
    Protect(ProtectArgs),
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
    /// Make a group, or have it follow a file
    ///
    /// A group is a list of entries that services include, see `protect --include`. Every service
    /// includes the group 'trusted', which is always there. The entries of a group that follows a
    /// file are those of the file, beside the ones that are added by command; they change with it.
    #[command(after_help = "\
Examples:
  allowlist-ctl group office
  allowlist-ctl group monitoring --follow /etc/allowlist/monitoring.txt
  allowlist-ctl group monitoring --follow none")]
    Group {
        /// Name of the group
        name: String,
        /// The file, with an entry a line as for `replace`; 'none' follows no file any more
        #[arg(long, value_name = "FILE")]
        follow: Option<PathBuf>,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Remove a group and its entries
    ///
    /// A group that services include is not removed.
    #[command(after_help = "Example: allowlist-ctl ungroup office")]
    Ungroup {
        /// Name of the group
        name: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Add entries to a service or group
    ///
    /// The most specific entry that covers an address decides. An entry that is there already gets
    /// the new comment and the new end. An entry that has ended no longer decides; it stays in the
    /// list until it is removed, so that its end opens nothing.
    #[command(after_help = "\
Examples:
  allowlist-ctl add redis 203.0.113.7 2001:db8::/32 --comment 'web servers'
  allowlist-ctl add redis 10.0.0.0/8 '!10.6.6.0/24'
  allowlist-ctl add redis 198.51.100.7 --for 2h30m --comment visitor
  allowlist-ctl add trusted 192.0.2.0/24 --confirm 60s")]
    Add {
        /// Name of the service or group
        name: String,
        #[command(flatten)]
        entries: EntryArgs,
        /// A note that is kept with the entries
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
        #[command(flatten)]
        end: EndArgs,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Remove entries from a service or group
    ///
    /// Removes all of the given entries, or none where one of them is not there. Where that would
    /// cut an established connection it is refused; --force cuts it.
    #[command(after_help = "Example: allowlist-ctl remove redis 203.0.113.7")]
    Remove {
        /// Name of the service or group
        name: String,
        #[command(flatten)]
        entries: EntryArgs,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Make the entries of a service or group exactly those of a file
    ///
    /// The file has an entry a line, written as for `add`; ' until=2026-12-01T00:00Z' behind it is
    /// its end, and a comment after '#' is kept with it. A line that cannot be read is named, and
    /// nothing is changed.
    #[command(after_help = "Example: allowlist-ctl replace redis -f office.txt --dry-run")]
    Replace {
        /// Name of the service or group
        name: String,
        /// The file; '-' reads standard input
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Change the entries of a service or group in an editor
    ///
    /// Opens $VISUAL, or $EDITOR, on a text as `replace` takes it. Lines that cannot be read are
    /// shown, and can be edited again; a text that is not taken is kept in a file.
    #[command(after_help = "\
Examples:
  allowlist-ctl edit redis
  allowlist-ctl edit office --confirm 5m")]
    Edit {
        /// Name of the service or group
        name: String,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Show entries, of one service or group or of all
    #[command(after_help = "Example: allowlist-ctl list redis")]
    List {
        /// Name of the service or group
        name: Option<String>,
    },
    /// Print the whole policy as TOML, for `apply`
    ///
    /// Entries of followed files are not in it, as the files say them.
    #[command(after_help = "Example: allowlist-ctl export > policy.toml")]
    Export,
    /// Make the whole policy that of a file
    ///
    /// Takes what `export` prints, and shows what differs. Services, groups and entries that the
    /// file does not have are removed. Applying what was exported changes nothing.
    #[command(after_help = "\
Examples:
  allowlist-ctl apply -f policy.toml --dry-run
  allowlist-ctl apply -f policy.toml --confirm 5m")]
    Apply {
        /// The file; '-' reads standard input
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Keep a change that was made with --confirm
    #[command(after_help = "Example: allowlist-ctl confirm")]
    Confirm,
    /// Undo the pending change, or go back to an earlier revision
    ///
    /// Undoes the change that waits to be confirmed; where none does, the policy becomes what it
    /// was before the last change, and a second time what it was before that. With --to it becomes
    /// what it was at a revision. Either makes a new revision.
    #[command(after_help = "\
Examples:
  allowlist-ctl rollback
  allowlist-ctl rollback --to 41 --dry-run")]
    Rollback {
        /// Go back to this revision; `allowlist-ctl revisions` shows those that are kept
        #[arg(long, value_name = "REV")]
        to: Option<u64>,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Show the revisions that `rollback` can go back to
    #[command(after_help = "Example: allowlist-ctl revisions")]
    Revisions,
    /// Show who changed what and when
    ///
    /// Refusals and failures are shown, too. Every row has a hash over those before it: --verify says
    /// whether a row was altered, removed or inserted since, and where; the daemon's log has the
    /// hashes to compare with.
    #[command(after_help = "\
Examples:
  allowlist-ctl audit --name redis --since 7d
  allowlist-ctl audit --verify")]
    Audit {
        /// Only what is about this service, group or interface
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        /// Only what was asked for in so long: 90s, 2h30m, 7d, 4w
        #[arg(long, value_name = "DUR")]
        since: Option<String>,
        /// Show at most N rows, the latest
        #[arg(long, value_name = "N", default_value_t = 50)]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        /// Say whether the trail is as it was written
        #[arg(long, conflicts_with_all = ["name", "since", "limit"])]
        verify: bool,
    },
    /// Say whether a packet would be admitted, and why
    ///
    /// The program in the kernel judges a made-up packet over the live maps; nothing is counted or
    /// sent. Says which entry decides and where it stands. Without PORT it says so of every service.
    /// Ends with 0 where all is admitted, and with 10 where something is dropped.
    #[command(after_help = "\
Examples:
  allowlist-ctl check 203.0.113.7 redis
  allowlist-ctl check 2001:db8::7 tcp/443 --interface eth0
  allowlist-ctl check 203.0.113.7
  allowlist-ctl check --file assertions.txt")]
    Check(CheckArgs),
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
    /// Watch packets, services and denied sources live
    ///
    /// Shows the packets a second that each service admits and denies, and the sources that are
    /// denied most, until 'q' is typed; '?' shows the keys. A source can be added from there.
    #[command(after_help = "Example: allowlist-ctl top")]
    Top,
    /// Propose entries for a service from the sources that are seen
    ///
    /// Prints a file for `replace`, and changes nothing. Whose packets pass is noted for services in
    /// mode monitor, and for others with --for; established connections are always known. Sources
    /// are put together to prefixes where many of them are neighbours; nobody is proposed who is
    /// denied today.
    #[command(after_help = "\
Examples:
  allowlist-ctl learn redis --for 10m > redis.txt
  allowlist-ctl try redis -f redis.txt
  allowlist-ctl replace redis -f redis.txt")]
    Learn(LearnArgs),
    /// Try a policy on real packets, and say what it would do otherwise
    ///
    /// Packets are judged by it beside the policy in force, which alone decides about them. Tells
    /// whose packets would newly be dropped or admitted, and which established connections would be
    /// cut. With NAME the file has the entries of that service or group, as `replace` takes them;
    /// without, it is a whole policy, as `apply` takes it.
    #[command(after_help = "\
Examples:
  allowlist-ctl try redis -f redis.txt
  allowlist-ctl try -f policy.toml --for 1h
  allowlist-ctl try --end")]
    Try(TryArgs),
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
    ///
    /// Services, groups and interfaces complete, too: the script asks the daemon, by this program. Packages bring it along.
    #[command(after_help = "\
Example: allowlist-ctl completions bash > /etc/bash_completion.d/allowlist-ctl")]
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
}

#[cfg(test)]
mod tests;
