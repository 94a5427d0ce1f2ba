//! All languages: reads, parses and checks the table of languages, and finds a language by any of
//! its names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Deserialize;

use super::language::Language;
use super::template;

const BUILTIN: &str = include_str!("../../languages.toml");

/// The languages, in the order of the file.
#[derive(Clone, Debug)]
pub struct Catalog {
    languages: Vec<Language>,
    by_name: BTreeMap<String, usize>,
}

/// `[languages]`: which table is in force. Every service of an installation reads the same section.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguagesConfig {
    /// The table's file, in the form of `languages.toml`; the one that is built in if absent.
    pub file: Option<PathBuf>,
}

/// Why the configured table of languages cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum CatalogFileError {
    /// It cannot be read.
    #[error("cannot read the table of languages {}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    /// It is refused.
    #[error("{} is not a sound table of languages", path.display())]
    Unsound { path: PathBuf, source: Box<CatalogError> },
}

/// Why a table of languages is refused.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The text is not TOML, or not the TOML of this table.
    #[error("malformed table of languages")]
    Malformed(#[from] toml::de::Error),
    /// An entry lacks a member, or has one that is unknown or of a wrong type.
    #[error("the entry of language {slug} is malformed")]
    Language {
        /// The language's slug, if it has one.
        slug: String,
        /// What is wrong with it.
        source: toml::de::Error,
    },
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
    /// A pool that cannot stand in a subject.
    #[error("{slug:?} has the pool {pool:?}, which is not written like a slug")]
    Pool {
        /// The language's slug.
        slug: String,
        /// The pool.
        pool: String,
    },
    /// A file that a submission could not have.
    #[error("{slug:?} has the source file {source_file:?}, which is not a plain name")]
    SourceFile {
        /// The language's slug.
        slug: String,
        /// The file's name.
        source_file: String,
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
    compile_limits: toml::Table,
    language: Vec<toml::Table>,
}

impl Catalog {
    /// The languages that this build knows.
    pub fn builtin() -> Self {
        Self::parse(BUILTIN).expect("languages.toml is tested")
    }

    /// Loads the table that the configuration names.
    pub fn load(config: &LanguagesConfig) -> Result<Self, CatalogFileError> {
        let Some(path) = config.file.clone() else { return Ok(Self::builtin()) };
        match std::fs::read_to_string(&path) {
            Err(source) => Err(CatalogFileError::Unreadable { path, source }),
            Ok(text) => Self::parse(&text)
                .map_err(|error| CatalogFileError::Unsound { path, source: Box::new(error) }),
        }
    }

    /// Parses and checks a table.
    pub fn parse(text: &str) -> Result<Self, CatalogError> {
        let table: CatalogTable = toml::from_str(text)?;
        let mut catalog = Self { languages: Vec::new(), by_name: BTreeMap::new() };
        for mut language in table.language {
            // The table's limits are those of every language that has none of its own.
            let limits = language.entry("compile_limits");
            limits.or_insert_with(|| table.compile_limits.clone().into());
            let slug = language.get("slug").map(toml::Value::to_string).unwrap_or_default();
            let language = language.try_into();
            catalog.add(language.map_err(|source| CatalogError::Language { slug, source })?)?;
        }
        catalog.check_foreign_names()?;
        Ok(catalog)
    }

    /// Finds a language by its slug or an alias, in any case of letters.
    pub fn find(&self, name: &str) -> Option<&Language> {
        self.by_name.get(&name.to_ascii_lowercase()).map(|index| &self.languages[*index])
    }

    /// All languages, in the order of the file.
    pub fn languages(&self) -> &[Language] {
        &self.languages
    }

    fn add(&mut self, language: Language) -> Result<(), CatalogError> {
        let slug = || language.slug.clone();
        if !is_slug(&language.slug) {
            return Err(CatalogError::Slug { slug: slug() });
        }
        if !is_slug(&language.pool) {
            return Err(CatalogError::Pool { slug: slug(), pool: language.pool.clone() });
        }
        if !is_plain_file(&language.source_file) {
            let source_file = language.source_file.clone();
            return Err(CatalogError::SourceFile { slug: slug(), source_file });
        }
        check_command(&language.slug, &language.run, template::IN_RUN)?;
        if let Some(compile) = &language.compile {
            check_command(&language.slug, compile, template::IN_COMPILE)?;
        }
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

fn is_slug(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let starts_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    starts_well && text.len() <= 32 && text.bytes().all(plain)
}

/// Stricter than what clients may call their files, so that no table brings a name that is refused.
fn is_plain_file(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let starts_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    starts_well && name.len() <= 64 && name.bytes().all(plain)
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
