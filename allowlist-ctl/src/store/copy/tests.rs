use std::time::{Duration, Instant};

use super::*;
use crate::store::{
    FILE,
    tests::{changed, grown, many, protect, save, shown, stamp},
};

fn finish(store: &mut Store) -> Result<GoodCopy, CopyError> {
    let give_up = Instant::now() + Duration::from_mins(1);
    while store.is_copying() {
        assert!(Instant::now() < give_up, "it does not end");
        if let Some(copy) = store.continue_copy()? {
            return Ok(copy);
        }
    }
    panic!("it ended without a copy");
}

fn copied(store: &mut Store) -> GoodCopy {
    store.begin_copy().unwrap();
    finish(store).unwrap()
}

/// The names of the files in a directory.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The policy of a copy, opened as one would that puts it in the place of the store.
fn policy_of(copy: &GoodCopy) -> String {
    let place = tempfile::tempdir().unwrap();
    fs::copy(&copy.path, place.path().join(FILE)).unwrap();
    shown(&Store::open(place.path()).unwrap().1)
}

#[test]
fn what_is_changed_while_it_is_copied_is_in_the_copy() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, mut policy) = grown(directory.path(), 40_000);
    store.begin_copy().unwrap();
    let mut steps = 0;
    while matches!(store.copying, Copying::Pages(_)) {
        steps += 1;
        policy = many(&mut store, &policy, 40_000 - 100 * steps);
        assert!(store.continue_copy().unwrap().is_none());
    }
    assert!(steps > 3, "{steps}");
    let expected = policy.clone();
    // Too late to be in it.
    let protected = changed(&policy, &protect("web", "tcp/80"));
    save(&mut store, &policy, &protected);
    let copy = finish(&mut store).unwrap();
    assert_eq!(copy.identity, store.identity(expected.revision));
    assert_eq!(policy_of(&copy), shown(&expected));
    assert_eq!(GoodCopy::of(store.path()), Some(copy));
    assert!(!store.is_copying());
    drop(store);
    assert_eq!(names(directory.path()), [FILE, "allowlist.db.good"]);
}

#[test]
fn a_copy_is_for_its_owner_only_and_takes_the_place_of_the_one_before() {
    use std::os::unix::fs::MetadataExt as _;
    let directory = tempfile::tempdir().unwrap();
    let (mut store, policy) = grown(directory.path(), 10);
    assert_eq!(GoodCopy::of(store.path()), None);
    let before = copied(&mut store);
    assert_eq!(fs::metadata(&before.path).unwrap().mode() & 0o777, 0o600);
    many(&mut store, &policy, 20);
    assert_eq!(copied(&mut store).identity.revision, before.identity.revision + 1);
    drop(store);
    assert_eq!(names(directory.path()), [FILE, "allowlist.db.good"]);
}

#[test]
fn the_copy_of_a_store_that_was_replaced_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, _) = grown(directory.path(), 10);
    let (path, lost) = (store.path().to_owned(), copied(&mut store));
    drop(store);
    fs::remove_file(&path).unwrap();
    let (mut store, _) = Store::open(directory.path()).unwrap();
    assert_eq!(copied(&mut store).identity, store.identity(0));
    let kept = beside(&lost.path, ".old");
    assert_eq!(policy_of(&GoodCopy { path: kept, ..lost.clone() }).lines().count(), 13);
}

#[test]
fn a_copy_that_was_given_up_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, _) = grown(directory.path(), 20_000);
    store.begin_copy().unwrap();
    store.continue_copy().unwrap();
    assert_eq!(names(directory.path()).len(), 3, "{:?}", names(directory.path()));
    drop(store);
    assert_eq!(names(directory.path()), [FILE]);
    // As a daemon leaves it that was killed.
    fs::write(directory.path().join("allowlist.db.copy"), "half").unwrap();
    drop(Store::open(directory.path()).unwrap());
    assert_eq!(names(directory.path()), [FILE]);
}

#[test]
fn a_damaged_store_refuses_changes_and_its_copy_takes_no_place() {
    let directory = tempfile::tempdir().unwrap();
    let (mut store, policy) = grown(directory.path(), 20_000);
    let good = copied(&mut store);
    let bytes = fs::read(&good.path).unwrap();
    store.tidy().unwrap();
    // What is damaged is read again only where it is not remembered.
    store.connection.pragma_update(None, "cache_size", 2).unwrap();
    store.connection.release_memory().unwrap();
    let length = fs::metadata(store.path()).unwrap().len();
    let file = File::options().write(true).open(store.path()).unwrap();
    let garble = |from: u64| {
        let garbage = vec![0x5a; usize::try_from(length - from).unwrap()];
        std::os::unix::fs::FileExt::write_all_at(&file, &garbage, from).unwrap();
    };
    garble(length / 4096 / 2 * 4096);
    store.begin_copy().unwrap();
    let error = finish(&mut store).unwrap_err();
    assert!(matches!(error, CopyError::NotWhole(_)), "{error}");
    assert_eq!(fs::read(&good.path).unwrap(), bytes);
    garble(8192);

    let next = changed(&policy, &protect("web", "tcp/80"));
    let error = store.draft().and_then(|draft| {
        draft.policy(&policy, &next, &stamp(1))?;
        draft.commit()
    });
    let error = error.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    let probed = store.probe(true).unwrap_err();
    assert!(matches!(probed, StoreError::Damaged { .. }), "{probed}");

    store.begin_copy().unwrap();
    let error = finish(&mut store).unwrap_err();
    assert!(matches!(error, CopyError::NotWhole(_) | CopyError::Copy { .. }), "{error}");
    assert_eq!(fs::read(&good.path).unwrap(), bytes);
    assert_eq!(GoodCopy::of(store.path()), Some(good));
}
