//! `cargo xtask dist`: what is given away: a package of Debian's, an archive for everything else, what debuggers want
//! to know, and a list of what it all is made of.

mod archives;
mod build;
mod contents;
mod links;
mod notices;
mod sysroot;
mod tree;

use std::{env, fs, path::PathBuf};

use anyhow::Result;

use self::sysroot::Sysroot;
use crate::{binaries, setup};

/// The version of the crate.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is made.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// A version other than the crate's
    #[arg(long, default_value = VERSION)]
    version: String,
}

/// What was made.
pub(crate) struct Made {
    pub(crate) deb: PathBuf,
    tar: PathBuf,
    debug: PathBuf,
    contents: PathBuf,
}

/// Makes it, and says where it is.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::ensure()?;
    setup::ensure_packing()?;
    let made = make(&options.version)?;
    for file in [&made.deb, &made.tar, &made.debug, &made.contents] {
        println!("{}", archives::describe(file)?);
    }
    Ok(())
}

/// Makes it of a version.
pub(crate) fn make(version: &str) -> Result<Made> {
    let directory = binaries::root().join("target/packed");
    fs::create_dir_all(&directory)?;
    let built = build::build(&Sysroot::of(&directory)?, version)?;
    // Where `[package.metadata.deb]` of the crate looks for it.
    let (packed, debug) = (directory.join("tree"), directory.join("debug"));
    tree::make(&built, version, &packed, &debug)?;
    let contents = contents::make(version, &directory)?;
    fs::copy(&contents, packed.join(contents::PLACE))?;
    fs::write(packed.join(notices::PLACE), notices::make(&contents)?)?;
    let name = format!("allowlist-{version}-{}", env::consts::ARCH);
    Ok(Made {
        deb: archives::deb(version, &directory)?,
        tar: archives::tar(&name, &packed, &directory)?,
        debug: archives::tar(&format!("{name}-debug"), &debug, &directory)?,
        contents,
    })
}
