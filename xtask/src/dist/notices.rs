//! The licences and copyright notices of what the programs are linked with, as their authors ask for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::contents::{array, metadata};

/// The name that they have in the packages.
pub(super) const PLACE: &str = "usr/share/doc/allowlist/THIRD-PARTY.txt";

/// How the names of files begin that say on which terms a crate may be used.
const BEGINNINGS: [&str; 5] = ["license", "licence", "copying", "notice", "unlicense"];

/// Of crates that name their terms and bring no text of them.
const NO_TEXT: &str = "These come without a text: their terms are those that are named above.";

/// Gathers the notices of what a list in the format of CycloneDX has.
pub(super) fn make(list: &Path) -> Result<String> {
    let list: Value = serde_json::from_str(&fs::read_to_string(list)?)?;
    let metadata = metadata()?;
    let mut crates = BTreeMap::new();
    for package in array(&metadata["packages"]) {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        let directory = manifest.parent().context("a crate that lies nowhere")?;
        crates.insert(name_of(package)?, directory.to_owned());
    }
    let mut with_text: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for component in array(&list["components"]) {
        let is_of_others =
            component["purl"].as_str().is_some_and(|purl| purl.starts_with("pkg:cargo/"))
                && !component["name"].as_str().is_some_and(|name| name.starts_with("allowlist"));
        if !is_of_others {
            continue;
        }
        let name = name_of(component)?;
        let directory = crates.get(&name).with_context(|| format!("cargo knows no {name}"))?;
        let terms = array(&component["licenses"])
            .iter()
            .find_map(|one| one["expression"].as_str().or_else(|| one["license"]["id"].as_str()));
        let name = format!("{name}: {}", terms.with_context(|| format!("{name} has no licence"))?);
        let texts = texts(directory)?;
        if texts.is_empty() {
            with_text.entry(NO_TEXT.to_owned()).or_default().insert(name.clone());
        }
        for text in texts {
            with_text.entry(text).or_default().insert(name.clone());
        }
    }
    if with_text.is_empty() {
        bail!("nothing of what is packed has a licence");
    }
    Ok(joined(&with_text))
}

fn joined(texts: &BTreeMap<String, BTreeSet<String>>) -> String {
    // What most have comes first, so that the rest is found.
    let mut texts: Vec<_> = texts.iter().collect();
    texts.sort_by_key(|(text, names)| (usize::MAX - names.len(), *text));
    let mut all =
        "The programs are linked with these crates, each with its version and its terms.\n\
                   Below each group of them is a text that comes with all of the group.\n"
            .to_owned();
    for (text, names) in texts {
        let line = "=".repeat(76);
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let _: std::fmt::Result =
            writeln!(all, "\n{line}\n{}\n{line}\n\n{}", names.join("\n"), text.trim_end());
    }
    all
}

/// Name and version.
fn name_of(of: &Value) -> Result<String> {
    let field = |name: &str| of[name].as_str().with_context(|| format!("a crate without {name}"));
    Ok(format!("{} {}", field("name")?, field("version")?))
}

/// The texts that lie beside a manifest.
fn texts(directory: &Path) -> Result<Vec<String>> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.sort();
    let is_text = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        file.is_file() && BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
    };
    let texts = files
        .iter()
        .filter(|file| is_text(file))
        .map(|file| fs::read_to_string(file).with_context(|| file.display().to_string()));
    texts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_several_share_is_there_once_and_before_those_of_few() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let texts = [
            ("Copyright of one\n\n".to_owned(), names(&["c 1.0.0: MIT"])),
            ("Permission\n".to_owned(), names(&["a 1.0.0: MIT", "b 2.0.0: MIT OR Apache-2.0"])),
        ];
        let all = joined(&texts.into());
        let shared = all.find("a 1.0.0: MIT\nb 2.0.0: MIT OR Apache-2.0\n").unwrap();
        assert!(shared < all.find("c 1.0.0: MIT\n").unwrap(), "{all}");
        assert_eq!(all.matches("Permission").count(), 1, "{all}");
    }

    #[test]
    fn files_with_terms_are_told_from_others() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["LICENSE-MIT", "COPYING", "src.rs", "NOTICE.md", "readme"] {
            fs::write(directory.path().join(name), name).unwrap();
        }
        assert_eq!(texts(directory.path()).unwrap(), ["COPYING", "LICENSE-MIT", "NOTICE.md"]);
    }
}
