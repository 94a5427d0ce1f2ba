//! The rules of a submission: a draft becomes a valid submission, or the list of all its faults.

mod cases;
mod encoding;
mod files;
mod limits;
mod strings;
#[cfg(test)]
mod tests;

use events::LimitPolicy;
use events::event::LanguageRef;
use platform::json::{Faults, Pointer};
use sandbox::languages::{Catalog, Language};

use self::encoding::Encoding;
use super::draft::Draft;
use super::request::ValidSubmission;

/// What the rules go by.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The languages there are.
    pub catalog: &'a Catalog,
    /// The bounds of limits.
    pub policy: &'a LimitPolicy,
}

impl Rules<'_> {
    /// Checks a draft against every rule.
    pub fn check(&self, draft: Draft) -> Result<ValidSubmission, Faults> {
        let mut faults = Faults::default();
        let root = Pointer::root();
        let encoding = encoding::check(draft.encoding.as_deref(), &root, &mut faults);
        let language = self.language(&draft.language, &mut faults);
        let entry = language.map_or("main", |language| language.source_file.as_str());
        let given = files::Given { source: draft.source, files: draft.files, entry };
        let valid = ValidSubmission {
            language: reference(language),
            pool: pool(language),
            files: files::check(given, encoding, &mut faults),
            stdin: check_stdin(draft.stdin, draft.cases.is_some(), encoding, &mut faults),
            args: strings::check_args(draft.args, &mut faults),
            compiler_options: strings::check_options(draft.compiler_options.0, &mut faults),
            limits_asked: limits::asked(&draft.limits),
            limits: limits::check(self.policy, &draft.limits, &mut faults),
            checker: cases::check_checker(draft.checker, &mut faults),
            cases: cases::check(draft.cases, encoding, &mut faults),
            stop_on_first_failure: draft.stop_on_first_failure,
        };
        if faults.is_empty() { Ok(valid) } else { Err(faults) }
    }

    fn language(&self, name: &str, faults: &mut Faults) -> Option<&Language> {
        let language = self.catalog.find(name);
        if language.is_none() {
            let known: Vec<&str> =
                self.catalog.iter().map(|language| language.slug.as_str()).collect();
            let detail = format!("is not a language here; there are {}", known.join(", "));
            faults.push(&Pointer::root().key("language"), detail);
        }
        language
    }
}

/// Returns what the accepted event says of the language; anything will do for one that is not known, which is a fault.
fn reference(language: Option<&Language>) -> LanguageRef {
    let (slug, version) =
        language.map_or(("unknown", ""), |known| (known.slug.as_str(), known.version.as_str()));
    let slug = slug.parse().expect("the slugs of languages.toml are checked when it is read");
    LanguageRef { slug, version: version.to_owned() }
}

fn pool(language: Option<&Language>) -> events::PoolName {
    let name = language.map_or("unknown", |known| known.pool.as_str());
    name.parse().expect("languages.toml names pools by plain names, which is tested")
}

/// Standard input of a run. Each case has its own.
fn check_stdin(
    stdin: Option<String>,
    has_cases: bool,
    encoding: Encoding,
    faults: &mut Faults,
) -> Vec<u8> {
    let at = Pointer::root().key("stdin");
    let stdin = stdin.unwrap_or_default();
    if has_cases && !stdin.is_empty() {
        faults.push(&at, "each case has a stdin of its own");
    }
    encoding.decode(stdin, &at, faults)
}
