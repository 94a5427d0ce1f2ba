//! What the tree is built from: one TLS stack, and licences that allow it to be shipped. Read from what cargo resolves for Linux.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use blackbox::servers::workspace_root;

/// Crates that bring a second TLS stack. Two rustls providers in one tree panic at the first use.
const BANNED: [&str; 3] = ["ring", "openssl-sys", "native-tls"];

/// Licences that ask for nothing but their notice.
const LICENCES: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Zlib",
];

/// Every crate that is built, with its licence. `cargo metadata` would also name those that only a weak feature could bring.
fn built() -> Result<BTreeMap<String, String>> {
    let target = "x86_64-unknown-linux-gnu";
    let output = Command::new(env!("CARGO"))
        .current_dir(workspace_root())
        .args([
            "tree",
            "--workspace",
            "--target",
            target,
            "--prefix",
            "none",
            "--format",
            "{p}|{l}",
        ])
        .output()
        .context("run cargo tree")?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout)?;
    let crates = lines.lines().filter_map(|line| line.split_once('|'));
    Ok(crates.map(|(name, licence)| (name.to_owned(), licence.to_owned())).collect())
}

/// Whether one of the choices that an SPDX expression offers is allowed in all of its parts.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    expression.split(" OR ").any(|choice| {
        let mut parts = choice.split(" AND ").map(|part| part.trim_matches([' ', '(', ')']));
        parts.all(|part| LICENCES.contains(&part))
    })
}

#[test]
fn there_is_one_tls_stack() -> Result<()> {
    let built = built()?;
    let named = |name: &str| built.keys().any(|line| line.split(' ').next() == Some(name));
    ensure!(named("aws-lc-rs"), "the tree has rustls on aws-lc-rs");
    let banned: Vec<_> = BANNED.into_iter().filter(|name| named(name)).collect();
    ensure!(banned.is_empty(), "turn off the features that bring {banned:?}");
    Ok(())
}

#[test]
fn every_licence_is_permissive() -> Result<()> {
    let built = built()?;
    let others: Vec<_> =
        built.iter().filter(|(_, licence)| !is_allowed(licence.trim_end_matches(" (*)"))).collect();
    ensure!(others.is_empty(), "look at these licences, then list or drop them: {others:#?}");
    Ok(())
}
