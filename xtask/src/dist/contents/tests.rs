use super::*;

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index#";

/// What cargo-cyclonedx says of a program of a crate that uses some of crates.io's.
fn list(program: &str, of: &str, crates: &[&str]) -> (String, Value) {
    let own = |name: &str| format!("path+file:///home/somebody/allowlist/{name}#0.1.0");
    let component = |name: &str, id: &str, purl: &str| {
        let version = id.rsplit(['@', '#']).next().unwrap();
        json!({ "name": name, "version": version, "bom-ref": id, "purl": purl })
    };
    let mut ids = vec![own("allowlist-common")];
    let mut components = vec![component(
        "allowlist-common",
        &ids[0],
        "pkg:cargo/allowlist-common@0.1.0?download_url=file://../allowlist-common",
    )];
    for name in crates {
        ids.push(format!("{CRATES_IO}{name}"));
        let purl = format!("pkg:cargo/{name}");
        components.push(component(name.split('@').next().unwrap(), ids.last().unwrap(), &purl));
    }
    let mut needs: Vec<_> = ids.iter().map(|id| json!({ "ref": id })).collect();
    needs.push(json!({ "ref": own(of), "dependsOn": ids }));
    let purl = format!("pkg:cargo/{of}@0.1.0?download_url=file://.#src/bin/{program}.rs");
    let list = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "metadata": {
            "timestamp": "2026-01-01T00:00:00Z",
            "component": component(program, &own(of), &purl),
        },
        "components": components,
        "dependencies": needs,
    });
    (program.to_owned(), list)
}

const HEADER: &str = "/* SQLite */\n#define SQLITE_VERSION        \"3.50.1\"\n";

/// The list of a version.
fn whole(version: &str) -> Value {
    let lists = [
        list("allowlistd", "allowlist-ctl", &["aya@0.14.0", "libsqlite3-sys@0.39.1"]),
        list("allowlist-ctl", "allowlist-ctl", &["aya@0.14.0", "libsqlite3-sys@0.39.1"]),
        list(IN_KERNEL, IN_KERNEL, &["aya-ebpf@0.2.1"]),
    ];
    let mut whole = merge(&lists, version).unwrap();
    add_sqlite(&mut whole, HEADER).unwrap();
    whole
}

#[test]
fn the_list_names_the_programs_and_all_that_they_are_made_of_once() {
    let whole = whole("1.2.3");
    check(&whole.to_string(), "1.2.3").unwrap();
    let names: Vec<_> = array(&whole["components"])
        .iter()
        .map(|one| format!("{} {}", text(&one["name"]).unwrap(), text(&one["version"]).unwrap()))
        .collect();
    assert_eq!(
        names,
        [
            "allowlist-common 0.1.0",
            "allowlist-ctl 1.2.3",
            "allowlist-ebpf 1.2.3",
            "allowlistd 1.2.3",
            "aya-ebpf 0.2.1",
            "aya 0.14.0",
            "libsqlite3-sys 0.39.1",
            "sqlite 3.50.1",
        ]
    );
}

#[test]
fn what_needs_what_is_kept_by_names_that_the_list_has() {
    let whole = whole("1.2.3");
    let needs = |name: &str| -> Vec<String> {
        let of = array(&whole["dependencies"]).iter().find(|one| one["ref"] == name).unwrap();
        array(&of["dependsOn"]).iter().map(|on| on.as_str().unwrap().to_owned()).collect()
    };
    let (aya, sqlite) =
        (format!("{CRATES_IO}aya@0.14.0"), format!("{CRATES_IO}libsqlite3-sys@0.39.1"));
    for (name, expected) in [
        (
            "allowlist@1.2.3",
            &["allowlistd@1.2.3", "allowlist-ctl@1.2.3", "allowlist-ebpf@1.2.3"][..],
        ),
        ("allowlistd@1.2.3", &["allowlist-common@0.1.0", &aya, &sqlite, "allowlist-ebpf@1.2.3"]),
        ("allowlist-ctl@1.2.3", &["allowlist-common@0.1.0", &aya, &sqlite]),
        (&sqlite, &["sqlite@3.50.1"]),
        ("sqlite@3.50.1", &[]),
    ] {
        assert_eq!(needs(name), expected, "{name}");
    }
}

#[test]
fn a_list_that_lacks_something_or_tells_of_this_machine_is_refused() {
    let root = binaries::root().display().to_string();
    for (name, damage, expected) in [
        ("another version", ("\"1.2.3\"", "\"1.2.4\""), "has no allowlist-ebpf 1.2.3"),
        ("no aya", ("\"aya\"", "\"ayah\""), "has no aya with a version"),
        ("no program in the kernel", ("\"aya-ebpf\"", "\"x\""), "has no aya-ebpf"),
        ("an aya of no version", ("\"0.14.0\"", "\"\""), "has no aya with a version"),
        ("no SQLite", ("\"sqlite\"", "\"x\""), "has no sqlite"),
        ("a path", ("pkg:cargo/aya@", &format!("{root}/aya@")), "tells of this machine"),
        ("a path, as a link", ("pkg:cargo/aya@", "file:///aya@"), "tells of this machine"),
        ("a number", ("\"bomFormat\"", "\"serialNumber\":\"1\",\"bomFormat\""), "has a number"),
    ] {
        let damaged = whole("1.2.3").to_string().replace(damage.0, damage.1);
        let error = check(&damaged, "1.2.3").unwrap_err().to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
}
