//! The fenced blocks of a page, and what is to be done with each.
//!
//! The words after a fence say it, where readers do not see them:
//!
//! - `sh` is typed on the server; `sh alice` and `sh bob` on these clients. Every command has to succeed, but for one that ends
//!   with N where `exit=N` stands, and for `allowlist-ctl check`, which ends with 10 where it says that somebody is dropped.
//! - `sh read` is for another machine, or for a terminal: it is parsed. So is `sh package`, which is typed where the package is
//!   installed by apt and run by systemd: by `cargo xtask vm --package`.
//! - `text` is what the block before has to have said, line for line; times and runs of spaces may differ, and a line of
//!   three dots stands for any. `text example` is not compared.
//! - A block whose first line is a comment with the name of a file is that file, which is written. Any other language has to
//!   have such a line, but for `toml`, which is the daemon's configuration without it.
//! - A block in a comment of HTML is one like any other, which readers do not see: what a service manager or another host does.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// A fenced block.
#[derive(Debug)]
pub(crate) struct Block<'a> {
    /// The first word after the fence.
    pub(crate) language: &'a str,
    /// The others.
    pub(crate) words: Vec<&'a str>,
    pub(crate) text: &'a str,
}

impl Block<'_> {
    /// Whether this is one of the words after the language.
    pub(crate) fn is(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    /// How one of the commands has to end.
    pub(crate) fn exit(&self) -> Result<Option<i32>> {
        let exit = self.words.iter().find_map(|word| word.strip_prefix("exit="));
        exit.map(|code| code.parse().with_context(|| format!("exit={code}"))).transpose()
    }

    /// The file that its first line names.
    pub(crate) fn file(&self) -> Option<&str> {
        let name = self.text.lines().next()?.strip_prefix("# ")?;
        let is_name = name.contains(['.', '/']) && !name.contains(' ');
        is_name.then_some(name)
    }
}

/// The blocks of a page in their order.
pub(crate) fn blocks(page: &str) -> Vec<Block<'_>> {
    let fenced = page.split("```").skip(1).step_by(2);
    let block = |block| {
        let (info, text) = str::split_once(block, '\n').unwrap_or((block, ""));
        let mut words = info.split_whitespace();
        Block { language: words.next().unwrap_or_default(), words: words.collect(), text }
    };
    fenced.map(block).collect()
}

/// A page of the guide.
pub(crate) fn page(name: &str) -> Result<String> {
    let path = docs().join(name);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// The names of all pages.
pub(crate) fn pages() -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut directories = vec![docs()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path.strip_prefix(docs())?.display().to_string());
            }
        }
    }
    Ok(found)
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// A line such that two of them are the same where only times and spaces differ.
pub(crate) fn comparable(line: &str) -> String {
    let words = line.split_whitespace().map(|word| {
        let digits = word.chars().filter(char::is_ascii_digit).count();
        let is_time = digits >= 6
            && word.contains(':')
            && word.trim_end_matches([';', ',', ')']).ends_with('Z');
        if is_time { "TIME" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}
