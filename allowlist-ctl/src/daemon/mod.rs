//! The daemon: one owner of the policy, the kernel and the store, and a socket before it.
//!
//! [`owner`] makes the changes, one after another, on a thread of its own. [`office`] turns requests into tasks
//! for the owner; what only reads is answered from [`shared`], so that it never waits for a change.

mod access;
mod answer;
mod args;
mod ask;
mod caller;
mod changing;
mod check;
mod config;
mod connections;
mod detach;
mod document;
mod drops;
mod engine;
mod entries;
mod established;
mod events;
mod explain;
mod follow;
mod interfaces;
mod keep;
mod learning;
mod listening;
mod listing;
mod logging;
mod metrics;
mod notify;
mod observing;
mod office;
mod operations;
mod owner;
mod ports;
mod privileges;
mod reading;
mod shared;
mod signals;
mod socket;
mod status;
mod surroundings;
mod takeover;
mod traffic;
mod tunnels;

use std::{fs::File, process::ExitCode, sync::Arc};

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser as _};
use tokio::{
    runtime::{self, Runtime},
    sync::oneshot,
};
use tracing::{error, info};

pub use self::args::Args;
use self::{
    access::Access,
    config::{LogFormat, Settings},
    interfaces::Wanted,
    metrics::Metrics,
    owner::{Desk, Owner, Reverted, revert_at_start},
    shared::Shared,
    signals::Signals,
    socket::Bound,
    takeover::TakenOver,
};
use crate::{
    kernel::{self, Kernel, Pins},
    patience::patiently,
    store::lock_directory,
};

/// The daemon's options, for manual pages and the like.
#[must_use]
pub fn command() -> clap::Command {
    Args::command()
}

/// Runs `allowlistd` with the process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    match start(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            logging::fallback();
            error!("{}", logging::sentence(&error));
            ExitCode::FAILURE
        }
    }
}

fn start(args: &Args) -> anyhow::Result<()> {
    let settings = Settings::read(args)?;
    if args.check_config {
        return logging::say("the configuration is valid");
    }
    if args.detach {
        logging::start(match settings.log_format {
            // Somebody typed it, and looks at the terminal.
            LogFormat::Journald => LogFormat::Text,
            format => format,
        })?;
        return runtime()?.block_on(detach::detach(&settings));
    }
    logging::start(settings.log_format)?;
    let enforcing = enforce(&settings)?;
    let runtime = runtime()?;
    let result = runtime.block_on(serve(enforcing));
    runtime.shutdown_background();
    result
}

fn runtime() -> anyhow::Result<Runtime> {
    runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

/// A daemon that enforces the policy and answers nobody yet.
struct Enforcing {
    desk: Desk,
    stopped: oneshot::Receiver<()>,
    socket: Bound,
    metrics: Option<metrics::Bound>,
    shared: Arc<Shared>,
    access: Arc<Access>,
    _pin_lock: File,
}

/// Brings up what enforces, in the order that locks nobody out: maps, then the program.
///
/// Whatever can be in the way is found before the program is on an interface. No other thread runs until capabilities
/// are given up.
fn enforce(settings: &Settings) -> anyhow::Result<Enforcing> {
    privileges::require()?;
    privileges::raise_descriptor_limit();
    let pins = Pins::at(&settings.bpffs);
    let pin_lock = lock_pins(&pins)?;
    let socket = socket::bind(&settings.socket)?;
    let metrics = settings.metrics.map(metrics::bind).transpose()?;
    kernel::raise_memory_limit();
    privileges::give_up_others()?;
    let TakenOver { mut store, policy, adopted, counts_are_foreign } =
        takeover::open(settings, &pins)?;
    let Reverted { policy, enforced, interface, restored } = revert_at_start(&mut store, policy)?;
    let remembered = store.interfaces()?;
    if counts_are_foreign {
        pins.forget_counts()?;
    }
    let mut kernel = Kernel::load(pins.clone(), &enforced, settings.engine)?;
    kernel.forget_hits(restored);
    // They may be another entry's soon, and what they matched last was an earlier daemon's.
    kernel.forget_hits(enforced.ids.free());
    let events = kernel.take_events();
    let observed = Metrics::new().context("cannot make metrics")?;
    let since = pins.counting_since();
    let shared = Arc::new(Shared::new(policy.clone(), &kernel, observed, since, store.path()));
    let wanted = Wanted::new(&settings.interfaces, settings.xdp_mode, remembered);
    let owner = Owner::new(store, kernel, policy, wanted, Arc::clone(&shared), settings.keep)?;
    let (desk, stopped) = owner.start(interface.as_deref(), adopted)?;
    if let Some(events) = events {
        drops::gather(events, Arc::clone(&shared)).context("cannot start a thread")?;
    }
    traffic::keep(Arc::clone(&shared)).context("cannot start a thread")?;
    let access = Arc::new(Access::new(&settings.access));
    Ok(Enforcing { desk, stopped, socket, metrics, shared, access, _pin_lock: pin_lock })
}

/// Why a daemon ends that nobody has stopped: with a failure, so that a service manager starts it again.
const LOST: &str = "the thread that owns the policy has ended, as a panic in the log says: the filter stays in force; start allowlistd again";

/// Opens the socket and answers, until a signal or a command ends it.
async fn serve(enforcing: Enforcing) -> anyhow::Result<()> {
    let Enforcing { desk, mut stopped, socket, metrics, shared, access, _pin_lock } = enforcing;
    let mut signals = Signals::listen()?;
    let path = socket.path().display().to_string();
    let (listener, socket_file) = socket.open()?;
    let scraped = match metrics {
        Some(metrics) => {
            let listener = metrics.open()?;
            info!(address = %listener.local_addr()?, "serving metrics");
            Some(tokio::spawn(metrics::serve(listener, Arc::clone(&shared))))
        }
        None => None,
    };
    info!(socket = path, "ready");
    notify::ready();
    let router = office::router(desk.clone(), shared, Arc::clone(&access));
    let end = async {
        let ended = tokio::select! {
            () = signals.end() => {
                notify::stopping();
                if let Err(problem) = desk.stop(None).await {
                    error!("{problem}");
                }
                // Until the store is closed.
                (&mut stopped).await
            }
            ended = &mut stopped => {
                notify::stopping();
                ended
            }
        };
        drop(socket_file);
        if let Some(scraped) = scraped {
            scraped.abort();
        }
        ended
    };
    connections::serve(listener, router, access, end).await.context(LOST)
}

fn lock_pins(pins: &Pins) -> anyhow::Result<File> {
    let directory = pins.directory();
    let lock = || {
        // Each time, for a daemon that takes the filter off removes the directory.
        pins.prepare()?;
        lock_directory(directory)
            .with_context(|| format!("cannot lock the pins in {}", directory.display()))
    };
    patiently(lock)?.with_context(|| {
        format!(
            "another allowlistd uses the pins in {}: stop it first, or give this one a --bpffs of its own",
            directory.display()
        )
    })
}
