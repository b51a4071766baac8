//! Changes of the whole policy: plans, and going back.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::policy::{
    Entry,
    group::TRUSTED,
    plan::{GroupPlan, ServicePlan},
};

/// The plan that a policy is, but for the entries of files.
fn plan_of(policy: &Policy) -> Plan {
    let manual = |entries: &Entries| -> Vec<NewEntry> {
        let manual = entries.iter().filter(|(key, _)| key.origin == Origin::Manual);
        manual
            .map(|(key, entry)| NewEntry {
                key: *key,
                comment: entry.comment.clone(),
                expires_at: entry.expires_at,
            })
            .collect()
    };
    let services = policy.services.iter().map(|(name, service)| {
        let settings =
            Service { number: 0, entries: Entries::default(), ..Service::clone(service) };
        (name.clone(), ServicePlan { settings, entries: manual(&service.entries) })
    });
    let groups = policy.groups.iter().map(|(name, group)| {
        (name.clone(), GroupPlan { follow: group.follow.clone(), entries: manual(&group.entries) })
    });
    Plan { services: services.collect(), groups: groups.collect() }
}

/// Everything about a policy but revision, numbers and ids.
fn shown(policy: &Policy) -> String {
    let mut lines = Vec::new();
    for (name, service) in &policy.services {
        let bare = Service { number: 0, entries: Entries::default(), ..Service::clone(service) };
        lines.push(format!("{name} {bare:?}"));
    }
    for (name, group) in &policy.groups {
        lines.push(format!("{name} {:?}", group.follow));
    }
    for (_, name, entries) in policy.lists() {
        lines.extend(
            entries.iter().map(|(key, entry)| {
                format!("{name} {key:?} {:?}", Entry { id: 0, ..entry.clone() })
            }),
        );
    }
    lines.join("\n")
}

/// Some change, which may well be refused.
fn change() -> impl Strategy<Value = Change> {
    let service = prop_oneof![Just("a"), Just("b"), Just("c")];
    let group = prop_oneof![Just("a"), Just("g"), Just("h"), Just(TRUSTED)];
    let either = prop_oneof![service.clone(), group.clone()];
    let text = prop_oneof![
        Just("10.0.0.1 # x"),
        Just("10.0.0.1\n!10.0.0.0/8"),
        Just("10.0.0.2 until=2026-12-01T00:00Z"),
        Just(""),
    ];
    let name = |text: &str| -> Name { text.parse().unwrap() };
    let entries = |text: &str| lines::parse(text).unwrap();
    prop_oneof![
        (service.clone(), 1..4_u16, vec(group.clone(), 0..3)).prop_map(
            move |(service, port, includes)| Change::Protect {
                name: name(service),
                settings: Settings {
                    ports: [format!("tcp/{port}").parse().unwrap()].into(),
                    includes: Some(includes.into_iter().map(name).collect()),
                    ..Settings::default()
                },
            }
        ),
        service.prop_map(move |service| Change::Unprotect { name: name(service) }),
        (group.clone(), any::<bool>()).prop_map(move |(group, follow)| Change::SetGroup {
            name: name(group),
            follow: Some(follow.then(|| "/f".into())),
        }),
        group.clone().prop_map(move |group| Change::RemoveGroup { name: name(group) }),
        (either.clone(), text.clone())
            .prop_map(move |(list, text)| Change::Add { name: name(list), entries: entries(text) }),
        (either, text.clone()).prop_map(move |(list, text)| Change::Replace {
            name: name(list),
            entries: entries(text),
        }),
        (group, text).prop_map(move |(group, text)| {
            let entries = lines::parse_of_file(text);
            Change::Sync { name: name(group), entries }
        }),
    ]
}

/// A policy that some changes lead to; those that are refused do nothing.
fn policy() -> impl Strategy<Value = Policy> {
    vec(change(), 0..14).prop_map(|changes| {
        let mut desk = Desk(Policy::default());
        for change in &changes {
            let _ = desk.make(change);
        }
        desk.0
    })
}

/// What has to hold of every policy.
fn check(policy: &Policy) {
    let numbers: BTreeSet<_> = policy.lists().map(|(number, ..)| number).collect();
    assert_eq!(numbers.len(), policy.lists().count(), "a number is taken twice");
    let ids: Vec<u32> =
        policy.lists().flat_map(|(.., list)| list.iter().map(|(_, entry)| entry.id)).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "an id is taken twice");
    let mut free = policy.ids.clone();
    assert!(!ids.contains(&free.take()), "a free id is taken");
    for (name, service) in &policy.services {
        assert!(!policy.groups.contains_key(name));
        assert!(service.includes.iter().all(|group| policy.groups.contains_key(group)));
        for (_, other) in policy.services.iter().filter(|(other, _)| *other != name) {
            assert_eq!(service.shares_a_port_with(other), None);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_planned_comes_to_be_and_again_changes_nothing(before in policy(), wanted in policy()) {
        check(&before);
        let mut desk = Desk(before);
        desk.make(&Change::Apply(plan_of(&wanted))).unwrap();
        check(&desk.0);
        let (plan, wanted) = (plan_of(&desk.0), plan_of(&wanted));
        prop_assert_eq!(format!("{plan:?}"), format!("{wanted:?}"));
        let revision = desk.0.revision;
        desk.make(&Change::Apply(wanted)).unwrap();
        desk.make(&Change::Apply(plan)).unwrap();
        prop_assert_eq!(desk.0.revision, revision);
    }

    #[test]
    fn going_back_brings_everything_back(before in policy(), after in policy()) {
        let mut desk = Desk(after);
        desk.make(&Change::Restore(before.clone())).unwrap();
        check(&desk.0);
        prop_assert_eq!(shown(&desk.0), shown(&before));
        let revision = desk.0.revision;
        desk.make(&Change::Restore(before)).unwrap();
        prop_assert_eq!(desk.0.revision, revision);
    }
}

#[test]
fn services_may_swap_their_ports_in_one_plan() {
    let mut desk = Desk::new();
    desk.protect("web", &["tcp/80"]).unwrap();
    desk.add("web", "10.0.0.1").unwrap();
    let mut plan = plan_of(&desk.0);
    let ports = |plan: &Plan, name: &str| plan.services[name].settings.ports.clone();
    let (redis, web) = (ports(&plan, "redis"), ports(&plan, "web"));
    plan.services.get_mut("redis").unwrap().settings.ports = web;
    plan.services.get_mut("web").unwrap().settings.ports = redis.clone();
    desk.make(&Change::Apply(plan.clone())).unwrap();
    assert_eq!(desk.service("web").ports, redis);
    plan.services.get_mut("redis").unwrap().settings.ports = redis;
    let refusal = desk.make(&Change::Apply(plan)).unwrap_err();
    assert_eq!(refusal.to_string(), "tcp/6379 of 'web' overlaps tcp/6379 of 'redis'");
}

#[test]
fn entries_that_are_back_are_named_so_that_others_hits_are_not_theirs() {
    let mut desk = Desk::new();
    desk.add("redis", "10.0.0.1\n10.0.0.2").unwrap();
    let before = desk.0.clone();
    desk.replace("redis", "10.0.0.2\n10.0.0.3").unwrap();
    let author = Arc::new(Author { uid: 0, name: "root".into() });
    let outcome =
        apply(&desk.0, &Change::Restore(before.clone()), &author, Timestamp::UNIX_EPOCH).unwrap();
    let id = |policy: &Policy, text: &str| {
        let key = parse_keys(text).unwrap()[0];
        policy.services["redis"].entries.get(&key).unwrap().id
    };
    assert_eq!(outcome.restored, [id(&outcome.policy, "10.0.0.1")]);
    // One that was gone in between is there, and may have what another one with its id matched.
    desk.remove("redis", &["10.0.0.2"]).unwrap();
    let again =
        Change::Add { name: "redis".parse().unwrap(), entries: lines::parse("10.0.0.2").unwrap() };
    let later = Timestamp::from_second(60).unwrap();
    desk.0 = apply(&desk.0, &again, &author, later).unwrap().policy;
    let gone_between =
        apply(&desk.0, &Change::Restore(before.clone()), &author, Timestamp::UNIX_EPOCH).unwrap();
    assert!(gone_between.restored.contains(&id(&gone_between.policy, "10.0.0.2")));
    assert_eq!(id(&outcome.policy, "10.0.0.2"), id(&before, "10.0.0.2"));
}
