//! What the programs are made of, for those who look for holes in it: a list in the format of CycloneDX.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use xtask::toolchain::TARGET;

use super::{archives, build};
use crate::{binaries, output};

/// The name that the list has in the packages.
pub(super) const PLACE: &str = "usr/share/doc/allowlist/allowlist.cdx.json";

/// The program that the daemon brings along for the kernel.
const IN_KERNEL: &str = "allowlist-ebpf";
/// The crate that SQLite is compiled in by.
const SQLITE: &str = "libsqlite3-sys";

/// Makes the list in this directory, for a version of the programs.
pub(super) fn make(version: &str, directory: &Path) -> Result<PathBuf> {
    let host = output(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let mut lists = of_target(host.trim(), &build::PROGRAMS)?;
    lists.extend(of_target(TARGET, &[IN_KERNEL])?);
    let mut whole = merge(&lists, version)?;
    add_sqlite(&mut whole, &sqlite_header()?)?;
    let text = serde_json::to_string_pretty(&whole)? + "\n";
    check(&text, version)?;
    let file = directory.join(format!("allowlist-{version}-{}.cdx.json", env::consts::ARCH));
    fs::write(&file, text)?;
    Ok(file)
}

/// What cargo-cyclonedx says of some of the programs, for a target.
fn of_target(target: &str, programs: &[&str]) -> Result<Vec<(String, Value)>> {
    let root = binaries::root();
    let made = output(
        Command::new("cargo")
            .args(["cyclonedx", "--quiet", "--format", "json", "--spec-version", "1.5"])
            // Of each program, without what only its tests and build scripts need.
            .args(["--describe", "binaries", "--no-build-deps", "--target", target])
            // With the time of the commit, and without a number made up for each run.
            .env("SOURCE_DATE_EPOCH", archives::moment())
            .current_dir(root),
    );
    // It knows no other place than beside the manifests, and writes of every member.
    let mut lists = BTreeMap::new();
    for member in fs::read_dir(root)?.flatten().filter(|member| member.path().is_dir()) {
        for file in fs::read_dir(member.path())?.flatten().map(|file| file.path()) {
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Some(program) = name.strip_suffix("_bin.cdx.json") {
                lists.insert(program.to_owned(), fs::read_to_string(&file)?);
                fs::remove_file(&file)?;
            }
        }
    }
    made?;
    let list = |program: &&str| -> Result<(String, Value)> {
        let text = lists.remove(*program);
        let text = text.with_context(|| format!("cargo-cyclonedx made no list of {program}"))?;
        Ok(((*program).to_owned(), serde_json::from_str(&text)?))
    };
    programs.iter().map(list).collect()
}

/// One list of all programs.
fn merge(lists: &[(String, Value)], version: &str) -> Result<Value> {
    let mut components: BTreeMap<String, Value> = BTreeMap::new();
    let mut needs: BTreeMap<String, Value> = BTreeMap::new();
    for (program, list) in lists {
        let mut list = list.clone();
        let mut itself = list["metadata"]["component"].take();
        let old = text(&itself["bom-ref"])?.to_owned();
        let new = format!("{program}@{version}");
        itself["version"] = version.into();
        components.insert(new.clone(), cleaned(itself, &new));
        for component in array(&list["components"]) {
            let id = place_free(text(&component["bom-ref"])?);
            components.insert(id.clone(), cleaned(component.clone(), &id));
        }
        for dependency in array(&list["dependencies"]) {
            let of = text(&dependency["ref"])?;
            let of = if of == old { new.clone() } else { place_free(of) };
            let on = array(&dependency["dependsOn"]).iter();
            let mut on: Vec<_> = on.map(|on| Ok(place_free(text(on)?))).collect::<Result<_>>()?;
            if program == "allowlistd" && of == new {
                on.push(format!("{IN_KERNEL}@{version}"));
            }
            needs.insert(of.clone(), json!({ "ref": of, "dependsOn": on }));
        }
    }
    let (_, first) = lists.first().context("no list")?;
    let itself = format!("allowlist@{version}");
    let programs: Vec<_> =
        lists.iter().map(|(program, _)| format!("{program}@{version}")).collect();
    needs.insert(itself.clone(), json!({ "ref": itself, "dependsOn": programs }));
    Ok(json!({
        "bomFormat": first["bomFormat"],
        "specVersion": first["specVersion"],
        "version": 1,
        "metadata": {
            "timestamp": first["metadata"]["timestamp"],
            "tools": first["metadata"]["tools"],
            "component": {
                "type": "application",
                "bom-ref": itself,
                "name": "allowlist",
                "version": version,
                "licenses": [{ "expression": "(MIT OR Apache-2.0) AND (MIT OR GPL-2.0-only)" }],
                "externalReferences": [{ "type": "vcs", "url": env!("CARGO_PKG_REPOSITORY") }],
            },
        },
        "components": components.into_values().collect::<Vec<_>>(),
        "dependencies": needs.into_values().collect::<Vec<_>>(),
    }))
}

/// The same without where the project lies on this machine.
fn cleaned(mut component: Value, id: &str) -> Value {
    component["bom-ref"] = id.into();
    if let Some((url, _)) = component["purl"].as_str().and_then(|purl| purl.split_once("?download"))
    {
        component["purl"] = url.into();
    }
    component
}

/// `allowlist-common@0.1.0` of `path+file:///somewhere/allowlist-common#0.1.0`; others as they are.
fn place_free(id: &str) -> String {
    let own = id.strip_prefix("path+file://").and_then(|path| path.split_once('#'));
    own.map_or_else(
        || id.to_owned(),
        |(path, version)| {
            let name = path.rsplit('/').next().unwrap_or(path);
            format!("{name}@{version}")
        },
    )
}

/// What cargo knows of all crates.
pub(super) fn metadata() -> Result<Value> {
    let mut cargo = Command::new("cargo");
    cargo.args(["metadata", "--format-version", "1", "--locked"]).current_dir(binaries::root());
    Ok(serde_json::from_str(&output(&mut cargo)?)?)
}

/// The header of the SQLite that is compiled in.
fn sqlite_header() -> Result<String> {
    let metadata = metadata()?;
    let package = array(&metadata["packages"]).iter().find(|package| package["name"] == SQLITE);
    let manifest = package.context("nothing brings SQLite")?["manifest_path"].as_str();
    let directory = Path::new(manifest.unwrap_or_default()).parent().context("it lies nowhere")?;
    Ok(fs::read_to_string(directory.join("sqlite3/sqlite3.h"))?)
}

/// Adds what is no crate, and what scanners know by its own name.
fn add_sqlite(list: &mut Value, header: &str) -> Result<()> {
    let version = header
        .lines()
        .find_map(|line| line.strip_prefix("#define SQLITE_VERSION ")?.trim().split('"').nth(1))
        .context("SQLite does not say its version")?;
    let id = format!("sqlite@{version}");
    let component = json!({
        "type": "library",
        "bom-ref": id,
        "name": "sqlite",
        "version": version,
        "scope": "required",
        "licenses": [{ "expression": "blessing" }],
        "cpe": format!("cpe:2.3:a:sqlite:sqlite:{version}:*:*:*:*:*:*:*"),
        "purl": format!("pkg:generic/sqlite@{version}"),
    });
    let crate_of_it =
        list["dependencies"].as_array_mut().into_iter().flatten().find(|one| {
            one["ref"].as_str().is_some_and(|name| name.contains(&format!("#{SQLITE}@")))
        });
    let crate_of_it = crate_of_it.context("no program uses SQLite")?;
    crate_of_it["dependsOn"].as_array_mut().context("no list")?.push(id.clone().into());
    list["components"].as_array_mut().context("no components")?.push(component);
    list["dependencies"].as_array_mut().context("no list")?.push(json!({ "ref": id }));
    Ok(())
}

/// That the list has what it has to, and nothing of this machine.
fn check(list: &str, version: &str) -> Result<()> {
    let parsed: Value = serde_json::from_str(list)?;
    let all = array(&parsed["components"]);
    let own = [IN_KERNEL].into_iter().chain(build::PROGRAMS);
    for name in own {
        if !all.iter().any(|one| one["name"] == name && one["version"] == version) {
            bail!("the list of what is packed has no {name} {version}");
        }
    }
    for name in ["aya", "aya-ebpf", "sqlite"] {
        let there = all.iter().find(|one| one["name"] == name);
        let version = there.and_then(|one| one["version"].as_str()).unwrap_or_default();
        if !version.starts_with(|first: char| first.is_ascii_digit()) {
            bail!("the list of what is packed has no {name} with a version");
        }
    }
    let root = binaries::root().display().to_string();
    let home = env::home_dir().filter(|home| home.components().count() > 1);
    let home = home.map(|home| format!("{}/", home.display()));
    for place in [Some("file:".to_owned()), Some(root), home].into_iter().flatten() {
        if let Some(line) = list.lines().find(|line| line.contains(&place)) {
            bail!("the list of what is packed tells of this machine: {}", line.trim());
        }
    }
    if !parsed["serialNumber"].is_null() {
        bail!("the list of what is packed has a number that another run would not give it");
    }
    Ok(())
}

pub(super) fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().context("cargo-cyclonedx gave something no name")
}

#[cfg(test)]
mod tests;
