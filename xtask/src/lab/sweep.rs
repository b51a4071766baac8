//! What is left by processes that were killed by force, before they could take it away.

use std::{env, fs, os::unix::fs::MetadataExt as _, path::PathBuf, process::Command};

use super::{
    namespace, scratch,
    undo::{self, Undo},
};

/// Takes away namespaces (with the processes in them), mounts and directories whose makers have
/// ended. Those of `spare` are in use, though their maker has ended.
pub fn sweep(spare: &[Undo]) {
    for name in orphans(namespace::DIRECTORY.into(), namespace::PREFIX) {
        let undo = Undo::Namespace(name.clone());
        if !spare.contains(&undo) {
            processes_of(&name).iter().for_each(Undo::perform);
            undo.perform();
        }
    }
    let temporary = env::temp_dir();
    for name in orphans(temporary.clone(), scratch::PREFIX) {
        let directory = temporary.join(name);
        let undo = Undo::Directory(directory.clone());
        // Anyone may make directories there, of any name.
        let own = fs::symlink_metadata(&directory).is_ok_and(|entry| {
            entry.is_dir() && fs::metadata("/proc/self").is_ok_and(|own| own.uid() == entry.uid())
        });
        if own && !spare.contains(&undo) {
            let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
            mounts
                .lines()
                .filter_map(|line| line.split(' ').nth(1).map(PathBuf::from))
                .filter(|mount| mount.starts_with(&directory))
                .for_each(|mount| Undo::Mount(mount).perform());
            undo.perform();
        }
    }
}

/// The entries of a directory that are named after a process which is no more.
fn orphans(directory: PathBuf, prefix: &str) -> Vec<String> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| {
            let maker = name.strip_prefix(prefix).and_then(|rest| rest.split('-').next());
            let maker = maker.and_then(|maker| maker.parse().ok());
            maker.is_some_and(|pid| undo::start_time(pid).is_none())
        })
        .collect()
}

fn processes_of(namespace: &str) -> Vec<Undo> {
    let pids = Command::new("ip").args(["netns", "pids", namespace]).output();
    let pids = pids.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&pids)
        .lines()
        .filter_map(|pid| {
            let pid = pid.trim().parse().ok()?;
            Some(Undo::Process { pid, started: undo::start_time(pid)? })
        })
        .collect()
}
