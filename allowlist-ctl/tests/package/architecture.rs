//! The guide's page for contributors: what it names is there.

use std::{fs, path::Path};

use anyhow::{Result, ensure};

const PAGE: &str = include_str!("../../../docs/architecture.md");

/// What stands between backticks in a text.
fn named(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Whether this is a path of the project, and not a command or a word.
fn is_path(name: &str) -> bool {
    name.contains('/') && !name.contains(' ')
}

/// Whether a source defines something by this name.
fn defines(source: &str, name: &str) -> bool {
    let kinds = ["fn", "struct", "enum", "trait", "const"];
    kinds.iter().any(|kind| {
        let definition = format!("{kind} {name}");
        source.match_indices(&definition).any(|(at, text)| {
            let next = source[at + text.len()..].chars().next();
            next.is_none_or(|next| !next.is_alphanumeric() && next != '_')
        })
    })
}

#[test]
fn every_path_and_name_of_the_page_for_contributors_is_there() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut wrong = Vec::new();
    let paths: Vec<_> = named(PAGE).filter(|name| is_path(name)).collect();
    ensure!(paths.len() > 70, "only {} paths were found", paths.len());
    for path in paths {
        if !root.join(path).exists() || root.join(path).is_dir() != path.ends_with('/') {
            wrong.push(format!("there is no {path}"));
        }
    }
    let mut names = 0;
    for row in PAGE.lines() {
        let cells: Vec<_> = row.split(" | ").collect();
        let &[file, there] = cells.as_slice() else { continue };
        let Some(file) = named(file).find(|name| is_path(name)) else { continue };
        let source = fs::read_to_string(root.join(file))?;
        // Names before the first other path are of this file.
        for name in named(there).take_while(|name| !is_path(name)) {
            let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_');
            if !is_name
                || ["data", "data_end", "unsafe", "Change", "Flow", "Verdict"].contains(&name)
            {
                continue;
            }
            names += 1;
            if !defines(&source, name) {
                wrong.push(format!("{file} has no {name}"));
            }
        }
    }
    ensure!(names > 30, "only {names} names were found");
    ensure!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}
