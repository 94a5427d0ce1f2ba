//! The languages that submissions can be written in.

use sandbox::languages::{Catalog, Language};
use serde::Serialize;

/// The body of `GET /v1/languages`.
#[derive(Debug, Serialize)]
pub(crate) struct LanguagesBody<'a> {
    languages: Vec<KnownLanguageBody<'a>>,
}

#[derive(Debug, Serialize)]
struct KnownLanguageBody<'a> {
    slug: &'a str,
    name: &'a str,
    version: &'a str,
    aliases: &'a [String],
    source_file: &'a str,
    extensions: &'a [String],
    compiled: bool,
}

impl<'a> From<&'a Catalog> for LanguagesBody<'a> {
    fn from(catalog: &'a Catalog) -> Self {
        Self { languages: catalog.languages().iter().map(KnownLanguageBody::from).collect() }
    }
}

impl<'a> From<&'a Language> for KnownLanguageBody<'a> {
    fn from(language: &'a Language) -> Self {
        Self {
            slug: &language.slug,
            name: &language.name,
            version: &language.version,
            aliases: &language.aliases,
            source_file: &language.source_file,
            extensions: &language.extensions,
            compiled: language.is_compiled(),
        }
    }
}
