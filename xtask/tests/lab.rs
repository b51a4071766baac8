//! The test network does what tests of the allowlist take for granted. Needs root.

use std::{fs, path::Path, time::Duration};

use anyhow::Result;
use xtask::lab::{
    Bpffs, Connection, Namespace, Network, PingLoop, Process, Scratch, redis_server, until,
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn every_client_reaches_the_server_over_ipv4_and_ipv6() -> Result<()> {
    let scratch = Scratch::new()?;
    let network = Network::new(&["alice", "bob"])?;
    let _redis = redis_server(&network.server, 6379, scratch.path())?;
    for client in &network.clients {
        for address in network.server.port(6379) {
            Connection::open(client, address, SECOND)?.ping(SECOND)?;
        }
        client.namespace.run("ping", &["-c1", "-W1", "10.77.0.1"])?;
        client.namespace.run("ping", &["-c1", "-W1", "fd77::1"])?;
    }
    Ok(())
}

#[test]
fn a_ping_loop_counts_answers_until_the_server_is_unreachable() -> Result<()> {
    let scratch = Scratch::new()?;
    let network = Network::new(&["alice"])?;
    let _redis = redis_server(&network.server, 6379, scratch.path())?;
    let [ipv4, _] = network.server.port(6379);
    let connection = Connection::open(&network.clients[0], ipv4, SECOND)?;
    let pings = PingLoop::start(connection, Duration::from_millis(5));
    until("an answer", SECOND, || (pings.answers() > 3).then_some(()))?;
    network.switch.ip(&["link set port1 down"])?;
    // One answer may have been under way.
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(pings.answers_during(Duration::from_millis(300)), 0);
    Ok(())
}

#[test]
fn guards_leave_nothing_behind() -> Result<()> {
    let scratch = Scratch::new()?;
    let network = Network::new(&["alice"])?;
    let bpffs = Bpffs::mount(&scratch.path().join("bpf"))?;
    let redis = redis_server(&network.server, 6379, scratch.path())?;
    let directory = scratch.path().to_owned();
    let mount = bpffs.path().to_owned();
    let namespaces: Vec<_> =
        [&network.server.namespace, &network.clients[0].namespace, &network.switch]
            .map(Namespace::path)
            .into();
    let process = format!("/proc/{}", redis.pid());
    assert!(Path::new(&process).exists());
    assert!(mounted(&mount)?);
    assert!(namespaces.iter().all(|path| path.exists()));

    drop((redis, bpffs, network, scratch));

    assert!(!Path::new(&process).exists());
    assert!(!mounted(&mount)?);
    assert!(!namespaces.iter().any(|path| path.exists()));
    assert!(!directory.exists());
    Ok(())
}

#[test]
fn a_program_that_ends_too_early_is_reported_with_its_log() -> Result<()> {
    let scratch = Scratch::new()?;
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "echo no such port; exit 3"]);
    let mut process = Process::spawn("server", &mut shell, scratch.path())?;
    let error = process.ready_at_socket(&scratch.path().join("socket")).unwrap_err().to_string();
    assert!(error.starts_with("server ended with code 3 before answer at "), "{error}");
    assert!(error.contains("no such port"), "{error}");
    Ok(())
}

fn mounted(path: &Path) -> Result<bool> {
    let mounts = fs::read_to_string("/proc/mounts")?;
    Ok(mounts.lines().any(|line| line.split(' ').nth(1) == path.to_str()))
}
