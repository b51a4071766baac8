//! What passes the filter by nature: other protocols, and what comes out of tunnels.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use xtask::lab::until;

use super::support::{PATIENCE, REDIS, Server, served, shut_out};

fn past_filter(server: &Server) -> Result<Value> {
    Ok(server.status()?["past_filter"].take())
}

/// Waits for these tunnels: what there is may be as it was a moment ago.
fn until_told(server: &Server, expected: &Value) -> Result<()> {
    let are_told = || (past_filter(server).ok()?["tunnels"] == *expected).then_some(());
    until("the tunnels in status", PATIENCE, are_told)
        .with_context(|| format!("{expected} and not {:?}", past_filter(server)))
}

#[test]
fn a_tunnel_is_named_until_the_filter_is_on_it() -> Result<()> {
    let server = Server::with_redis()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "10.77.0.2"])?;
    let [ipv4, _] = server.network.server.port(REDIS);
    shut_out(server.bob(), ipv4)?;
    ensure!(!server.done(&["status"])?.contains("tunnel"), "there is none");

    let (here, bob) = (&server.network.server.namespace, &server.bob().namespace);
    let ends = [(here, "10.77.0.3", "10.79.0.1"), (bob, "10.77.0.1", "10.79.0.3")];
    for (namespace, other, inner) in ends {
        namespace.ip(&[
            &format!("link add tunnel7 type vxlan id 7 dstport 4789 remote {other} dev eth0"),
            "link set tunnel7 up",
            &format!("address add {inner}/24 dev tunnel7"),
        ])?;
    }
    until_told(&server, &json!([{"interface": "tunnel7", "kind": "vxlan", "filtered": false}]))?;
    // Bob comes to redis through it, past the filter.
    let inside = "10.79.0.1:6379".parse()?;
    served(server.bob(), inside)?;
    let text = server.done(&["status"])?;
    ensure!(text.contains("tunnel7 (vxlan)") && text.contains("docs/past.md"), "{text}");

    server.done(&["attach", "tunnel7"])?;
    let tunnels = past_filter(&server)?["tunnels"].take();
    ensure!(tunnels[0]["filtered"] == true, "{tunnels}");
    shut_out(server.bob(), inside)?;
    let text = server.done(&["status"])?;
    ensure!(!text.contains("tunnel7 (vxlan)"), "{text}");
    Ok(())
}

#[test]
fn a_port_that_listens_on_a_tunnel_without_ethernet_is_told_so() -> Result<()> {
    let server = Server::with_redis()?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.network.server.namespace.ip(&[
        "tuntap add mode tun dev tun7",
        "link set tun7 up",
        "address add 10.79.0.1/24 dev tun7",
    ])?;
    until_told(&server, &json!([{"interface": "tun7", "kind": "tun", "filtered": false}]))?;
    let warnings = server.status()?["warnings"].to_string();
    let said = "redis: tcp/6379 also listens on tun7 (10.79.0.1), which cannot have the filter";
    ensure!(warnings.contains(said), "{warnings}");
    server.network.server.namespace.ip(&["link set tun7 down"])?;
    until_told(&server, &json!([]))
}

#[test]
fn packets_of_other_protocols_are_counted_apart() -> Result<()> {
    let server = Server::new()?;
    let before =
        past_filter(&server)?["other_protocols"]["packets"].as_u64().context("no count")?;
    server.bob().namespace.run("ping", &["-c3", "-i0.2", "-W2", "10.77.0.1"])?;
    let status = server.status()?;
    let past = &status["past_filter"];
    let counts = ["other_protocols", "other_protocols_last_minute"];
    let counts = counts.map(|count| past[count]["packets"].as_u64().unwrap_or_default());
    ensure!(counts.iter().all(|count| *count >= 3) && counts[0] >= before + 3, "{past}");
    let unmatched = status["unmatched"]["other_protocol"]["packets"].as_u64();
    ensure!(unmatched == Some(counts[0]), "{status}");
    let text = server.done(&["status"])?;
    ensure!(text.contains("Past the filter: ") && text.contains("of other protocols"), "{text}");
    Ok(())
}
