//! `cargo xtask guide`: the guide as a book for a browser.

use std::process::Command;

use anyhow::Result;

use crate::{binaries, setup::tools, test};

/// Makes it, and says where it is.
pub(crate) fn run() -> Result<()> {
    tools::ensure(&tools::MDBOOK)?;
    test::step("the guide", Command::new("mdbook").args(["build", "docs"]))?;
    println!("the guide: {}", binaries::root().join("target/guide/index.html").display());
    Ok(())
}
