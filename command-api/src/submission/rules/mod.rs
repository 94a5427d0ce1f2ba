//! The rules of a submission: a draft becomes a valid submission, or the list of all its faults.

mod arguments;
mod cases;
mod encoding;
mod limits;
mod program;
#[cfg(test)]
mod tests;

use events::event::LanguageRef;
use events::{Content, EndUser, LimitPolicy};
use platform::json::{Faults, JsonPointer};
use sandbox::languages::{Catalog, Language};

use self::arguments::{check_args, check_compiler_options};
use self::cases::{check_cases, check_checker};
use self::encoding::Encoding;
use self::limits::{requested_limits, resolve_limits};
use self::program::check_program;
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
    pub fn validate(&self, draft: Draft) -> Result<ValidSubmission, Faults> {
        // The order of these calls is the order of the faults in the answer.
        let mut faults = Faults::default();
        let encoding = Encoding::from_name(draft.encoding.as_deref(), &mut faults);
        let language = self.find_language(&draft.language, &mut faults);
        // With an unknown language the name does not matter: the submission is refused in any case.
        let entry = language.map_or("main", |language| language.source_file.as_str());
        let files = check_program(draft.source, draft.files, entry, encoding, &mut faults);
        let stdin = check_stdin(draft.stdin, draft.cases.is_some(), encoding, &mut faults);
        let args = check_args(draft.args, &mut faults);
        let compiler_options = check_compiler_options(draft.compiler_options, &mut faults);
        let asked = draft.limits.map(|object| object.0).unwrap_or_default();
        let limits = resolve_limits(self.policy, asked, &mut faults);
        let checker = check_checker(draft.checker, &mut faults);
        let cases = check_cases(draft.cases, encoding, &mut faults);
        let end_user = check_end_user(draft.end_user, &mut faults);
        match language {
            Some(language) if faults.is_empty() => Ok(ValidSubmission {
                language: reference(language),
                pool: language.pool.parse().expect("the catalog checks every pool"),
                files,
                stdin,
                args,
                compiler_options,
                limits_asked: requested_limits(asked),
                limits,
                cases,
                checker,
                stop_on_first_failure: draft.stop_on_first_failure.unwrap_or_default(),
                end_user,
            }),
            Some(_) | None => Err(faults),
        }
    }

    fn find_language(&self, name: &str, faults: &mut Faults) -> Option<&Language> {
        let language = self.catalog.find(name);
        if language.is_none() {
            let known: Vec<&str> =
                self.catalog.languages().iter().map(|language| language.slug.as_str()).collect();
            let detail = format!("is not a known language; the languages are {}", known.join(", "));
            faults.push(&JsonPointer::root().key("language"), detail);
        }
        language
    }
}

fn reference(language: &Language) -> LanguageRef {
    let slug = language.slug.parse().expect("the catalog checks every slug");
    LanguageRef { slug, version: language.version.clone() }
}

fn check_end_user(end_user: Option<String>, faults: &mut Faults) -> Option<EndUser> {
    let parsed = end_user.map(EndUser::try_from).transpose();
    parsed.unwrap_or_else(|error| {
        faults.push(&JsonPointer::root().key("end_user"), error.to_string());
        None
    })
}

/// Takes the standard input of a run. Each case has its own.
fn check_stdin(
    stdin: Option<String>,
    has_cases: bool,
    encoding: Encoding,
    faults: &mut Faults,
) -> Content {
    let at = JsonPointer::root().key("stdin");
    let stdin = stdin.unwrap_or_default();
    if has_cases && !stdin.is_empty() {
        faults.push(&at, "must be left out where there are cases: each case has its own stdin");
    }
    encoding.decode(stdin, &at, faults)
}
