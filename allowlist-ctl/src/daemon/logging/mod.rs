//! The log, and the few words that go to standard output.

use std::io::{self, IsTerminal as _, Write as _};

use tracing_subscriber::EnvFilter;

use super::config::LogFormat;

/// Starts the log: to standard error, levels by `RUST_LOG`, `info` without it.
pub(super) fn start(format: LogFormat) {
    let filter = || EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter())
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .with_writer(io::stderr);
    // A log that was started before stays.
    let _ = match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    };
}

/// Sees to it that an error is seen, though the configuration could not be read.
pub(super) fn fallback() {
    start(LogFormat::Text);
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
    use anyhow::{Context as _, anyhow};

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
