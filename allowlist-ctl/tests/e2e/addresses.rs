//! Services limited to destination addresses.

use anyhow::Result;

use super::support::{REDIS, Server, served, shut_out};

#[test]
fn two_services_share_a_port_by_destination_address() -> Result<()> {
    let mut server = Server::with_redis()?;
    let here = &server.network.server.namespace;
    here.ip(&["address add 10.77.0.101/24 dev eth0", "address add fd77::101/64 dev eth0 nodad"])?;
    let ours = |last: &str| -> Result<_> {
        Ok([format!("10.77.0.{last}:{REDIS}").parse()?, format!("[fd77::{last}]:{REDIS}").parse()?])
    };
    let (first, second) = (ours("1")?, ours("101")?);
    let protect = |name, v4, v6| {
        server.done(&["protect", name, "tcp/6379", "--address", v4, "--address", v6])
    };
    protect("one", "10.77.0.1", "fd77::1")?;
    protect("two", "10.77.0.101", "fd77::101")?;
    let conflict = ["protect", "three", "tcp/6379", "--address", "10.77.0.0/24"];
    server.fails(&conflict, 1, "overlaps tcp/6379 of 'one'")?;
    server.fails(&["protect", "three", "tcp/6379"], 1, "overlaps")?;
    server.done(&["add", "one", "10.77.0.2", "fd77::2"])?;
    server.done(&["add", "two", "10.77.0.3", "fd77::3"])?;

    let judged = |server: &Server| -> Result<()> {
        for (first, second) in first.into_iter().zip(second) {
            served(server.alice(), first)?;
            shut_out(server.alice(), second)?;
            shut_out(server.bob(), first)?;
            served(server.bob(), second)?;
        }
        Ok(())
    };
    judged(&server)?;
    server.restart()?;
    judged(&server)?;

    // Without the limit it would be everyone's port: refused while the other is there.
    server.fails(&["protect", "one", "tcp/6379", "--address", "any"], 1, "overlaps")?;
    server.done(&["unprotect", "two", "--yes"])?;
    for address in second {
        served(server.alice(), address)?;
        served(server.bob(), address)?;
    }
    server.done(&["protect", "one", "tcp/6379", "--address", "any"])?;
    for address in second {
        served(server.alice(), address)?;
        shut_out(server.bob(), address)?;
    }
    Ok(())
}
