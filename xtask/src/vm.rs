//! `cargo xtask vm`: the tests that depend on the kernel, on other kernels, in virtual machines.

mod initramfs;
mod kernels;
mod machine;
mod package;
mod suite;

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, bail};
use xtask::lab;

use self::{
    initramfs::Tree,
    kernels::{Kernel, LINES, Line},
    machine::{Boot, Outcome},
    suite::Suite,
};
use crate::{binaries, setup};

/// Machines at once; each takes a processor.
const AT_ONCE: usize = 2;

/// Megabytes: the image, which is unpacked into it, is a tenth.
const MEMORY: u32 = 768;
const LIMIT: Duration = Duration::from_mins(10);

/// Which kernels, or the package.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// A kernel to test on, instead of all; may be given several times
    #[arg(long = "kernel", value_name = "KERNEL", value_parser = LINES.map(|line| line.name))]
    kernels: Vec<String>,
    /// Only 6.1 and the newest one
    #[arg(long, conflicts_with = "kernels")]
    short: bool,
    /// Install, use, upgrade and purge the package on a Debian with systemd, instead
    #[arg(long, conflicts_with_all = ["kernels", "short"])]
    package: bool,
    /// Fetch the newest kernel of each line, or a new Debian, also where one is here
    #[arg(long)]
    update: bool,
}

impl Options {
    /// What is among the tests.
    pub(crate) fn short() -> Self {
        Self { kernels: Vec::new(), short: true, package: false, update: false }
    }

    fn lines(&self) -> Vec<&'static Line> {
        let is_asked_for = |line: &&Line| match self.kernels.as_slice() {
            [] => line.is_short || !self.short,
            kernels => kernels.iter().any(|kernel| kernel == line.name),
        };
        LINES.iter().filter(is_asked_for).collect()
    }
}

/// Runs all, and shows the failures of all before the verdict.
pub(crate) fn run(options: &Options) -> Result<()> {
    let begin = Instant::now();
    setup::ensure()?;
    setup::ensure_machines()?;
    if !cfg!(target_arch = "x86_64") {
        bail!("the machines run what was built for x86-64, and this is another architecture");
    }
    let directory = binaries::root().join("target/vm");
    if options.package {
        lab::clean_up_on_signals()?;
        return package::run(&directory, options.update);
    }
    let kernels = options.lines().into_iter().map(|line| {
        let kernel = Kernel::of(line, &directory, options.update)?;
        Ok((line, kernel))
    });
    let kernels = kernels.collect::<Result<Vec<_>>>()?;
    let suite = Suite::build()?;
    let images = images(&kernels, &suite, &directory)?;
    println!("built and packed in {:.0} s", begin.elapsed().as_secs_f64());

    lab::clean_up_on_signals()?;
    let outcomes = boot(&kernels, &images, &directory)?;
    report(&outcomes)?;
    println!("{} kernels in {:.0} s", outcomes.len(), begin.elapsed().as_secs_f64());
    Ok(())
}

/// Packs what all machines have, and for each its modules.
fn images(kernels: &[(&Line, Kernel)], suite: &Suite, directory: &Path) -> Result<Vec<PathBuf>> {
    let common = Tree::new(directory.join("files/common"))?;
    for executable in &suite.executables {
        common.add_executable(executable)?;
        if executable.ends_with("busybox") && executable != Path::new("/bin/busybox") {
            common.link("/bin/busybox", executable)?;
        }
    }
    let tests = directory.join("files/common.cpio");
    common.pack(&tests)?;
    let pack = |(line, kernel): &(&Line, Kernel)| {
        let own = Tree::new(directory.join("files").join(line.name))?;
        own.add_modules(kernel)?;
        own.add_script("/init", &suite.init(line)?)?;
        let archive = directory.join(format!("files/{}.cpio", line.name));
        own.pack(&archive)?;
        let image = directory.join(format!("{}.image", line.name));
        initramfs::join(&[&tests, &archive], &image)?;
        Ok(image)
    };
    kernels.iter().map(pack).collect()
}

/// Boots them, some at once, in this order.
fn boot(kernels: &[(&Line, Kernel)], images: &[PathBuf], directory: &Path) -> Result<Vec<Outcome>> {
    let queue: Mutex<VecDeque<_>> = Mutex::new(kernels.iter().zip(images).enumerate().collect());
    let next = || queue.lock().ok()?.pop_front();
    let work = || {
        let mut outcomes = Vec::new();
        while let Some((number, ((line, kernel), image))) = next() {
            let boot = Boot {
                kernel: &kernel.image,
                initrd: image,
                parameters: "",
                memory: MEMORY,
                disks: &[],
                has_cable: false,
                may_restart: false,
                limit: LIMIT,
            };
            let mut outcome = machine::run(line.name, &boot, directory)?;
            outcome.release.clone_from(&kernel.release);
            println!("{}", about(&outcome));
            outcomes.push((number, outcome));
        }
        Ok(outcomes)
    };
    let mut outcomes = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let mut outcomes = Vec::new();
        for worker in workers {
            let ended: Result<Vec<_>> =
                worker.join().map_err(|_| anyhow!("a thread has panicked"))?;
            outcomes.extend(ended?);
        }
        anyhow::Ok(outcomes)
    })?;
    outcomes.sort_by_key(|(number, _)| *number);
    Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}

/// A line of the table.
fn about(outcome: &Outcome) -> String {
    format!(
        "{:<32}{:<16}{:>3} passed  {:>5.0} s  {}",
        outcome.release,
        outcome.variant.as_deref().unwrap_or("no variant"),
        outcome.passed,
        outcome.took.as_secs_f64(),
        if outcome.is_ok { "ok" } else { "FAILED" },
    )
}

fn report(outcomes: &[Outcome]) -> Result<()> {
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.is_ok).collect();
    for outcome in &failed {
        println!("\n== {}\n{}", outcome.release, outcome.console.trim());
    }
    println!();
    for outcome in outcomes {
        println!("{}", about(outcome));
    }
    let failed: Vec<_> = failed.iter().map(|outcome| outcome.release.as_str()).collect();
    if !failed.is_empty() {
        bail!("not as it should be on {}", failed.join(", "));
    }
    Ok(())
}
