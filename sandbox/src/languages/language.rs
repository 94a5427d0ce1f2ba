//! One language.

use serde::Deserialize;

use super::template;
use crate::protocol::StageLimits;

/// A language that submissions can be written in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Language {
    /// Its name in our API and in events, as `cpp`.
    pub slug: String,
    /// Its name for people, as `C++`.
    pub name: String,
    /// Other names that clients may use.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The version of its compiler or interpreter.
    pub version: String,
    /// The executor pool that runs it.
    #[serde(default = "core")]
    pub pool: String,
    /// The image that has it.
    #[serde(default = "core")]
    pub image: String,
    /// The entry file's name for a client that sends only a source.
    pub source_file: String,
    /// Extensions of the files that its compiler or interpreter takes.
    pub extensions: Vec<String>,
    /// The compiler's limits.
    pub compile_limits: StageLimits,
    /// Judge0's ids for it.
    #[serde(default)]
    pub judge0_ids: Vec<u16>,
    /// Piston's names for it.
    pub piston: Option<PistonName>,
    pub(super) compile: Option<Vec<String>>,
    pub(super) run: Vec<String>,
}

/// How Piston's clients name a language.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PistonName {
    /// Its name.
    pub language: String,
    /// Its other names.
    pub aliases: Vec<String>,
}

/// The pool and the image of a language that names none.
fn core() -> String {
    "core".to_owned()
}

impl Language {
    /// Tells whether programs are compiled before they run.
    pub fn is_compiled(&self) -> bool {
        self.compile.is_some()
    }

    /// Returns the compiler's command line for a submission's files, of which the first is the
    /// entry, and the user's options; nothing for a language without a compiler.
    pub fn compile_argv<F, O>(&self, files: &[F], options: &[O]) -> Option<Vec<String>>
    where
        F: AsRef<str>,
        O: AsRef<str>,
    {
        let compile = self.compile.as_ref()?;
        let entry = files.first().map_or(self.source_file.as_str(), AsRef::as_ref);
        let sources = self.sources(entry, files);
        Some(template::render(compile, entry, &sources, &collect(options)))
    }

    /// Returns the program's command line for an entry file and the user's arguments.
    pub fn run_argv<A: AsRef<str>>(&self, entry: &str, arguments: &[A]) -> Vec<String> {
        let mut argv = template::render(&self.run, entry, &[], &[]);
        argv.extend(collect(arguments));
        argv
    }

    fn sources<F: AsRef<str>>(&self, entry: &str, files: &[F]) -> Vec<String> {
        // A header or a data file must not stand on the compiler's command line. The entry always
        // stands there: the user chose it, whatever its extension.
        let others =
            files.iter().skip(1).map(AsRef::as_ref).filter(|file| self.has_extension(file));
        std::iter::once(entry).chain(others).map(template::as_operand).collect()
    }

    fn has_extension(&self, file: &str) -> bool {
        let extension = file.rsplit_once('.').map(|(_, extension)| extension);
        self.extensions.iter().any(|known| Some(known.as_str()) == extension)
    }
}

fn collect<S: AsRef<str>>(strings: &[S]) -> Vec<String> {
    strings.iter().map(|string| string.as_ref().to_owned()).collect()
}
