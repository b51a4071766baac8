//! nmap, from outside and from inside the allowlist.

use anyhow::{Context as _, Result, ensure};
use xtask::lab::Host;

use super::support::Server;

/// What nmap makes of the port of redis.
fn scan(client: &Host, options: &[&str]) -> Result<String> {
    let always = ["-n", "-Pn", "-p6379", "--max-retries", "1", "--host-timeout", "20s", "-oG", "-"];
    let target = if options.contains(&"-6") { "fd77::1" } else { "10.77.0.1" };
    let output = client.namespace.run("nmap", &[&always[..], options, &[target]].concat())?;
    let port = output.lines().find_map(|line| line.split_once("Ports: 6379/"));
    let state = port.and_then(|(_, rest)| rest.split('/').next());
    Ok(state.with_context(|| format!("nmap said nothing of the port: {output}"))?.to_owned())
}

#[test]
fn nmap_finds_the_port_from_an_allowed_client_only() -> Result<()> {
    let server = Server::with_redis()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "10.77.0.2", "fd77::2"])?;
    // Scans that an open port answers: options, and what nmap says from alice.
    let answered: &[&[&str]] = &[
        &["-sS"],
        &["-sT"],
        &["-sS", "-6"],
        &["-sS", "-g", "53"],
        &["-sS", "--ip-options", "R"],
        &["-sS", "--ip-options", "\\x01\\x01\\x01\\x00"],
        &["-sS", "--data-length", "64"],
        &["-sS", "-f"],
        &["-sS", "--mtu", "24"],
    ];
    for options in answered {
        let (inside, outside) = (scan(server.alice(), options)?, scan(server.bob(), options)?);
        ensure!(outside == "filtered", "{options:?} from bob: {outside}");
        // Record route and fragmented probes may be refused by the server's own network stack.
        let may_fail = options.contains(&"--ip-options");
        ensure!(inside == "open" || may_fail, "{options:?} from alice: {inside}");
    }
    // Scans that only a closed port answers: with a reset, which nobody outside may see.
    for flags in ["-sA", "-sF", "-sX", "-sN", "-sM"] {
        let outside = scan(server.bob(), &[flags])?;
        ensure!(outside.contains("filtered"), "{flags} from bob: {outside}");
    }
    let inside = scan(server.alice(), &["-sA"])?;
    ensure!(inside == "unfiltered", "-sA from alice: {inside}");
    Ok(())
}
