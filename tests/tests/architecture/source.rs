//! The product code of the workspace as syntax trees: every library and program from its root down,
//! without what only tests are built from.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::TargetKind;
use syn::{Attribute, Item, Meta};

use crate::{OUTSIDER, workspace, workspace_root};

/// A library or a program.
pub(crate) struct Target {
    pub(crate) package: String,
    pub(crate) modules: Vec<Module>,
}

/// A file of a target.
pub(crate) struct Module {
    /// The names of the modules from the target's root down to this one.
    pub(crate) path: Vec<String>,
    /// Where it lies, from the workspace's root.
    pub(crate) file: String,
    pub(crate) items: Vec<Item>,
}

/// Reads every target that is shipped or that a developer runs.
pub(crate) fn targets() -> Result<Vec<Target>> {
    let metadata = workspace()?;
    let mut targets = Vec::new();
    for package in metadata.packages.iter().filter(|it| it.name.as_str() != OUTSIDER) {
        for target in &package.targets {
            let product = [TargetKind::Lib, TargetKind::Bin];
            if !target.kind.iter().any(|kind| product.contains(kind)) {
                continue;
            }
            let mut modules = Vec::new();
            read(target.src_path.as_std_path(), Vec::new(), &mut modules)?;
            targets.push(Target { package: package.name.to_string(), modules });
        }
    }
    Ok(targets)
}

/// Reads a file and the files of the modules that it declares.
fn read(file: &Path, path: Vec<String>, into: &mut Vec<Module>) -> Result<()> {
    let shown = file.strip_prefix(workspace_root())?.display().to_string();
    let text = fs::read_to_string(file).with_context(|| format!("read {shown}"))?;
    let parsed = syn::parse_file(&text).with_context(|| format!("parse {shown}"))?;
    let items: Vec<Item> = parsed.items.into_iter().filter(|item| !is_for_tests(item)).collect();
    for item in &items {
        if let Item::Mod(child) = item
            && child.content.is_none()
        {
            let name = child.ident.to_string();
            let below = [path.as_slice(), std::slice::from_ref(&name)].concat();
            read(&file_of(file, path.is_empty(), &name)?, below, into)?;
        }
    }
    into.push(Module { path, file: shown, items });
    Ok(())
}

/// Where the module lies that a file declares.
fn file_of(declaring: &Path, is_root: bool, name: &str) -> Result<PathBuf> {
    let is_folder = is_root || declaring.file_name().is_some_and(|own| own == "mod.rs");
    let folder = if is_folder {
        declaring.parent().context("no folder")?.to_owned()
    } else {
        declaring.with_extension("")
    };
    let candidates = [folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")];
    let found = candidates.into_iter().find(|path| path.is_file());
    found.with_context(|| format!("{} declares {name}, which has no file", declaring.display()))
}

fn is_for_tests(item: &Item) -> bool {
    let attributes = match item {
        Item::Const(it) => &it.attrs,
        Item::Enum(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Mod(it) => &it.attrs,
        Item::Struct(it) => &it.attrs,
        Item::Trait(it) => &it.attrs,
        Item::Type(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => return false,
    };
    attributes.iter().any(is_test_condition)
}

/// Whether it is `#[cfg(test)]`, or a `cfg` that asks for the feature `testing`.
fn is_test_condition(attribute: &Attribute) -> bool {
    let Meta::List(list) = &attribute.meta else { return false };
    let condition = list.tokens.to_string();
    list.path.is_ident("cfg") && (condition == "test" || condition.contains("\"testing\""))
}
