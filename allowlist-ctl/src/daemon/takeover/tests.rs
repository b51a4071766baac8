use super::*;

const fn store(id: u8, revision: u64) -> StoreIdentity {
    StoreIdentity { id: [id; 16], revision }
}

#[test]
fn only_the_store_in_force_or_a_newer_state_of_it_takes_over() {
    let from = |id, revision| InForce::From(store(id, revision));
    let (nothing, none) = (InForce::Nothing, None);
    let table = [
        ("nothing is in force, no store", nothing.clone(), none, ""),
        ("nothing is in force, any store", nothing, Some(store(1, 0)), ""),
        ("the same", from(1, 7), Some(store(1, 7)), ""),
        ("the same, killed before it was pinned", from(1, 7), Some(store(1, 8)), ""),
        (
            "the same, of the past",
            from(1, 7),
            Some(store(1, 6)),
            "is at revision 6, and revision 7",
        ),
        ("another, newer", from(1, 7), Some(store(2, 9)), "is another store"),
        ("another, new", from(1, 0), Some(store(2, 0)), "is another store"),
        ("no store", from(1, 7), none, "has no policy, and one is in force (revision 7), which"),
        ("a used store, nameless", InForce::Nameless, Some(store(1, 1)), ""),
        ("a new store, nameless", InForce::Nameless, Some(store(1, 0)), "one is in force, which"),
        ("no store, nameless", InForce::Nameless, none, "has no policy"),
    ];
    for (description, in_force, found, said) in table {
        match check(&in_force, found, Path::new("/state/allowlist.db")) {
            Ok(()) => assert_eq!(said, "", "{description}"),
            Err(refusal) => {
                let told = refusal.to_string();
                assert!(!said.is_empty() && told.contains(said), "{description}: {told}");
                assert!(told.starts_with("/state/allowlist.db "), "{description}: {told}");
                assert!(told.contains("--adopt-store"), "{description}: {told}");
                assert!(told.contains("`allowlistd --detach`"), "{description}: {told}");
            }
        }
    }
}
