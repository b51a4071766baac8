//! Manual pages, those of the commands and those that are written by hand.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};

use super::write;

/// Every page, below a directory as packed.
fn pages(root: &tempfile::TempDir) -> Result<Vec<PathBuf>> {
    write::all(root.path(), "1.2.3")?;
    let mut pages = Vec::new();
    for section in fs::read_dir(root.path().join("usr/share/man"))? {
        for page in fs::read_dir(section?.path())? {
            pages.push(page?.path());
        }
    }
    Ok(pages)
}

#[test]
fn man_warns_of_nothing_and_mandoc_finds_no_error() -> Result<()> {
    let root = tempfile::tempdir()?;
    let pages = pages(&root)?;
    for needed in ["allowlist-ctl.1", "allowlist-ctl-protect.1", "allowlistd.8", "allowlist.7"] {
        ensure!(pages.iter().any(|page| page.ends_with(needed)), "no {needed}");
    }
    for page in &pages {
        for (program, words) in [
            ("man", &["--warnings", "--encoding=UTF-8", "--local-file"][..]),
            // Below errors it has opinions on style.
            ("mandoc", &["-T", "lint", "-W", "error"]),
        ] {
            let output = Command::new(program)
                .args(words)
                .arg(page)
                .env("LC_ALL", "C.UTF-8")
                .env("MANPAGER", "cat")
                .output()
                .with_context(|| format!("{program} can't be run"))?;
            let said = String::from_utf8_lossy(&output.stderr);
            let is_right = output.status.success() && said.is_empty();
            ensure!(is_right, "{program} of {}: {said}{}", page.display(), output.status);
        }
    }
    Ok(())
}

#[test]
fn pages_name_only_pages_that_there_are() -> Result<()> {
    let root = tempfile::tempdir()?;
    let pages = pages(&root)?;
    for page in &pages {
        let text = fs::read_to_string(page)?.replace('\\', "");
        // `.BR allowlist-ctl (1),` and `allowlist-ctl-add(1)`.
        let named = text.replace(" (", "(");
        let words = named.split_whitespace().filter(|word| word.starts_with("allowlist"));
        for word in words {
            let Some((name, rest)) = word.split_once('(') else { continue };
            let Some(section) = rest.split_once(')').map(|(section, _)| section) else { continue };
            let file = format!("{name}.{section}");
            ensure!(pages.iter().any(|page| page.ends_with(&file)), "{}: {word}", page.display());
        }
    }
    Ok(())
}
