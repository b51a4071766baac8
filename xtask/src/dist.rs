//! `cargo xtask dist`: what is given away.

mod build;
mod links;
mod sysroot;

use anyhow::Result;

use self::sysroot::Sysroot;
use crate::{binaries, setup};

/// What is made.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// A version other than the crate's
    #[arg(long, default_value = env!("CARGO_PKG_VERSION"))]
    version: String,
}

/// Makes it, and says where it is.
pub(crate) fn run(options: &Options) -> Result<()> {
    setup::ensure()?;
    let directory = binaries::root().join("target/dist");
    let sysroot = Sysroot::of(&directory)?;
    let built = build::build(&sysroot, &options.version)?;
    println!("{}", built.display());
    Ok(())
}
