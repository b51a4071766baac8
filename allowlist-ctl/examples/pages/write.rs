//! Manual pages and completions.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use allowlist::{cli, daemon};
use clap::Command;
use clap_complete::{aot::Shell, generate};
use clap_mangen::Man;

/// What is written by hand, by name and section.
const BY_HAND: [(&str, u8, &str); 2] = [
    ("allowlist", 7, include_str!("../../man/allowlist.7")),
    ("allowlistd.toml", 5, include_str!("../../man/allowlistd.toml.5")),
];

/// What stands at the end of a page: files, and other pages.
const OF_CLIENT: &str = include_str!("../../man/allowlist-ctl.end");
const OF_DAEMON: &str = include_str!("../../man/allowlistd.end");

/// Where each shell looks, and how it calls the file for a program.
const SHELLS: [(Shell, &str, &str, &str); 3] = [
    (Shell::Bash, "bash-completion/completions", "", ""),
    (Shell::Zsh, "zsh/vendor-completions", "_", ""),
    (Shell::Fish, "fish/vendor_completions.d", "", ".fish"),
];

/// Writes all of them below a directory, as of this version.
pub(super) fn all(directory: &Path, version: &str) -> io::Result<()> {
    let share = directory.join("usr/share");
    let put = |path: String, content: &[u8]| {
        let path = share.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&share))?;
        fs::write(path, content)
    };
    for (name, section, text) in BY_HAND {
        put(format!("man/man{section}/{name}.{section}"), text.as_bytes())?;
    }
    let mut client = cli::command().disable_help_subcommand(true);
    client.build();
    for (name, page) in client_pages(&client, version)? {
        put(format!("man/man1/{name}.1"), &page)?;
    }
    put("man/man8/allowlistd.8".to_owned(), &page(&daemon::command(), "8", version, OF_DAEMON)?)?;

    for (shell, place, before, after) in SHELLS {
        let mut script = Vec::new();
        cli::completions(&shell.to_string(), &mut script)?;
        put(format!("{place}/{before}allowlist-ctl{after}"), &script)?;
        let mut script = Vec::new();
        generate(shell, &mut daemon::command(), "allowlistd", &mut script);
        put(format!("{place}/{before}allowlistd{after}"), &script)?;
    }
    Ok(())
}

/// The page of the client, and one of each of its commands.
fn client_pages(client: &Command, version: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut pages = vec![(client.get_name().to_owned(), page(client, "1", version, OF_CLIENT)?)];
    for command in client.get_subcommands() {
        let name = format!("{}-{}", client.get_name(), command.get_name());
        let end = ".SH SEE ALSO\n.BR allowlist-ctl (1),\n.BR allowlist (7)\n";
        pages.push((name, page(command, "1", version, end)?));
    }
    Ok(pages)
}

/// The page of a command.
fn page(command: &Command, section: &str, version: &str, end: &str) -> io::Result<Vec<u8>> {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_uppercase();
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    // Without a date, that the same source makes the same page.
    writeln!(page, ".TH {name} {section} \"\" \"allowlist {version}\" \"Allowlist\"")?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut after = Vec::new();
    if command.get_after_help().is_some() {
        man.render_extra_section(&mut after)?;
    }
    let after = String::from_utf8_lossy(&after).replace(".SH EXTRA", ".SH EXAMPLES");
    write!(page, "{after}{end}")?;
    Ok(page)
}
