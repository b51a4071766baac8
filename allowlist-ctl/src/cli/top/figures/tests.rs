use super::*;
use crate::cli::top::testing::{drops, sample, service};

fn figures(samples: impl IntoIterator<Item = Sample>) -> Figures {
    let mut figures = Figures::default();
    samples.into_iter().for_each(|sample| figures.take(sample));
    figures
}

/// A moment in milliseconds, and what was counted until then.
type Counted = (u64, u64);

#[test]
fn rates_are_of_the_time_that_has_passed() {
    let begin = Instant::now();
    let table: [(&str, &[Counted], Option<f64>); 6] = [
        ("nothing to compare with", &[(0, 100)], None),
        ("a second", &[(0, 100), (1000, 130)], Some(30.0)),
        ("half a second", &[(0, 100), (500, 130)], Some(60.0)),
        ("a pause", &[(0, 100), (60_000, 160)], Some(1.0)),
        ("the counter began anew", &[(0, 100), (1000, 8)], Some(8.0)),
        ("at one moment", &[(0, 100), (0, 130)], None),
    ];
    for (description, counts, expected) in table {
        let of_source = |(at, count): &Counted| {
            let denied = service("redis", "closed", 0, *count);
            sample(begin, *at, &[denied], &[drops("203.0.113.7", "redis", *count, 0)], *count)
        };
        let figures = figures(counts.iter().map(of_source));
        assert_eq!(figures.services[0].denied.rate, expected, "{description}");
        assert_eq!(figures.sources[0].rate, expected, "{description}");
        assert_eq!(figures.unreported.rate, expected, "{description}");
    }
}

#[test]
fn what_is_new_is_new_and_what_is_gone_is_gone() {
    let begin = Instant::now();
    let figures = figures([
        sample(begin, 0, &[service("a", "closed", 5, 0)], &[drops("192.0.2.1", "a", 3, 0)], 0),
        sample(begin, 1000, &[service("b", "closed", 7, 0)], &[drops("192.0.2.2", "b", 4, 0)], 0),
    ]);
    let [service] = figures.services.as_slice() else { panic!("{:?}", figures.services) };
    // It may have counted for a year before anybody asked.
    assert_eq!((service.name.as_str(), service.admitted.rate), ("b", None));
    let [source] = figures.sources.as_slice() else { panic!("{:?}", figures.sources) };
    assert_eq!((source.count, source.rate), (4, Some(4.0)));
}

#[test]
fn the_last_minute_is_kept() {
    let begin = Instant::now();
    // As many a second as there were seconds.
    let count = |second: u64| second * (second + 1) / 2;
    let samples = (0..100)
        .map(|at| sample(begin, at * 1000, &[service("a", "closed", 0, count(at))], &[], 0));
    let past = &figures(samples).services[0].denied.past;
    assert_eq!((past.len(), past.front(), past.back()), (KEPT, Some(&40), Some(&99)));
}

#[test]
fn drops_of_several_interfaces_are_one_row() {
    let mut other = drops("192.0.2.1", "a", 4, 9);
    other["interface"] = "eth1".into();
    let mut passed = drops("192.0.2.1", "a", 1, 0);
    passed["reason"] = "would_deny".into();
    let all = [drops("192.0.2.1", "a", 3, 5), other, passed];
    let figures = figures([sample(Instant::now(), 0, &[], &all, 0)]);
    let mut sources: Vec<_> = figures
        .sources
        .iter()
        .map(|source| (source.key.passed, source.count, source.last.to_string()))
        .collect();
    sources.sort();
    let expected =
        [(false, 7, "2026-11-22T02:00:09Z".to_owned()), (true, 1, "2026-11-22T02:00:00Z".into())];
    assert_eq!(sources, expected);
}

#[test]
fn rows_are_sorted_as_is_wanted() {
    let begin = Instant::now();
    let services = |more: u64| {
        [
            service("slow", "closed", 0, 500),
            service("fast", "closed", 0, 10 + 9 * more),
            service("busy", "closed", 9 * more, 10),
        ]
    };
    let sources = |more: u64| {
        [
            drops("192.0.2.3", "a", 500, 1),
            drops("192.0.2.1", "a", 10 + 9 * more, 2),
            drops("192.0.2.10", "a", 10, 3),
        ]
    };
    let figures =
        figures([0, 1].map(|at| sample(begin, at * 1000, &services(at), &sources(at), 0)));
    let table = [
        (Sort::Rate, ["fast", "busy", "slow"], ["192.0.2.1", "192.0.2.3", "192.0.2.10"]),
        (Sort::Count, ["slow", "fast", "busy"], ["192.0.2.3", "192.0.2.1", "192.0.2.10"]),
        (Sort::Name, ["busy", "fast", "slow"], ["192.0.2.1", "192.0.2.3", "192.0.2.10"]),
        (Sort::Last, ["fast", "busy", "slow"], ["192.0.2.10", "192.0.2.1", "192.0.2.3"]),
    ];
    for (sort, names, addresses) in table {
        let mut services: Vec<_> = figures.services.iter().collect();
        sort_services(&mut services, sort);
        let found: Vec<_> = services.iter().map(|service| service.name.as_str()).collect();
        assert_eq!(found, names, "{sort:?}");
        let mut sources: Vec<_> = figures.sources.iter().collect();
        sort_sources(&mut sources, sort);
        let found: Vec<_> =
            sources.iter().map(|source| source.key.source.unwrap().to_string()).collect();
        assert_eq!(found, addresses, "{sort:?}");
    }
}

#[test]
fn numbers_take_few_characters() {
    let table = [
        (0, "0"),
        (9999, "9999"),
        (10_000, "10.0k"),
        (99_999, "99.9k"),
        (100_000, "100k"),
        (999_999, "999k"),
        (1_234_567, "1.2M"),
        (u64::MAX, "18446744T"),
    ];
    for (number, expected) in table {
        assert_eq!(short(number), expected);
    }
    let table = [
        (None, "-"),
        (Some(0.0), "0"),
        (Some(0.25), "0.2"),
        (Some(9.94), "9.9"),
        (Some(9.96), "10"),
        (Some(1_000_000.4), "1.0M"),
    ];
    for (rate, expected) in table {
        assert_eq!(short_rate(rate), expected, "{rate:?}");
    }
}
