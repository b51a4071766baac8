//! The guide's page of all commands.

use std::{collections::BTreeSet, fs, path::Path};

use allowlist::cli;
use anyhow::{Context as _, Result, ensure};

use super::guide::{PAGE, RENEW, commands};

#[test]
fn the_page_of_commands_is_that_of_their_definitions() -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PAGE);
    let kept = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let made = commands();
    let other = made.lines().zip(kept.lines()).find(|(made, kept)| made != kept);
    ensure!(made == kept, "{PAGE} is stale, `{RENEW}` renews it; the first line: {other:#?}");
    Ok(())
}

#[test]
fn the_page_has_the_exit_codes_that_help_has() -> Result<()> {
    let help = cli::command().get_after_help().context("no help")?.to_string();
    let (_, help) = help.split_once("Exit codes: ").context("no exit codes in help")?;
    let of_help: BTreeSet<u8> =
        help.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let page = commands();
    let (_, table) = page.split_once("## Exit codes").context("no exit codes on the page")?;
    let (table, _) = table.split_once("\n## ").context("nothing behind them")?;
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next());
    let of_page: BTreeSet<u8> = rows.filter_map(|word| word.parse().ok()).collect();
    ensure!(of_help == of_page && of_help.len() == 9, "{of_help:?} and {of_page:?}");
    Ok(())
}
