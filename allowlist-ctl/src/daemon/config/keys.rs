//! The configuration that a package brings, its manual page and its page of the guide have every key there is and no other.

use std::collections::BTreeSet;

use super::*;

const PACKAGED: &str = include_str!("../../../package/allowlistd.toml");
const PAGE: &str = include_str!("../../../man/allowlistd.toml.5");
const GUIDE: &str = include_str!("../../../../docs/reference/configuration.md");
/// What is taken for another key.
const SYNONYM: &str = "engine.engine";

/// The names that are expected in a place, as the refusal of another one tells them; none where that is no table.
fn expected(heading: &str) -> Option<Vec<String>> {
    let error = toml::from_str::<ConfigFile>(&format!("{heading}\nno-such-key = 0")).unwrap_err();
    let expected = error.message().strip_prefix("unknown field `no-such-key`, expected ")?;
    Some(expected.split('`').skip(1).step_by(2).map(str::to_owned).collect())
}

/// Every key below a table, such as `socket.path`.
fn keys(table: &str, heading: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for name in expected(heading).unwrap() {
        let path = if table.is_empty() { name } else { format!("{table}.{name}") };
        let headings = [format!("[{path}]"), format!("[[{path}]]")];
        match headings.iter().find(|heading| expected(heading).is_some()) {
            Some(heading) => found.extend(keys(&path, heading)),
            None if path == SYNONYM => {}
            None => drop(found.insert(path)),
        }
    }
    found
}

/// With all that is commented out, but for prose: a key follows its `#` at once.
fn with_all_keys() -> String {
    let lines = PACKAGED.lines().map(|line| match line.strip_prefix('#') {
        Some(key) if !key.starts_with(' ') => key,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_packaged_file_is_a_configuration_with_all_keys_and_without() {
    let with_all = with_all_keys();
    let table: toml::Value = toml::from_str(&with_all).unwrap();
    for key in keys("", "") {
        let found = key.split('.').try_fold(&table, |value, name| {
            value.as_array().map_or(value, |elements| &elements[0]).get(name)
        });
        assert!(found.is_some(), "no {key} in\n{with_all}");
    }
    let defaults = merge(ConfigFile::default(), &Args::default()).unwrap();
    let as_it_is = merge(toml::from_str(PACKAGED).unwrap(), &Args::default()).unwrap();
    let all = merge(toml::from_str(&with_all).unwrap(), &Args::default()).unwrap();
    // What is commented out is as if it were not there.
    assert_eq!(all.state_dir, defaults.state_dir);
    assert_eq!(all.keep, defaults.keep);
    assert_eq!(all.socket.path, defaults.socket.path);
    assert_eq!(as_it_is.interfaces, []);
    let interface = &all.interfaces[0];
    assert_eq!((interface.mode, interface.fragments), (Some(XdpMode::default()), Fragments::Pass));
    // What is not, is what the unit is made for.
    for settings in [&as_it_is, &all] {
        assert_eq!(settings.bpffs, Path::new("/run/allowlistd/bpf"));
        assert_eq!(
            (settings.socket.mode, settings.socket.group.as_deref()),
            (0o660, Some("allowlist"))
        );
    }
}

#[test]
fn the_manual_page_has_every_key_and_no_other() {
    let (_, page) = PAGE.split_once(".SH KEYS").unwrap();
    let (page, _) = page.split_once(".SH EXAMPLES").unwrap();
    let listed = page.split(".TP\n.B ").skip(1).filter_map(|rest| rest.lines().next());
    let listed: BTreeSet<String> = listed.map(str::to_owned).collect();
    assert_eq!(listed, keys("", ""));
}

#[test]
fn the_example_in_the_manual_page_is_a_configuration() {
    let (_, rest) = PAGE.split_once("\n.EX\n").unwrap();
    let (example, _) = rest.split_once("\n.EE").unwrap();
    let example = example.replace(r"\(dq", "\"").replace(r"\-", "-");
    let settings = merge(toml::from_str(&example).unwrap(), &Args::default()).unwrap();
    assert_eq!(settings.interfaces.len(), 2);
}

#[test]
fn the_page_of_the_guide_has_every_key_and_no_other_with_its_default() {
    let rows = GUIDE.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let listed: BTreeSet<String> = rows.map(str::to_owned).collect();
    assert_eq!(listed, keys("", ""));

    let (_, rest) = GUIDE.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let found = merge(toml::from_str(example).unwrap(), &Args::default()).unwrap();
    let defaults = merge(ConfigFile::default(), &Args::default()).unwrap();
    let interface = &found.interfaces[0];
    assert_eq!((interface.mode, interface.fragments), (Some(XdpMode::default()), Fragments::Pass));
    assert_eq!(Settings { interfaces: vec![], ..found }, defaults);
    // The commented ones, too, are keys.
    let all = example.replace("\n# ", "\n");
    let all = merge(toml::from_str(&all).unwrap(), &Args::default()).unwrap();
    assert_eq!(all.metrics, Some("127.0.0.1:9777".parse().unwrap()));
}
