//! What `status` says of the packets of the last minute, and since when it counts.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::support::{REDIS, Server, served, shut_out};

fn packets(service: &Value, judged: &str) -> Result<[u64; 2]> {
    let count = |counts: &Value| counts[judged]["packets"].as_u64();
    let counts = [count(service), count(&service["last_minute"])];
    let [Some(all), Some(came)] = counts else { anyhow::bail!("no {judged} in {service}") };
    Ok([all, came])
}

#[test]
fn packets_are_counted_since_the_start_and_in_the_last_minute() -> Result<()> {
    let mut server = Server::with_redis()?;
    let [ipv4, _] = server.network.server.port(REDIS);
    server.done(&["protect", "redis", "tcp/6379"])?;
    server.done(&["add", "redis", "10.77.0.2"])?;
    served(server.alice(), ipv4)?;
    shut_out(server.bob(), ipv4)?;
    let service = server.service("redis")?;
    for judged in ["admitted", "denied"] {
        let [all, came] = packets(&service, judged)?;
        ensure!(came > 0 && came == all, "{judged}: {service}");
    }
    let status = server.status()?;
    ensure!(status["last_minute"]["seconds"].as_u64() <= Some(60), "{status}");
    let text = server.done(&["status"])?;
    ensure!(text.contains("last minute: ") && text.contains(" denied"), "{text}");
    let since = status["counting_since"].as_str().context("no time")?.to_owned();

    // The kernel goes on counting; the minute begins anew, for who was not there does not know of it.
    server.restart()?;
    let again = server.service("redis")?;
    for judged in ["admitted", "denied"] {
        let ([before, _], [all, came]) = (packets(&service, judged)?, packets(&again, judged)?);
        ensure!(all >= before && came <= all - before, "{judged} over a restart: {again}");
    }
    ensure!(server.status()?["counting_since"] == since.as_str(), "{since} over a restart");
    shut_out(server.bob(), ipv4)?;
    let [all, came] = packets(&server.service("redis")?, "denied")?;
    ensure!(came > 0 && came < all, "{came} of {all} came since the restart");

    // The next service with its number counts from zero.
    server.done(&["unprotect", "redis", "--yes"])?;
    server.done(&["protect", "redis", "tcp/6379"])?;
    let fresh = server.service("redis")?;
    ensure!(packets(&fresh, "denied")? == [0, 0], "{fresh}");
    Ok(())
}
