//! Writes manual pages and completions into a directory, where a package has them: `usr/share/...`.
//!
//! They are made of the definitions of the command lines whenever they are packed, and kept nowhere else.

mod write;

use std::{env, error::Error, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [directory, version] = arguments.as_slice() else {
        return Err("give the directory and the version".into());
    };
    Ok(write::all(Path::new(directory), version)?)
}
