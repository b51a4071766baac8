//! The guide, followed literally: every block of every page is typed, read, or compared with what was said.
//!
//! A page's addresses are those of [`machine`]; what its blocks may say is in [`blocks`].

pub(crate) mod blocks;
mod machine;
mod scenes;

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use self::{
    blocks::{blocks, page, pages},
    machine::Machine,
};

/// Pages whose blocks are typed by a test of their own.
const BY_OTHERS: &[&str] = &["alerts.md", "tighten.md"];

/// A test for each page: its name, the page, and what is there before the first block.
macro_rules! pages {
    ($($test:ident: $page:literal, $machine:expr;)*) => {
        const FOLLOWED: &[&str] = &[$($page),*];
        $(
            #[test]
            fn $test() -> Result<()> {
                $machine?.follow($page)
            }
        )*
    };
}

pages! {
    the_first_five_minutes: "start.md", scenes::redis(None);
    concepts: "concepts.md", scenes::redis(None);
    redis: "protect/redis.md", scenes::answering_redis();
    postgresql: "protect/postgresql.md", scenes::postgresql();
    ssh: "protect/ssh.md", scenes::ssh();
    a_site_behind_a_cdn: "protect/cdn.md", scenes::site();
    ports_that_docker_publishes: "protect/docker.md", scenes::container();
    a_client_that_cannot_connect: "why.md", scenes::redis(Some("203.0.113.7"));
    who_is_knocking: "watch.md", scenes::redis(Some("203.0.113.7"));
    restart_upgrade_removal: "restart.md", Machine::installed();
    when_something_is_wrong: "trouble.md", Machine::installed();
    how_sources_are_looked_up: "engine.md", Machine::new();
    where_to_attach: "interfaces.md", Machine::installed();
    what_passes_the_filter: "past.md", scenes::redis(Some("203.0.113.7"));
    lists_and_git: "lists.md", scenes::redis(Some("203.0.113.7"));
    roles_and_audit: "roles.md", scenes::redis(Some("203.0.113.7"));
    how_it_works: "how.md", scenes::redis(Some("203.0.113.7"));
    security: "security.md", Machine::installed();
    performance: "performance.md", scenes::redis(Some("203.0.113.7"));
    commands_of_the_reference: "reference/commands.md", Machine::new();
    configuration_of_the_reference: "reference/configuration.md", Machine::installed();
    api_of_the_reference: "reference/api.md", scenes::redis(Some("203.0.113.7"));
}

#[test]
fn no_page_with_commands_is_left_out_and_all_are_in_the_summary() -> Result<()> {
    let summary = page("SUMMARY.md")?;
    let mut left_out = Vec::new();
    for name in pages()? {
        let text = page(&name)?;
        let is_followed = FOLLOWED.contains(&name.as_str()) || BY_OTHERS.contains(&name.as_str());
        if !is_followed && !blocks(&text).is_empty() {
            left_out.push(format!("{name} is followed by no test"));
        }
        if name != "SUMMARY.md" && !summary.contains(&format!("({name})")) {
            left_out.push(format!("{name} is not in the summary"));
        }
    }
    ensure!(left_out.is_empty(), "{left_out:#?}");
    let known: BTreeSet<_> = pages()?.into_iter().collect();
    let gone: Vec<_> =
        FOLLOWED.iter().chain(BY_OTHERS).filter(|name| !known.contains(**name)).collect();
    ensure!(gone.is_empty(), "there are no such pages: {gone:?}");
    Ok(())
}
