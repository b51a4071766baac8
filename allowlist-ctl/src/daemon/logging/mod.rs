//! The log, and the few words that go to standard output.

mod limit;

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Instant,
};

use anyhow::Context as _;
use tracing_subscriber::{
    EnvFilter, Layer as _, fmt, layer::SubscriberExt as _, registry, util::SubscriberInitExt as _,
};

use self::limit::{Limited, PLACES};
use super::config::LogFormat;

/// Before the names of fields in the journal.
const JOURNAL_PREFIX: &str = "ALLOWLIST";

/// Starts the log: levels by `RUST_LOG`, `info` without it. It goes to standard error, or to journald; where somebody
/// started the daemon on a terminal, to that as well.
///
/// # Errors
/// A sentence, where there is no journald.
pub(super) fn start(format: LogFormat) -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let is_terminal = io::stderr().is_terminal();
    let lines = || fmt::layer().with_target(false).with_writer(io::stderr);
    let text = || lines().with_ansi(is_terminal).boxed();
    let layers = match format {
        LogFormat::Text => vec![text()],
        LogFormat::Json => vec![lines().json().boxed()],
        LogFormat::Journald if is_terminal => vec![journal()?.boxed(), text()],
        LogFormat::Journald => vec![journal()?.boxed()],
    };
    // A log that was started before stays.
    let _ = registry().with(Limited(&PLACES)).with(filter).with(layers).try_init();
    Ok(())
}

fn journal() -> anyhow::Result<tracing_journald::Layer> {
    let journal = tracing_journald::layer().context(
        "cannot log to journald at /run/systemd/journal/socket: without systemd, or in a container, set format = \"text\" or \"json\" under [log]",
    )?;
    Ok(journal.with_field_prefix(Some(JOURNAL_PREFIX.into())))
}

/// Sees to it that an error is seen, though the configuration could not be read.
pub(super) fn fallback() {
    // It cannot fail without journald.
    let _ = start(LogFormat::Text);
}

/// Says how many warnings were not told in the minutes that are over.
pub(super) fn sum_up() {
    limit::tell(PLACES.over(Instant::now()));
}

/// The same though the minutes are not over.
pub(super) fn sum_up_all() {
    limit::tell(PLACES.all());
}

/// Says something on standard output.
///
/// # Errors
/// What the output answered.
pub(super) fn say(text: &str) -> anyhow::Result<()> {
    writeln!(io::stdout(), "{text}")?;
    Ok(())
}

/// An error with its causes, of which those are left out that were told already: most say what caused them.
pub(super) fn sentence(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let cause = || anyhow!("no such file");
        for (error, expected) in [
            (cause(), "no such file"),
            (cause().context("cannot read it"), "cannot read it: no such file"),
            (cause().context("cannot read it: no such file"), "cannot read it: no such file"),
        ] {
            assert_eq!(sentence(&error), expected);
        }
        let nested = Err::<(), _>(cause().context("b: no such file")).context("a").unwrap_err();
        assert_eq!(sentence(&nested), "a: b: no such file");
    }
}
