//! The layout of design.md §3, held against what cargo knows: who may import whom, where drivers live, and that lints,
//! versions and the licence come from the workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use blackbox::servers::workspace_root;
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// What each package may import of ours, tests of its own included. A service is imported by nobody but the black-box tests.
const IMPORTS: [(&str, &[&str]); 11] = [
    ("events", &[]),
    ("ledger", &["events"]),
    ("sandbox", &["events"]),
    ("platform", &["events"]),
    ("command-api", LIBRARIES),
    ("executor", LIBRARIES),
    ("projector", LIBRARIES),
    ("query-api", LIBRARIES),
    ("runledger", &["events", "platform"]),
    ("dev", LIBRARIES),
    ("blackbox", LIBRARIES),
];

/// What services are built on.
const LIBRARIES: &[&str] = &["events", "ledger", "platform", "sandbox"];

/// The homes of drivers. `dev` has `mongodb` to initiate the replica set.
const DRIVERS: [(&str, &[&str]); 4] = [
    ("async-nats", &["ledger"]),
    ("sqlx", &["projector", "query-api"]),
    ("mongodb", &["projector", "query-api", "dev"]),
    ("bollard", &["executor"]),
];

/// The package that may use every driver, because it looks at the servers from outside.
const OUTSIDER: &str = "blackbox";

/// What `events` must not have: it is pure.
const IMPURE: [&str; 6] = ["tokio", "rand", "reqwest", "tracing", "futures", "async-trait"];

fn workspace() -> Result<Metadata> {
    let manifest = workspace_root().join("Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).no_deps().exec().context("cargo metadata")
}

fn imports(package: &Package) -> BTreeSet<&str> {
    package.dependencies.iter().map(|dependency| dependency.name.as_str()).collect()
}

fn read_toml(path: &Path) -> Result<toml::Table> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    text.parse().with_context(|| format!("parse {}", path.display()))
}

#[test]
fn imports_go_one_way() -> Result<()> {
    let metadata = workspace()?;
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from(IMPORTS);
    let ours: BTreeSet<&str> =
        metadata.packages.iter().map(|package| package.name.as_str()).collect();

    for package in &metadata.packages {
        let name = package.name.as_str();
        let allowed =
            allowed.get(name).with_context(|| format!("{name} has no line in this test"))?;
        for import in imports(package).intersection(&ours).filter(|import| **import != name) {
            ensure!(allowed.contains(import), "{name} must not import {import}");
        }
    }
    Ok(())
}

#[test]
fn every_driver_has_one_home() -> Result<()> {
    let metadata = workspace()?;

    for package in metadata.packages.iter().filter(|package| package.name.as_str() != OUTSIDER) {
        let imports = imports(package);
        for (driver, homes) in DRIVERS {
            let at_home = homes.contains(&package.name.as_str());
            ensure!(at_home || !imports.contains(driver), "{} must not use {driver}", package.name);
        }
    }
    Ok(())
}

#[test]
fn the_vocabulary_is_pure() -> Result<()> {
    let metadata = workspace()?;
    let events = metadata.packages.iter().find(|package| package.name.as_str() == "events");
    let events = events.context("there is no package events")?;

    let normal =
        events.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
    for dependency in normal {
        ensure!(
            !IMPURE.contains(&dependency.name.as_str()),
            "events must not use {}",
            dependency.name
        );
    }
    Ok(())
}

#[test]
fn every_member_takes_lints_and_package_data_from_the_workspace() -> Result<()> {
    for package in &workspace()?.packages {
        let manifest = read_toml(package.manifest_path.as_std_path())?;
        let inherits =
            |table: &toml::Value| table.get("workspace") == Some(&toml::Value::Boolean(true));

        let lints = manifest.get("lints").context("no lints")?;
        ensure!(inherits(lints), "{} has lints of its own", package.name);
        let own = manifest.get("package").context("no package")?;
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            let value = own.get(key).with_context(|| format!("{} has no {key}", package.name))?;
            ensure!(inherits(value), "{} has a {key} of its own", package.name);
        }
        ensure!(
            package.license.as_deref() == Some("Apache-2.0"),
            "{} has another licence",
            package.name
        );
    }
    Ok(())
}

#[test]
fn every_version_stands_in_the_workspace() -> Result<()> {
    let root = read_toml(&workspace_root().join("Cargo.toml"))?;
    let shared = root
        .get("workspace")
        .and_then(|it| it.get("dependencies"))
        .context("no shared dependencies")?;

    for package in &workspace()?.packages {
        let manifest = read_toml(package.manifest_path.as_std_path())?;
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = manifest.get(table).and_then(toml::Value::as_table) else {
                continue;
            };
            for (name, value) in dependencies {
                let here = format!("{name} in {} of {}", table, package.name);
                // A package that tests itself with other features names itself by its path, without a version.
                let itself = *name == package.name.as_str() && value.get("version").is_none();
                ensure!(
                    itself || value.get("workspace").is_some(),
                    "{here} has a version of its own"
                );
                ensure!(shared.get(name).is_some(), "{here} is not in the workspace");
            }
        }
    }
    Ok(())
}

#[test]
fn every_shared_version_is_used() -> Result<()> {
    let root = read_toml(&workspace_root().join("Cargo.toml"))?;
    let shared =
        root.get("workspace").and_then(|it| it.get("dependencies")).and_then(toml::Value::as_table);
    let shared = shared.context("no shared dependencies")?;
    let metadata = workspace()?;
    let used: BTreeSet<&str> = metadata.packages.iter().flat_map(imports).collect();

    for name in shared.keys() {
        ensure!(used.contains(name.as_str()), "nobody uses {name}, which the workspace lists");
    }
    Ok(())
}
