//! Writes manual pages and completions into a directory, where a package has them: `usr/share/...`.
//!
//! They are made of the definitions of the command lines whenever they are packed, and kept nowhere else.

mod write;

use std::{env, error::Error, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = env::args_os().nth(1).ok_or("the directory is not given")?;
    Ok(write::all(Path::new(&directory))?)
}
