//! Capabilities: those that the daemon must have, and those that it gives up before it serves anybody.

use anyhow::{Context as _, bail};
use caps::{CapSet, Capability, CapsHashSet};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::debug;

/// Loading the programs and their maps, and putting them on interfaces.
const NEEDED: [Capability; 3] =
    [Capability::CAP_BPF, Capability::CAP_NET_ADMIN, Capability::CAP_PERFMON];

/// For followed files that are another user's: reading them, and seeing whether somebody writes to them. Kept where the
/// daemon has them.
const FOR_FOLLOWED_FILES: [Capability; 2] =
    [Capability::CAP_DAC_READ_SEARCH, Capability::CAP_LEASE];

/// More than are ever needed.
const DESCRIPTORS: u64 = 65_536;

/// Checks that this process may do what the daemon is for, before anything is touched.
///
/// # Errors
/// A sentence that names what is missing.
pub(super) fn require() -> anyhow::Result<()> {
    let permitted = permitted()?;
    let missing: Vec<String> = NEEDED
        .iter()
        .filter(|capability| !permitted.contains(capability))
        .map(ToString::to_string)
        .collect();
    if !missing.is_empty() {
        bail!(
            "{} missing: run allowlistd as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON",
            match missing.as_slice() {
                [one] => format!("the capability {one} is"),
                several => format!("the capabilities {} are", several.join(", ")),
            }
        );
    }
    Ok(())
}

/// Gives up, for good, all that is not needed any more. Threads have capabilities of their own: to be called while this
/// is the only one.
///
/// # Errors
/// What the kernel answered.
pub(super) fn give_up_others() -> anyhow::Result<()> {
    let permitted = permitted()?;
    let kept: CapsHashSet = NEEDED
        .into_iter()
        .chain(FOR_FOLLOWED_FILES)
        .filter(|one| permitted.contains(one))
        .collect();
    let bounding = caps::read(None, CapSet::Bounding).unwrap_or_default();
    for capability in bounding.difference(&kept) {
        // It takes CAP_SETPCAP; and what no program is started from here matters to none.
        if let Err(error) = caps::drop(None, CapSet::Bounding, *capability) {
            debug!("{capability} stays in the bounding set: {error}");
            break;
        }
    }
    let clear = |set| caps::clear(None, set).context("cannot give up capabilities");
    clear(CapSet::Ambient)?;
    // The effective ones first, for they may be none but permitted ones.
    for set in [CapSet::Effective, CapSet::Permitted] {
        caps::set(None, set, &kept).context("cannot give up capabilities")?;
    }
    clear(CapSet::Inheritable)?;
    nix::sys::prctl::set_no_new_privs().context("cannot renounce new privileges")
}

/// Lets as many files be open as this process may have: links, maps and connections are descriptors.
pub(super) fn raise_descriptor_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most.min(DESCRIPTORS), most));
    if let Err(errno) = raised {
        debug!("the limit of open files stays as it is: {errno}");
    }
}

fn permitted() -> anyhow::Result<CapsHashSet> {
    caps::read(None, CapSet::Permitted).context("cannot read this process's capabilities")
}
