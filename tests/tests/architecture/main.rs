//! The layout of the workspace, held against what cargo and the sources say: which package imports
//! which, where drivers live, and that lints, versions and the licence come from the workspace.

mod circles;
mod names;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// What each package imports of ours: what it is built on, and what only its tests add. A line that
/// allows more than there is fails as much as one that is missing, so that this list is the map.
const IMPORTS: [(&str, &[&str], &[&str]); 16] = [
    ("events", &[], &[]),
    ("ledger", &["events"], &["servers"]),
    ("views", &["events"], &[]),
    ("sandbox", &[], &[]),
    ("servers", &[], &[]),
    ("platform", &["events"], &[]),
    ("command-api", &["events", "ledger", "platform", "sandbox"], &["servers"]),
    ("executor", &["events", "ledger", "platform", "sandbox"], &["servers"]),
    ("projector", &["events", "ledger", "platform", "views"], &["servers"]),
    ("load-generator", &["events", "ledger", "platform"], &[]),
    ("provisioner", &["events", "ledger", "platform"], &["servers"]),
    ("query-api", &["events", "ledger", "platform", "sandbox", "views"], &["servers"]),
    ("client", &[], &[]),
    ("runledger", &["client", "events", "platform"], &[]),
    ("dev", &["client", "servers"], &["platform"]),
    ("blackbox", &["client", "events", "platform", "servers"], &["sandbox"]),
];

/// The homes of drivers.
const DRIVERS: [(&str, &[&str]); 4] = [
    ("async-nats", &["ledger"]),
    ("sqlx", &["views"]),
    ("mongodb", &["views"]),
    ("bollard", &["executor"]),
];

/// The package that may use every driver, because it looks at the servers from outside.
const OUTSIDER: &str = "blackbox";

/// What `events` must not have: it is pure.
const IMPURE: [&str; 6] = ["tokio", "rand", "reqwest", "tracing", "futures", "async-trait"];

fn workspace_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a member lies in the workspace")
}

fn workspace() -> Result<Metadata> {
    let manifest = workspace_root().join("Cargo.toml");
    MetadataCommand::new().manifest_path(manifest).no_deps().exec().context("cargo metadata")
}

/// The names of what a package depends on in these ways.
fn imports<'a>(package: &'a Package, kinds: &[DependencyKind]) -> BTreeSet<&'a str> {
    let wanted = package.dependencies.iter().filter(|it| kinds.contains(&it.kind));
    wanted.map(|dependency| dependency.name.as_str()).collect()
}

const PRODUCT: [DependencyKind; 2] = [DependencyKind::Normal, DependencyKind::Build];
const TESTS: [DependencyKind; 1] = [DependencyKind::Development];

fn read_toml(path: &Path) -> Result<toml::Table> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    text.parse().with_context(|| format!("parse {}", path.display()))
}

#[test]
fn every_import_is_on_the_map_and_everything_on_the_map_is_imported() -> Result<()> {
    let metadata = workspace()?;
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|it| it.name.as_str()).collect();
    let mut map = BTreeMap::from(IMPORTS.map(|(name, product, tests)| (name, (product, tests))));

    for package in &metadata.packages {
        let name = package.name.as_str();
        let of_ours = |kinds| &imports(package, kinds) & &ours;
        let product = of_ours(&PRODUCT);
        let mut tests = &of_ours(&TESTS) - &product;
        // A package that tests itself with other features imports itself.
        tests.remove(name);

        let (for_product, for_tests) =
            map.remove(name).with_context(|| format!("{name} is not on the map"))?;
        let on_map = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<&str>>();
        ensure!(product == on_map(for_product), "{name} imports {product:?}");
        ensure!(tests == on_map(for_tests), "the tests of {name} import {tests:?} in addition");
    }
    ensure!(map.is_empty(), "these packages are gone: {:?}", map.keys());
    Ok(())
}

#[test]
fn every_driver_is_used_at_its_homes_and_nowhere_else() -> Result<()> {
    let metadata = workspace()?;
    let inside = || metadata.packages.iter().filter(|package| package.name.as_str() != OUTSIDER);

    for (driver, homes) in DRIVERS {
        let uses = |package: &&Package| {
            package.dependencies.iter().any(|dependency| dependency.name == driver)
        };
        let users: BTreeSet<&str> = inside().filter(uses).map(|it| it.name.as_str()).collect();
        ensure!(users == homes.iter().copied().collect(), "{driver} is used in {users:?}");
    }
    Ok(())
}

#[test]
fn the_vocabulary_is_pure() -> Result<()> {
    let metadata = workspace()?;
    let events = metadata.packages.iter().find(|package| package.name.as_str() == "events");
    let events = events.context("there is no package events")?;

    let impure = &imports(events, &PRODUCT) & &BTreeSet::from(IMPURE);
    ensure!(impure.is_empty(), "events must not use {impure:?}");
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
                // A package that tests itself with other features names itself by its path, without
                // a version.
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
    let all = [PRODUCT.as_slice(), &TESTS].concat();
    let used: BTreeSet<&str> =
        metadata.packages.iter().flat_map(|package| imports(package, &all)).collect();

    for name in shared.keys() {
        ensure!(used.contains(name.as_str()), "the workspace lists {name}, which no package uses");
    }
    Ok(())
}
