use std::fs;

use super::*;
use crate::store::{
    GoodCopy,
    tests::{grown, many},
};

/// Everything in a directory, by name.
fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    files.sort();
    files
}

fn refused(directory: &Path, description: &str) -> StoreError {
    let before = files(directory);
    let Err(error) = Found::look(directory) else { panic!("{description}: nothing was found") };
    assert_eq!(files(directory), before, "something was changed: {error}");
    error
}

#[test]
fn where_there_is_no_store_nothing_is_made() {
    let scratch = tempfile::tempdir().unwrap();
    let missing = scratch.path().join("missing");
    assert_eq!(Found::look(&missing).unwrap().identity(), None);
    assert!(!missing.exists());
    assert_eq!(Found::look(scratch.path()).unwrap().identity(), None);
    assert!(files(scratch.path()).is_empty());
    fs::write(scratch.path().join(FILE), "").unwrap();
    fs::write(scratch.path().join("allowlist.db-wal"), "what is left").unwrap();
    let before = files(scratch.path());
    assert_eq!(Found::look(scratch.path()).unwrap().identity(), None);
    assert_eq!(files(scratch.path()), before);
}

#[test]
fn a_store_keeps_its_identity_and_another_has_another() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut store, policy) = grown(one.path(), 10);
    let identity = store.identity(policy.revision);
    many(&mut store, &policy, 20);
    drop(store);
    let found = Found::look(one.path()).unwrap();
    let revision = policy.revision + 1;
    assert_eq!(found.identity(), Some(StoreIdentity { revision, ..identity }));
    drop(found.open().unwrap());
    let (other, _) = grown(other.path(), 10);
    assert_ne!(other.identity(0).id, identity.id);
}

#[test]
fn a_database_that_is_not_whole_is_damaged_and_left_alone() {
    let whole = tempfile::tempdir().unwrap();
    drop(grown(whole.path(), 2000));
    let bytes = fs::read(whole.path().join(FILE)).unwrap();
    let length = bytes.len();
    let cut = |length: usize| bytes[..length].to_vec();
    let page = |number: usize| {
        let mut bytes = bytes.clone();
        bytes[number * 4096..][..4096].fill(0x5a);
        bytes
    };
    for (description, bytes) in [
        ("7 bytes", cut(7)),
        ("16 bytes", cut(16)),
        ("99 bytes", cut(99)),
        ("100 bytes", cut(100)),
        ("half a page", cut(2048)),
        ("one page", cut(4096)),
        ("half", cut(length / 2)),
        ("not the last page", cut(length - 4096)),
        ("not the last byte", cut(length - 1)),
        ("page 2", page(1)),
        ("a page in the middle", page(length / 4096 / 2)),
        ("the last page", page(length / 4096 - 1)),
    ] {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), bytes).unwrap();
        let error = refused(directory.path(), description);
        assert!(matches!(error, StoreError::Damaged { .. }), "{description}: {error}");
        assert_eq!(error.to_string().lines().count(), 1, "{description}: {error}");
    }
}

#[test]
fn with_a_copy_beside_it_even_one_without_a_header_is_ours() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE);
    fs::write(&path, "meow ".repeat(1000)).unwrap();
    assert!(matches!(refused(directory.path(), "alone"), StoreError::Foreign(_)));
    fs::write(GoodCopy::path(&path), "").unwrap();
    assert!(matches!(refused(directory.path(), "with a copy"), StoreError::Damaged { .. }));
}

#[test]
fn what_was_cut_off_beside_the_database_is_not_in_it() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, policy) = grown(directory.path(), 10);
    store.tidy().unwrap();
    many(&mut store, &policy, 20);
    // As a crash leaves it.
    let crashed = tempfile::tempdir().unwrap();
    for (path, bytes) in files(directory.path()) {
        fs::write(crashed.path().join(path.file_name().unwrap()), bytes).unwrap();
    }
    let revision = || Found::look(crashed.path()).unwrap().identity().unwrap().revision;
    assert_eq!(revision(), policy.revision + 1);
    let wal = crashed.path().join("allowlist.db-wal");
    let length = fs::metadata(&wal).unwrap().len();
    for left in [length - 1, length / 2, 100, 10, 0] {
        File::options().write(true).open(&wal).unwrap().set_len(left).unwrap();
        let before = files(crashed.path());
        assert_eq!(revision(), policy.revision, "{left} of {length} bytes are left");
        let now = files(crashed.path());
        assert!(left == 0 || now == before, "something was changed");
    }
}
