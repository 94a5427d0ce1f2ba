//! No two files of a crate import each other, by whatever way round: each can be read after those
//! that it builds on. What a module uses of its own children does not count, since the children are
//! its parts.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use syn::visit::Visit;
use syn::{Item, ItemMod, ItemUse, UseTree};

use crate::source::{Module, Target, targets};

/// Circles that are meant: a package, the files, and the reason.
const MEANT: [(&str, &[&str], &str); 0] = [];

type Path = Vec<String>;

/// For each module the modules that it imports.
type Edges<'a> = BTreeMap<&'a Path, BTreeSet<&'a Path>>;

/// Every path that a module writes down.
#[derive(Default)]
struct Written(Vec<Path>);

impl Written {
    fn tree(&mut self, before: &Path, tree: &UseTree) {
        let with = |name: &syn::Ident| [before.as_slice(), &[name.to_string()]].concat();
        match tree {
            UseTree::Path(step) => self.tree(&with(&step.ident), &step.tree),
            UseTree::Name(name) => self.0.push(with(&name.ident)),
            UseTree::Rename(name) => self.0.push(with(&name.ident)),
            UseTree::Glob(_) => self.0.push(before.clone()),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(before, tree)),
        }
    }
}

impl<'ast> Visit<'ast> for Written {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.tree(&Path::new(), &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.0.push(path.segments.iter().map(|step| step.ident.to_string()).collect());
        syn::visit::visit_path(self, path);
    }

    /// A module in the same file is not looked into: what it imports starts from another place.
    fn visit_item_mod(&mut self, _: &'ast ItemMod) {}
}

/// The path from the crate's root, of a path that a module writes; none when it leads to another
/// crate.
fn from_root(module: &Path, written: &[String], known: &BTreeSet<&Path>) -> Option<Path> {
    let (first, rest) = written.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some([module.as_slice(), rest].concat()),
        "super" => {
            let climbs = written.iter().take_while(|step| *step == "super").count();
            let kept = module.len().checked_sub(climbs)?;
            Some([&module[..kept], &written[climbs..]].concat())
        }
        _ => {
            let child = [module.as_slice(), std::slice::from_ref(first)].concat();
            known.contains(&child).then(|| [module.as_slice(), written].concat())
        }
    }
}

fn imports<'a>(module: &Module, known: &BTreeSet<&'a Path>) -> BTreeSet<&'a Path> {
    let mut written = Written::default();
    module.items.iter().for_each(|item: &Item| written.visit_item(item));
    let absolute = written.0.iter().filter_map(|path| from_root(&module.path, path, known));
    absolute
        .filter_map(|path| {
            // The longest beginning that is a module: the rest names something inside of it.
            (0..=path.len()).rev().find_map(|length| known.get(&path[..length].to_vec()).copied())
        })
        .filter(|imported| !imported.starts_with(&module.path))
        .collect()
}

fn reachable<'a>(edges: &Edges<'a>, from: &'a Path) -> BTreeSet<&'a Path> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![from];
    while let Some(module) = waiting.pop() {
        waiting.extend(edges[module].iter().filter(|next| found.insert(**next)));
    }
    found
}

/// The files of every circle of a target.
fn circles(target: &Target) -> BTreeSet<BTreeSet<&str>> {
    let known: BTreeSet<&Path> = target.modules.iter().map(|module| &module.path).collect();
    let files: BTreeMap<&Path, &str> =
        target.modules.iter().map(|module| (&module.path, module.file.as_str())).collect();
    let edges: Edges<'_> =
        target.modules.iter().map(|module| (&module.path, imports(module, &known))).collect();
    let reach: BTreeMap<&Path, _> =
        known.iter().map(|module| (*module, reachable(&edges, module))).collect();

    let around = |module: &&Path| {
        let circle = reach[*module].iter().filter(|other| reach[**other].contains(*module));
        circle.map(|other| files[*other]).collect::<BTreeSet<&str>>()
    };
    known.iter().map(around).filter(|circle| !circle.is_empty()).collect()
}

#[test]
fn no_two_files_import_each_other() -> Result<()> {
    let targets = targets()?;
    let mut found: BTreeSet<(&str, BTreeSet<&str>)> = BTreeSet::new();
    for target in &targets {
        found.extend(circles(target).into_iter().map(|circle| (target.package.as_str(), circle)));
    }
    for (package, files, reason) in MEANT {
        let meant = (package, files.iter().copied().collect());
        ensure!(found.remove(&meant), "{meant:?} is no circle now ({reason}): drop it");
    }
    ensure!(found.is_empty(), "these files import each other: {found:#?}");
    Ok(())
}
