//! The table of languages, from a configured file or built in, and checked when it is parsed. It
//! says how a language is compiled and run, and keeps out who may use it and where it runs.

mod catalog;
mod language;
mod template;

pub use catalog::{Catalog, CatalogError, CatalogFileError, LanguagesConfig};
pub use language::{Language, PistonName};
