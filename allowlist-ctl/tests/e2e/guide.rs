//! The guide's pages, followed literally: every `allowlist-ctl` line of their `sh` blocks is run in its order.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};

use super::support::{CTL, Server};

/// The blocks of a page in their order: language and text.
pub(crate) fn blocks(page: &str) -> Vec<(&str, &str)> {
    let fenced = page.split("```").skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap_or((block, ""))).collect()
}

/// A page of the guide.
pub(crate) fn page(name: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// Runs a line of a page by a shell, as an operator would; returns its exit code and what it printed.
fn run(server: &Server, line: &str) -> Result<(i32, String)> {
    let directory = Path::new(CTL).parent().context("no directory")?;
    let path = format!("{}:{}", directory.display(), std::env::var("PATH")?);
    let output = Command::new("sh")
        .args(["-c", line])
        .current_dir(server.directory())
        .env("PATH", path)
        .env("ALLOWLIST_SOCKET", server.socket())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    Ok((output.status.code().context("no exit code")?, said))
}

#[test]
fn the_page_on_clients_that_cannot_connect_says_what_is_so() -> Result<()> {
    let server = Server::with_redis()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "10.77.0.2"])?;
    let page = page("why.md")?;
    let mut said = String::new();
    let mut lines_run = 0;
    for (language, text) in blocks(&page) {
        match language {
            "sh" => {
                said.clear();
                for line in text.lines().filter(|line| line.starts_with("allowlist-ctl ")) {
                    let (code, output) = run(&server, line)?;
                    // `check` says by its exit code that somebody is dropped.
                    let is_check = line.starts_with("allowlist-ctl check ");
                    ensure!(code == 0 || (is_check && code == 10), "{line}: {code} {output}");
                    said.push_str(&output);
                    lines_run += 1;
                }
            }
            _ if text.starts_with("# assertions.txt") => {
                server.write("assertions.txt", text)?;
            }
            _ => {
                for line in text.lines() {
                    ensure!(said.contains(line.trim_end()), "no {line:?} in {said}");
                }
            }
        }
    }
    ensure!(lines_run == 9, "{lines_run} lines");
    ensure!(said == "3 of 3 hold\n", "{said}");
    Ok(())
}
