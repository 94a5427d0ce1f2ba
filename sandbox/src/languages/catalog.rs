//! All languages: parses and checks `languages.toml`, and finds a language by any of its names.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::language::{Language, PistonName};
use super::template;
use crate::protocol::StageLimits;

const BUILTIN: &str = include_str!("../../languages.toml");

/// The languages, in the order of the file.
#[derive(Clone, Debug)]
pub struct Catalog {
    languages: Vec<Language>,
    by_name: BTreeMap<String, usize>,
}

/// Why a table of languages is refused.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The text is not TOML, or not the TOML of this table.
    #[error("malformed table of languages")]
    Malformed(#[from] toml::de::Error),
    /// Two languages with one name.
    #[error("the name {name:?} of {slug:?} is taken")]
    NameTaken {
        /// The second language's slug.
        slug: String,
        /// The slug, alias or foreign name.
        name: String,
    },
    /// A slug that cannot stand in a subject, an image's name or a URL.
    #[error(
        "{slug:?} is not a slug: a letter, then up to 31 letters, digits and dashes, all lower case"
    )]
    Slug {
        /// The slug.
        slug: String,
    },
    /// A command line without a program.
    #[error("{slug:?} has an empty command line")]
    EmptyCommand {
        /// The language's slug.
        slug: String,
    },
    /// A placeholder that is unknown or in the wrong place.
    #[error("{slug:?} has an unknown or misplaced placeholder at {placeholder:?}")]
    Placeholder {
        /// The language's slug.
        slug: String,
        /// The text from the placeholder on.
        placeholder: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogTable {
    compile_limits: StageLimits,
    language: Vec<CatalogEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogEntry {
    slug: String,
    name: String,
    version: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default = "core")]
    pool: String,
    #[serde(default = "core")]
    image: String,
    source_file: String,
    extensions: Vec<String>,
    compile: Option<Vec<String>>,
    compile_limits: Option<StageLimits>,
    run: Vec<String>,
    #[serde(default)]
    judge0_ids: Vec<u16>,
    piston: Option<PistonName>,
}

/// The pool and the image of a language that names none.
fn core() -> String {
    "core".to_owned()
}

impl Catalog {
    /// The languages that this build knows.
    pub fn builtin() -> Self {
        Self::parse(BUILTIN).expect("languages.toml is tested")
    }

    /// Parses and checks a table.
    pub fn parse(text: &str) -> Result<Self, CatalogError> {
        let table: CatalogTable = toml::from_str(text)?;
        let mut catalog = Self { languages: Vec::new(), by_name: BTreeMap::new() };
        for entry in table.language {
            catalog.add(entry.into_language(table.compile_limits)?)?;
        }
        catalog.check_foreign_names()?;
        Ok(catalog)
    }

    /// Finds a language by its slug or an alias, in any case of letters.
    pub fn find(&self, name: &str) -> Option<&Language> {
        self.by_name.get(&name.to_ascii_lowercase()).map(|index| &self.languages[*index])
    }

    /// All languages, in the order of the file.
    pub fn iter(&self) -> std::slice::Iter<'_, Language> {
        self.languages.iter()
    }

    fn add(&mut self, language: Language) -> Result<(), CatalogError> {
        let names = std::iter::once(&language.slug).chain(&language.aliases);
        for name in names {
            let taken = self.by_name.insert(name.to_ascii_lowercase(), self.languages.len());
            refuse_taken(taken.is_some(), &language, name)?;
        }
        self.languages.push(language);
        Ok(())
    }

    /// A Judge0 id or a Piston name must mean one language at most.
    fn check_foreign_names(&self) -> Result<(), CatalogError> {
        let mut seen = BTreeSet::new();
        for language in &self.languages {
            let piston = language.piston.iter();
            let piston =
                piston.flat_map(|name| std::iter::once(&name.language).chain(&name.aliases));
            let ids = language.judge0_ids.iter().map(u16::to_string);
            for name in ids.chain(piston.cloned()) {
                refuse_taken(!seen.insert(name.clone()), language, &name)?;
            }
        }
        Ok(())
    }
}

impl<'a> IntoIterator for &'a Catalog {
    type Item = &'a Language;
    type IntoIter = std::slice::Iter<'a, Language>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl CatalogEntry {
    fn into_language(self, compile_limits: StageLimits) -> Result<Language, CatalogError> {
        check_slug(&self.slug)?;
        check_command(&self.slug, &self.run, template::IN_RUN)?;
        if let Some(compile) = &self.compile {
            check_command(&self.slug, compile, template::IN_COMPILE)?;
        }
        Ok(Language {
            slug: self.slug,
            name: self.name,
            aliases: self.aliases,
            version: self.version,
            pool: self.pool,
            image: self.image,
            source_file: self.source_file,
            extensions: self.extensions,
            compile_limits: self.compile_limits.unwrap_or(compile_limits),
            judge0_ids: self.judge0_ids,
            piston: self.piston,
            compile: self.compile,
            run: self.run,
        })
    }
}

fn check_slug(slug: &str) -> Result<(), CatalogError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let starts_well = slug.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    if starts_well && slug.len() <= 32 && slug.bytes().all(plain) {
        Ok(())
    } else {
        Err(CatalogError::Slug { slug: slug.to_owned() })
    }
}

fn check_command(slug: &str, command: &[String], whole: &[&str]) -> Result<(), CatalogError> {
    if command.first().is_none_or(String::is_empty) {
        return Err(CatalogError::EmptyCommand { slug: slug.to_owned() });
    }
    match command.iter().find_map(|element| template::misplaced(element, whole)) {
        Some(placeholder) => Err(CatalogError::Placeholder { slug: slug.to_owned(), placeholder }),
        None => Ok(()),
    }
}

fn refuse_taken(taken: bool, language: &Language, name: &str) -> Result<(), CatalogError> {
    if taken {
        return Err(CatalogError::NameTaken { slug: language.slug.clone(), name: name.to_owned() });
    }
    Ok(())
}
