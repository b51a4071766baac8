//! Completions, in the shells that they are for, without a daemon; with one the end-to-end tests have them.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::write;

#[test]
fn shells_read_them() -> Result<()> {
    let root = tempfile::tempdir()?;
    write::all(root.path(), "1.2.3")?;
    for (shell, place, before, after) in [
        ("bash", "bash-completion/completions", "", ""),
        ("zsh", "zsh/vendor-completions", "_", ""),
        ("fish", "fish/vendor_completions.d", "", ".fish"),
    ] {
        for program in ["allowlist-ctl", "allowlistd"] {
            let file = root.path().join(format!("usr/share/{place}/{before}{program}{after}"));
            let output = Command::new(shell)
                .arg("-n")
                .arg(&file)
                .output()
                .with_context(|| format!("{shell} can't be run"))?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success() && said.is_empty(), "{shell}, {program}: {said}");
        }
    }
    Ok(())
}
