//! Writes manual pages and completions into a directory, where a package has them: `usr/share/...`; without arguments the
//! guide's page of all commands, where the guide has it.
//!
//! They are made of the definitions of the command lines. Those of a package are made whenever it is packed, and kept nowhere
//! else; the guide's page is kept, for it is read where nothing was built.

mod guide;
mod write;

use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
            Ok(fs::write(root.join(guide::PAGE), guide::commands())?)
        }
        [directory, version] => Ok(write::all(Path::new(directory), version)?),
        _ => Err("give the directory and the version, or nothing for the guide's page".into()),
    }
}
