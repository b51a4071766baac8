//! Somebody else takes the filter off, replaces it, removes its pin, or puts a program of their own there.

use anyhow::{Result, ensure};
use xtask::lab::until;

use super::support::{
    ECHO, Foreign, LOST, NOTICED, Outcome, REDIS, Server, UdpLoop, served, shut_out,
};

/// A server whose redis and echo admit alice only.
fn closed() -> Result<Server> {
    let server = Server::with_redis()?;
    for (name, port) in [("redis", "tcp/6379"), ("echo", "udp/7000")] {
        server.done(&["protect", name, port])?;
        server.done(&["add", name, "10.77.0.2"])?;
    }
    Ok(server)
}

fn put_back(server: &Server, times: u64) -> Result<()> {
    until(&format!("putting back {times} times"), NOTICED, || {
        (server.interface("eth0").ok()?["put_back"] == times).then_some(())
    })
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let status = std::process::Command::new(program).args(arguments).status()?;
    ensure!(status.success(), "{program} {}: {status}", arguments.join(" "));
    Ok(())
}

#[test]
fn a_filter_that_somebody_cut_off_is_put_back_and_reported() -> Result<()> {
    let server = closed()?;
    let [ipv4, _] = server.network.server.port(REDIS);
    server.cut("eth0")?;
    put_back(&server, 1)?;
    shut_out(server.bob(), ipv4)?;
    served(server.alice(), ipv4)?;
    server.warns("cut off or replaced the filter on eth0 once")?;
    let rows = server.happenings()?;
    ensure!(rows.len() == 1, "{rows:?}");
    ensure!(rows[0]["result"] == "done" && rows[0]["subjects"][0] == "eth0", "{rows:?}");
    let said = "somebody cut the filter off; it is put back";
    ensure!(rows[0]["message"] == said, "{rows:?}");
    ensure!(server.log().matches(said).count() == 1, "{}", server.log());
    server.metrics()?.is("allowlist_interface_put_back_total{interface=\"eth0\"}", 1.0)?;
    ensure!(server.link_pins("eth0")?.len() == 1);
    Ok(())
}

#[test]
fn another_program_of_the_link_is_replaced_by_the_filter_and_reported() -> Result<()> {
    let server = closed()?;
    let [ipv4, _] = server.network.server.port(REDIS);
    let foreign = Foreign::load(&server)?;
    let pins = server.link_pins("eth0")?;
    foreign.run_on(&pins[0])?;
    put_back(&server, 1)?;
    shut_out(server.bob(), ipv4)?;
    let said = format!("somebody had program {} run instead of the filter", foreign.id);
    let rows = server.happenings()?;
    ensure!(rows.len() == 1 && rows[0]["message"].to_string().contains(&said), "{rows:?}");
    ensure!(server.link_pins("eth0")? == pins, "the link is another one");
    Ok(())
}

#[test]
fn a_pin_that_somebody_removed_is_put_back_and_no_packet_goes_unjudged_meanwhile() -> Result<()> {
    let server = closed()?;
    let echo = server.network.server.port(ECHO);
    let allowed = UdpLoop::start(server.alice(), echo[0], LOST)?;
    let denied = UdpLoop::start(server.bob(), echo[0], std::time::Duration::from_millis(2))?;
    let program = server.program("eth0")?;
    let [pin] = &server.link_pins("eth0")?[..] else { anyhow::bail!("not one pin") };
    // Whether its directory is gone with it, or another thing is in its place.
    let removals: [&dyn Fn() -> std::io::Result<()>; 3] = [
        &|| std::fs::remove_file(pin),
        &|| std::fs::remove_dir_all(server.pins().join("links")),
        &|| std::fs::remove_file(pin).and_then(|()| std::fs::create_dir(pin)),
    ];
    for (number, remove) in removals.iter().enumerate() {
        remove()?;
        until("the pin", NOTICED, || pin.is_file().then_some(()))?;
        until("a row", NOTICED, || (server.happenings().ok()?.len() > number).then_some(()))?;
    }
    denied.more(10)?;
    allowed.all_answered()?;
    denied.none_answered()?;
    ensure!(server.program("eth0")? == program);
    let rows = server.happenings()?;
    ensure!(rows.iter().all(|row| row["message"].to_string().contains("pin")), "{rows:?}");
    ensure!(server.interface("eth0")?["put_back"] == 0);
    Ok(())
}

#[test]
fn a_filter_that_cannot_be_pinned_is_not_put_on_and_one_that_is_on_stays() -> Result<()> {
    let server = closed()?;
    let [ipv4, _] = server.network.server.port(REDIS);
    server.network.server.namespace.ip(&["link add eth7 type veth peer name peer7"])?;
    let bpffs = server.pins().parent().map(|path| path.display().to_string()).unwrap_or_default();
    run("umount", &["--lazy", &bpffs])?;
    server.warns("the filter on eth0 ends with the daemon, for it cannot be pinned")?;
    shut_out(server.bob(), ipv4)?;
    server.fails(&["attach", "eth7"], 1, "cannot pin the filter of 'eth7'")?;
    ensure!(server.program("eth7")?.is_none(), "a refused attach left a program");
    let rows = server.happenings()?;
    ensure!(rows.len() == 1 && rows[0]["result"] == "failed", "{rows:?}");

    run("mount", &["-t", "bpf", "bpf", &bpffs])?;
    server.warns_no_more("cannot be pinned")?;
    ensure!(server.link_pins("eth0")?.len() == 1);
    server.done(&["attach", "eth7"])?;
    shut_out(server.bob(), ipv4)
}

#[test]
fn the_trail_is_not_filled_by_somebody_who_cuts_the_filter_off_again_and_again() -> Result<()> {
    const CUTS: u64 = 13;
    let mut server = closed()?;
    for times in 1..=CUTS {
        server.cut("eth0")?;
        put_back(&server, times)?;
    }
    let rows = server.happenings()?;
    ensure!(rows.len() == 10, "{} rows", rows.len());
    server.restart()?;
    let rows = server.happenings()?;
    ensure!(rows.len() == 11, "{rows:?}");
    let said = "3 more within a minute, this one the last: somebody cut the filter off";
    ensure!(rows[10]["message"].to_string().contains(said), "{rows:?}");
    Ok(())
}

#[test]
fn a_program_that_was_there_before_is_named_and_left_until_it_is_gone() -> Result<()> {
    let mut server = Server::prepare(&["--interface", "eth0"])?;
    server.add_redis()?;
    let foreign = Foreign::load(&server)?;
    let (here, id) = (&server.network.server.namespace, foreign.id);
    here.ip(&["link add eth7 type veth peer name peer7"])?;
    foreign.put_on(&server, "eth7")?;
    server.set_options(&["--interface", "eth0", "--interface", "eth7"]);
    server.start()?;
    let said = format!(
        "'eth7' has an XDP program of somebody else, with id {id}: see `bpftool prog show id {id}`"
    );
    let interface = server.interface("eth7")?;
    ensure!(interface["state"] == "failed", "{interface}");
    ensure!(interface["reason"].to_string().contains(&said), "{interface}");
    server.fails(&["attach", "eth7"], 1, &said)?;
    // It is tried again and again, and said once; the command's failure is another thing.
    std::thread::sleep(std::time::Duration::from_millis(2500));
    let log = server.log();
    let count = log.lines().filter(|line| line.contains("not filtering") && line.contains(&said));
    ensure!(count.count() == 1, "{log}");
    ensure!(server.program("eth7")? == Some(id));

    server.network.server.namespace.ip(&["link set dev eth7 xdp off"])?;
    server.becomes("eth7", "attached")?;
    ensure!(server.interface("eth7")?["put_back"] == 0);

    // A command that is refused makes nothing wanted.
    server.done(&["detach", "eth7", "--yes"])?;
    foreign.put_on(&server, "eth7")?;
    server.fails(&["attach", "eth7"], 1, &said)?;
    ensure!(server.interface("eth7")?["state"] == "detached", "{:?}", server.interface("eth7"));
    Ok(())
}

#[test]
fn a_wanted_interface_is_filtered_after_the_silent_end_of_another_programs_link() -> Result<()> {
    let mut server = Server::prepare(&["--interface", "eth0", "--interface", "eth7"])?;
    let foreign = Foreign::load(&server)?;
    server.network.server.namespace.ip(&["link add eth7 type veth peer name peer7"])?;
    let held = foreign.hold_on(&server, "eth7")?;
    server.start()?;
    ensure!(server.interface("eth7")?["state"] == "failed");
    ensure!(server.program("eth7")? == Some(foreign.id));
    drop(held);
    server.becomes("eth7", "attached")
}

#[test]
fn a_program_that_took_the_filters_place_is_told_loudly_and_never_evicted() -> Result<()> {
    let server = closed()?;
    let [ipv4, _] = server.network.server.port(REDIS);
    let foreign = Foreign::load(&server)?;
    // Once in a while the daemon is faster, and puts its own back.
    let take = || server.cut("eth0").and_then(|()| foreign.put_on(&server, "eth0"));
    until("the place of the filter", NOTICED, || take().ok())?;
    server.becomes("eth0", "failed")?;
    served(server.bob(), ipv4)?;
    let said = format!("bpftool prog show id {}", foreign.id);
    server.warns(&said)?;
    let log = server.log();
    let count = log.lines().filter(|line| line.contains("ERROR") && line.contains(&said)).count();
    ensure!(count == 1, "{log}");
    let rows = server.happenings()?;
    let last = rows.last().map(ToString::to_string).unwrap_or_default();
    ensure!(last.contains("\"failed\"") && last.contains(&said), "{rows:?}");
    ensure!(server.program("eth0")? == Some(foreign.id));

    let before = server.interface("eth0")?["put_back"].as_u64().unwrap_or(0);
    server.network.server.namespace.ip(&["link set dev eth0 xdp off"])?;
    put_back(&server, before + 1)?;
    shut_out(server.bob(), ipv4)
}

#[test]
fn detach_takes_off_what_goes_by_any_name() -> Result<()> {
    let server = closed()?;
    let [ipv4, _] = server.network.server.port(REDIS);
    // Before the daemon has noticed that somebody cut it off.
    server.cut("eth0")?;
    server.done(&["detach", "eth0", "--yes"])?;
    served(server.bob(), ipv4)?;
    let detached: Outcome = server.allowlistd(&["--detach"]).output()?.into();
    ensure!(detached.code == Some(0), "{detached:?}");
    ensure!(server.program("eth0")?.is_none());
    Ok(())
}
