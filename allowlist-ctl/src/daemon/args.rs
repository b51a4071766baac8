//! The daemon's command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;

use crate::{kernel::XdpMode, version};

/// Where the configuration is looked for; it may be missing there.
pub(super) const DEFAULT_CONFIG: &str = "/etc/allowlist/allowlistd.toml";

/// The allowlist daemon: filters the packets to protected ports by their source, in the kernel.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "allowlistd", version = version::long(), max_term_width = 100)]
#[command(
    after_help = "Flags override the configuration file. Stopping the daemon keeps the filter in force; \
    `allowlistd --detach` takes it off.\n\nExample: allowlistd --interface eth0"
)]
pub struct Args {
    /// Configuration file [default: /etc/allowlist/allowlistd.toml, where it exists]
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Interface to put the filter on; may be repeated
    #[arg(long = "interface", value_name = "IF")]
    pub interfaces: Vec<String>,
    /// How the filter runs: in the driver, in the network stack, or whichever goes
    #[arg(long, value_enum, value_name = "MODE")]
    pub xdp_mode: Option<XdpMode>,
    /// Directory of the database [default: /var/lib/allowlist]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Socket to serve [default: /run/allowlist/allowlistd.sock]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// BPF file system that the filter is pinned on [default: /sys/fs/bpf]
    #[arg(long, value_name = "DIR")]
    pub bpffs: Option<PathBuf>,
    /// Serve metrics for Prometheus at http://ADDR:PORT/metrics, to whoever can connect there [default: nowhere]
    #[arg(long, value_name = "ADDR:PORT")]
    pub metrics: Option<SocketAddr>,
    /// Put in force what is in the store, though it is missing, another or older than what is in force
    #[arg(long, conflicts_with_all = ["check_config", "detach"])]
    pub adopt_store: bool,
    /// Check the configuration and exit
    #[arg(long)]
    pub check_config: bool,
    /// Take the filter off every interface, stop the daemon if one runs, and exit
    #[arg(long, conflicts_with = "check_config")]
    pub detach: bool,
}
