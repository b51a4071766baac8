//! Links of the documents: what they lead to is there.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

/// Documents of the project's root.
const DOCUMENTS: [&str; 4] = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All pages and documents that there are.
fn documents() -> Result<Vec<PathBuf>> {
    let known = DOCUMENTS.iter().map(|name| root().join(name)).filter(|path| path.exists());
    let mut documents: Vec<_> = known.collect();
    let mut directories = vec![root().join("docs")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                documents.push(path);
            }
        }
    }
    Ok(documents)
}

/// A document without what is code: fenced blocks, and what stands between backticks.
fn prose(text: &str) -> String {
    let outside = text.split("```").step_by(2).collect::<Vec<_>>().join("\n");
    outside.split('`').step_by(2).collect()
}

/// Where the links and pictures of a text lead to.
fn targets(prose: &str) -> Vec<&str> {
    let behind = prose.split("](").skip(1);
    behind.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target).collect()
}

/// The anchors of a document's headings, as mdBook and GitHub make them.
fn anchors(text: &str) -> Vec<String> {
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    let outside = text.split("```").step_by(2).collect::<Vec<_>>().join("\n");
    let headings = outside.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let title = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        let count = taken.entry(anchor.clone()).or_default();
        *count += 1;
        if *count == 1 { anchor } else { format!("{anchor}-{}", *count - 1) }
    };
    headings.map(anchor).collect()
}

#[test]
fn links_lead_to_files_and_headings_that_are_there() -> Result<()> {
    let mut broken = Vec::new();
    let mut followed = 0;
    for document in documents()? {
        let text = fs::read_to_string(&document)?;
        let directory = document.parent().context("a document in no directory")?;
        let prose = prose(&text);
        for target in targets(&prose) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            followed += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if path.is_empty() { document.clone() } else { directory.join(path) };
            let is_there = path.exists()
                && (anchor.is_empty()
                    || anchors(&fs::read_to_string(&path)?).iter().any(|known| known == anchor));
            if !is_there {
                broken.push(format!("{}: {target}", document.display()));
            }
        }
    }
    ensure!(followed > 50, "only {followed} links were found");
    ensure!(broken.is_empty(), "these lead nowhere: {broken:#?}");
    Ok(())
}

#[test]
fn anchors_are_those_of_headings() {
    let text = "# How `it` works!\n```sh\n# no heading\n```\n## 1. In a program: `/v1/events`\n## The same\n## The same\n";
    let expected = ["how-it-works", "1-in-a-program-v1events", "the-same", "the-same-1"];
    assert_eq!(anchors(text), expected);
    assert_eq!(targets(&prose("[a](b.md#c), `[x](y)`, ![d\ne](f.svg)")), ["b.md#c", "f.svg"]);
}
