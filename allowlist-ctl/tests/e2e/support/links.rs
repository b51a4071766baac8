//! What somebody else may do to the filter: by the tools of an operator, behind the daemon's back.

use std::{fs, path::PathBuf, process::Command, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use aya::programs::{
    Xdp,
    links::{FdLink, PinnedLink},
    xdp::{XdpLink, XdpMode},
};
use aya_obj::programs::XdpAttachType;
use serde_json::Value;
use xtask::lab::{Bpffs, until};

use super::Server;

/// The daemon looks after interfaces within a second; this is what a busy machine may add to it.
pub(crate) const NOTICED: Duration = Duration::from_secs(5);

/// After so long the daemon has looked at whatever the kernel has told of.
pub(crate) const SETTLED: Duration = Duration::from_millis(300);

/// A program of somebody else, which passes every packet.
pub(crate) struct Foreign {
    pub(crate) id: u32,
    pin: PathBuf,
    /// Dropped last.
    _bpffs: Bpffs,
}

impl Foreign {
    /// Loads it: that of another daemon, which has no policy.
    pub(crate) fn load(server: &Server) -> Result<Self> {
        let directory = server.path("foreign");
        let bpffs = Bpffs::mount(&directory.join("bpf"))?;
        let mut daemon = server.allowlistd_elsewhere(&directory, bpffs.path());
        server.network.server.namespace.ip(&["link add foreign0 type veth peer name foreign1"])?;
        daemon.args(["--interface", "foreign0"]);
        let mut daemon = xtask::lab::Process::spawn("foreign", &mut daemon, server.directory())?;
        daemon.ready_at_socket(&directory.join("socket"))?;
        let id = server.program("foreign0")?.context("no program")?;
        let pin = bpffs.path().join("foreign");
        bpftool(&["prog", "pin", "id", &id.to_string(), &pin.display().to_string()])?;
        daemon.kill()?;
        server.network.server.namespace.ip(&["link delete foreign0"])?;
        thread::sleep(SETTLED);
        Ok(Self { id, pin, _bpffs: bpffs })
    }

    /// Puts it on an interface, as `ip` does it.
    pub(crate) fn put_on(&self, server: &Server, interface: &str) -> Result<()> {
        let pin = self.pin.display();
        server.network.server.namespace.ip(&[format!("link set dev {interface} xdp pinned {pin}")])
    }

    /// Puts it on an interface by a link, generic, for as long as what is returned is held. That
    /// it ends nobody is told; where it is in a driver, a veth pair tells of its features.
    pub(crate) fn hold_on(&self, server: &Server, interface: &str) -> Result<Xdp> {
        let mut program = Xdp::from_pin(&self.pin, XdpAttachType::Interface)?;
        let namespace = &server.network.server.namespace;
        namespace.inside(|| program.attach(interface, XdpMode::Skb).map(drop))??;
        Ok(program)
    }

    /// Has a link run it.
    pub(crate) fn run_on(&self, link: &PathBuf) -> Result<()> {
        let link = XdpLink::try_from(FdLink::from(PinnedLink::from_pin(link)?))?;
        let mut program = Xdp::from_pin(&self.pin, XdpAttachType::Interface)?;
        program.attach_to_link(link)?;
        Ok(())
    }
}

impl Server {
    /// The pins of links whose interface is wanted by this name.
    pub(crate) fn link_pins(&self, interface: &str) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.pins().join("links"))? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.split_once('-').is_some_and(|(_, label)| label == interface) {
                found.push(path);
            }
        }
        Ok(found)
    }

    /// Id of the XDP program on an interface of the server.
    pub(crate) fn program(&self, interface: &str) -> Result<Option<u32>> {
        let namespace = &self.network.server.namespace;
        let links = namespace.run("ip", &["-json", "link", "show", interface])?;
        let links: Value = serde_json::from_str(&links)?;
        Ok(links[0]["xdp"]["prog"]["id"].as_u64().and_then(|id| id.try_into().ok()))
    }

    /// Cuts the link that holds the filter on an interface, as `bpftool` does it.
    pub(crate) fn cut(&self, interface: &str) -> Result<()> {
        let pins = self.link_pins(interface)?;
        let [pin] = pins.as_slice() else { anyhow::bail!("not one pin: {pins:?}") };
        bpftool(&["link", "detach", "pinned", &pin.display().to_string()])
    }

    /// Waits until an interface is in this state.
    pub(crate) fn becomes(&self, interface: &str, state: &str) -> Result<()> {
        until(&format!("{interface} to be {state}"), NOTICED, || {
            (self.interface(interface).ok()?["state"] == state).then_some(())
        })
        .with_context(|| format!("{:?}", self.status()))
    }

    /// Waits until a warning of `status` has this in it.
    pub(crate) fn warns(&self, said: &str) -> Result<()> {
        let is_said = || self.status().ok()?["warnings"].to_string().contains(said).then_some(());
        until(&format!("the warning {said:?}"), NOTICED, is_said)
            .with_context(|| format!("{:?}", self.status()))
    }

    /// Waits until no warning of `status` has this in it.
    pub(crate) fn warns_no_more(&self, said: &str) -> Result<()> {
        let is_unsaid =
            || (!self.status().ok()?["warnings"].to_string().contains(said)).then_some(());
        until(&format!("an end of the warning {said:?}"), NOTICED, is_unsaid)
    }

    /// The rows of the audit trail by which the daemon tells what happened to the filter.
    pub(crate) fn happenings(&self) -> Result<Vec<Value>> {
        let mut rows = self.trail()?;
        rows.retain(|row| row["author"]["name"] == "allowlistd" && row["action"] == "attach");
        Ok(rows)
    }
}

fn bpftool(arguments: &[&str]) -> Result<()> {
    let output = Command::new("bpftool").args(arguments).output().context("no bpftool")?;
    ensure!(output.status.success(), "bpftool {}: {output:?}", arguments.join(" "));
    Ok(())
}
