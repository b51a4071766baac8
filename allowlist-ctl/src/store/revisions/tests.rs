use super::*;
use crate::store::tests::{grown, list_of, save, shown};

/// Rows of entries that are no longer current.
fn past(store: &Store) -> usize {
    let past = "SELECT (SELECT count(*) FROM past_entry)
        + (SELECT count(*) FROM entry JOIN batch ON batch.id = entry.batch WHERE until IS NOT NULL)";
    store.connection.query_row(past, [], |row| row.get(0)).unwrap()
}

#[test]
fn what_is_no_longer_kept_goes_bit_by_bit_and_takes_nothing_along() {
    let directory = tempfile::tempdir().unwrap();
    let entries = 4 * BATCH;
    let (mut store, first) = grown(directory.path(), entries);
    // Fewer than half of them, one by one; then all of them at once, twice.
    let mut policy = list_of(&first, entries - BATCH - 500);
    save(&mut store, &first, &policy);
    for entries in [10, BATCH] {
        let next = list_of(&policy, entries);
        save(&mut store, &policy, &next);
        policy = next;
    }
    let keep = KeepRevisions { count: 1, days: 0, entries: 0 };
    let mut left = vec![past(&store)];
    while store.prune_revisions(keep).unwrap() {
        left.push(past(&store));
    }
    assert_eq!(past(&store), 0);
    assert_eq!(left.len(), 3, "{left:?}");
    for pair in left.windows(2) {
        assert!(pair[1] < pair[0] && pair[0] - pair[1] <= 2 * BATCH, "{left:?}");
    }
    drop(store);
    let (_, found) = Store::open(directory.path()).unwrap();
    assert_eq!(shown(&found), shown(&policy));
}
