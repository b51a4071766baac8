//! A Debian with systemd, on a disk, as somebody has it who installs a package: made once and kept.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{debian::Suite, output};

/// What the scenario needs beside what every Debian has: a kernel, the network as servers have it, something to protect,
/// and what looks at it.
const PACKAGES: &str = "systemd-sysv,udev,dbus,linux-image-cloud-amd64,ifupdown,iproute2,procps,apt,redis-server,\
    redis-tools,python3-minimal,bpftool,curl";
/// Room for all of it, and for packages that are installed.
const SIZE: &str = "1600M";

/// Both ends of a cable are this machine's: `eth0` is the server's, and `eth1` that of its clients.
const INTERFACES: &str = "auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet static\n    address 203.0.113.1/24\n";
/// Runs what is on the second disk.
const SCENARIO: &str = "[Unit]\nDescription=Scenario\nAfter=redis-server.service networking.service\n\n[Service]\n\
    Type=oneshot\nExecStart=/bin/sh -c 'mkdir -p /opt/scenario && tar -C /opt/scenario -xf /dev/vdb && exec sh /opt/scenario/run'\n\
    StandardOutput=tty\nStandardError=tty\nTTYPath=/dev/ttyS0\n\n[Install]\nWantedBy=multi-user.target\n";

/// A disk with a Debian on it, and its kernel.
pub(super) struct Root {
    pub(super) disk: PathBuf,
    pub(super) kernel: PathBuf,
    pub(super) initrd: PathBuf,
}

impl Root {
    /// The one that is kept in this directory, or a new one from the system's mirror.
    pub(super) fn of(directory: &Path, update: bool) -> Result<Self> {
        let kept = directory.join("root");
        if update || !kept.exists() {
            make(directory, &kept).context("no Debian to install the package on")?;
        }
        let [disk, kernel, initrd] = ["disk", "kernel", "initrd"].map(|name| kept.join(name));
        Ok(Self { disk, kernel, initrd })
    }
}

fn make(directory: &Path, kept: &Path) -> Result<()> {
    println!("making a Debian for a virtual machine, about two minutes");
    let (tree, new) = (directory.join("tree"), directory.join("new"));
    for place in [&tree, &new] {
        drop(fs::remove_dir_all(place));
    }
    fs::create_dir_all(&new)?;
    let lists = directory.join("lists");
    fs::create_dir_all(lists.join("partial"))?;
    let [sources, options] = ["sources.list", "apt.conf"].map(|name| directory.join(name));
    fs::write(&sources, Suite::BOOKWORM.sources(&lists)?)?;
    // The system's own configuration may name a proxy.
    fs::write(&options, output(Command::new("apt-config").args(["dump", "Acquire"]))?)?;
    output(
        Command::new("mmdebstrap")
            .args(["--quiet", "--mode=root", "--variant=minbase", "--format=directory"])
            .arg(format!("--include={PACKAGES}"))
            .arg(format!("--aptopt={}", options.display()))
            .arg(Suite::BOOKWORM.name)
            .args([&tree, &sources]),
    )?;
    configure(&tree)?;
    fs::copy(tree.join("vmlinuz"), new.join("kernel"))?;
    fs::copy(tree.join("initrd.img"), new.join("initrd"))?;
    let make = ["-q", "-F", "-t", "ext4", "-d"];
    output(Command::new("mke2fs").args(make).arg(&tree).arg(new.join("disk")).arg(SIZE))?;
    fs::remove_dir_all(&tree)?;
    // All at once, so that one that was interrupted is not taken for whole.
    drop(fs::remove_dir_all(kept));
    Ok(fs::rename(&new, kept)?)
}

/// Makes a server of it.
fn configure(tree: &Path) -> Result<()> {
    let units = tree.join("etc/systemd/system");
    for (file, text) in [
        ("etc/hostname", "server\n"),
        ("etc/hosts", "127.0.0.1 localhost server\n"),
        ("etc/fstab", "/dev/vda / ext4 defaults 0 1\n"),
        ("etc/network/interfaces", INTERFACES),
        ("etc/systemd/system/scenario.service", SCENARIO),
        // Later lines win.
        ("etc/redis/redis.conf.d", "bind 0.0.0.0\nprotected-mode no\n"),
    ] {
        fs::write(tree.join(file), text).with_context(|| format!("{file} can't be written"))?;
    }
    let redis = tree.join("etc/redis/redis.conf");
    let of_redis = fs::read_to_string(&redis)? + "include /etc/redis/redis.conf.d\n";
    fs::write(&redis, of_redis)?;
    let wanted = units.join("multi-user.target.wants");
    fs::create_dir_all(&wanted)?;
    symlink("/etc/systemd/system/scenario.service", wanted.join("scenario.service"))?;
    // It would take the console.
    symlink("/dev/null", units.join("serial-getty@ttyS0.service"))?;
    Ok(())
}
