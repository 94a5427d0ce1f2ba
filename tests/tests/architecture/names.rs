//! One type name, one meaning: a reader who meets a name need not ask which of two things it stands
//! for.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use syn::visit::{self, Visit};
use syn::{Ident, ItemEnum, ItemStruct, ItemTrait, ItemType};

use crate::source::targets;

/// Names that every crate may use for its own thing, because a reader expects one in each.
const CONVENTIONAL: [(&str, &str); 1] =
    [("Config", "each service has one, `config.rs` is its home, and no service imports another")];

/// The files in which each type name is defined.
#[derive(Default)]
struct Definitions<'a> {
    file: &'a str,
    places: BTreeMap<String, Vec<&'a str>>,
}

impl Definitions<'_> {
    fn define(&mut self, name: &Ident) {
        self.places.entry(name.to_string()).or_default().push(self.file);
    }
}

impl<'ast> Visit<'ast> for Definitions<'_> {
    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        self.define(&item.ident);
    }

    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        self.define(&item.ident);
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        self.define(&item.ident);
        // A default method may define a type of its own.
        visit::visit_item_trait(self, item);
    }

    fn visit_item_type(&mut self, item: &'ast ItemType) {
        self.define(&item.ident);
    }
}

#[test]
fn one_type_name_has_one_meaning() -> Result<()> {
    let targets = targets()?;
    let mut definitions = Definitions::default();
    for module in targets.iter().flat_map(|target| &target.modules) {
        definitions.file = &module.file;
        module.items.iter().for_each(|item| definitions.visit_item(item));
    }
    ensure!(definitions.places.len() > 100, "the reading of the sources has gone wrong");

    definitions.places.retain(|_, files| files.len() > 1);
    let mut ambiguous = definitions.places;
    for (name, reason) in CONVENTIONAL {
        let excused = ambiguous.remove(name).is_some();
        ensure!(excused, "{name} needs no excuse any more ({reason}): drop its line");
    }
    ensure!(ambiguous.is_empty(), "these names stand for several types each: {ambiguous:#?}");
    Ok(())
}
