//! From an accepted submission to what a cell is asked: command lines, limits, the checker and the
//! memory that the container needs. Pure; tells what cannot be run here from what can be run
//! nowhere.

use events::event::Accepted;
use events::{LanguageSlug, Limits, PoolName};
use sandbox::languages::{Catalog, Language};
use sandbox::protocol::{CellFile, Stage, StageLimits};

use super::checkers::{Comparison, ToleranceError};

/// How a submission is run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The version of the language that runs it: the accepted one, or a newer one.
    pub language_version: String,
    /// The image that has its language.
    pub image: String,
    /// The compiler's run, for languages that have one.
    pub compile: Option<Stage>,
    /// How outputs are compared.
    pub comparison: Comparison,
    run_argv: Vec<String>,
    limits: StageLimits,
}

/// Why a submission is not run here.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum PlanError {
    /// Another executor may run it.
    #[error(transparent)]
    NotHere(#[from] NotHere),
    /// No executor of this release can run it.
    #[error(transparent)]
    Never(#[from] Unrunnable),
}

/// What this executor lacks. Tables of languages differ while a deploy rolls.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum NotHere {
    /// No language of the catalogue has this slug.
    #[error("there is no language {0} here")]
    NoLanguage(LanguageSlug),
    /// The language is here in another version.
    #[error("{slug} is here in version {here}, and was accepted in version {accepted}")]
    OtherVersion { slug: LanguageSlug, here: String, accepted: String },
    /// The language belongs to another pool here: the cells do not have it.
    #[error("{slug} belongs to pool {here} here, and was accepted for pool {accepted}")]
    OtherPool { slug: LanguageSlug, here: String, accepted: PoolName },
}

/// Why no executor of this release can run a submission as it is written.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unrunnable {
    /// There is no file to run.
    #[error("there is no file")]
    NoFile,
    /// A checker that cannot be used.
    #[error(transparent)]
    Checker(#[from] ToleranceError),
}

impl Plan {
    /// Plans how a submission is run: by the language that it was accepted for, or, where
    /// `newer_may_run` says so, by a newer version of it.
    pub fn for_submission(
        accepted: &Accepted,
        catalog: &Catalog,
        newer_may_run: impl FnOnce() -> bool,
    ) -> Result<Self, PlanError> {
        let language = find_language(accepted, catalog, newer_may_run)?;
        Ok(Self::by_language(accepted, language)?)
    }

    fn by_language(accepted: &Accepted, language: &Language) -> Result<Self, Unrunnable> {
        // The first file is the one that is run; the others are what it imports.
        let names: Vec<&str> = accepted.files.iter().map(|file| file.name.as_str()).collect();
        let entry = names.first().ok_or(Unrunnable::NoFile)?;
        let compile = language.compile_argv(&names, &accepted.compiler_options).map(|argv| Stage {
            argv,
            stdin: Vec::new(),
            // Not the submission's: a program with a small memory limit needs a compiler all the
            // same.
            limits: language.compile_limits,
        });
        Ok(Self {
            language_version: language.version.clone(),
            image: language.image.clone(),
            compile,
            comparison: Comparison::try_from(&accepted.checker)?,
            run_argv: language.run_argv(entry, &accepted.args),
            limits: stage_limits(accepted.limits),
        })
    }

    /// Returns the memory that a container needs for the compiler or the program, see
    /// [`memory_bytes`].
    pub fn memory_bytes(&self) -> u64 {
        let compiler = self.compile.as_ref().map_or(0, memory_bytes);
        compiler.max(memory_bytes(&self.stage(Vec::new())))
    }

    /// Returns the program's run on an input.
    pub fn stage(&self, stdin: Vec<u8>) -> Stage {
        Stage { argv: self.run_argv.clone(), stdin, limits: self.limits }
    }
}

fn find_language<'a>(
    accepted: &Accepted,
    catalog: &'a Catalog,
    newer_may_run: impl FnOnce() -> bool,
) -> Result<&'a Language, NotHere> {
    let slug = &accepted.language.slug;
    // The catalogue also finds aliases, which are for clients. An event with one was not resolved.
    let language = catalog.find(slug.as_str()).filter(|language| language.slug == slug.as_str());
    let language = language.ok_or_else(|| NotHere::NoLanguage(slug.clone()))?;
    if language.pool != accepted.pool.as_str() {
        let (here, accepted) = (language.pool.clone(), accepted.pool.clone());
        return Err(NotHere::OtherPool { slug: slug.clone(), here, accepted });
    }
    let (here, wanted) = (&language.version, &accepted.language.version);
    if here == wanted || (is_newer(here, wanted) && newer_may_run()) {
        return Ok(language);
    }
    let (here, accepted) = (here.clone(), wanted.clone());
    Err(NotHere::OtherVersion { slug: slug.clone(), here, accepted })
}

/// Tells whether a version is newer than another one. Of versions that are not numbers and dots,
/// that cannot be told.
fn is_newer(version: &str, other: &str) -> bool {
    let numbers = |text: &str| text.split('.').map(str::parse).collect::<Result<Vec<u32>, _>>();
    matches!((numbers(version), numbers(other)), (Ok(version), Ok(other)) if version > other)
}

/// Bytes of `cell-init` that the configured overhead has room for.
const BUFFERS_BYTES_FREE: u64 = 8 * 1024 * 1024;

/// Returns the memory that a container needs for a stage, without the configured overhead, in
/// bytes: the stage's limit, and what `cell-init` must hold beyond the usual. Without that,
/// `cell-init` would be ended for want of memory, and the program would be blamed.
pub fn memory_bytes(stage: &Stage) -> u64 {
    // Two outputs, each as captured, as a message and as a frame. One input, as it came, as a
    // message and as the program's file.
    let outputs = 6 * u64::from(stage.limits.output_bytes);
    let buffers = outputs + 3 * stage.stdin.len() as u64;
    u64::from(stage.limits.memory_kib) * 1024 + buffers.saturating_sub(BUFFERS_BYTES_FREE)
}

/// Returns the memory that a container needs to have files written, see [`memory_bytes`].
pub fn files_bytes(files: &[CellFile]) -> u64 {
    // They pass the same buffers as an input, and stay in /box.
    let bytes: u64 = files.iter().map(|file| file.content.len() as u64).sum();
    (4 * bytes).saturating_sub(BUFFERS_BYTES_FREE)
}

fn stage_limits(limits: Limits) -> StageLimits {
    let Limits {
        cpu_time_ms,
        wall_time_ms,
        memory_kib,
        stack_kib,
        output_bytes,
        file_size_kib,
        processes,
    } = limits;
    StageLimits {
        cpu_time_ms,
        wall_time_ms,
        memory_kib,
        stack_kib,
        output_bytes,
        file_size_kib,
        processes,
    }
}

#[cfg(test)]
mod tests {
    use events::event::Checker;

    use super::*;
    use crate::testing::accepted;

    fn plan(accepted: &Accepted) -> Result<Plan, PlanError> {
        Plan::for_submission(accepted, &Catalog::builtin(), || false)
    }

    #[test]
    fn an_interpreted_language_is_run_as_its_table_says() {
        let plan = plan(&accepted("python")).unwrap();
        assert_eq!(plan.image, "core");
        assert!(plan.compile.is_none());
        let stage = plan.stage(b"in".to_vec());
        assert_eq!(stage.argv, ["python3", "main.txt"]);
        assert_eq!(stage.stdin, b"in");
        assert_eq!(stage.limits.memory_kib, accepted("python").limits.memory_kib);
    }

    #[test]
    fn a_compiled_language_has_its_compiler_s_own_limits() {
        let mut submission = accepted("cpp");
        submission.limits.memory_kib = 16 * 1024;
        submission.compiler_options = vec!["-Wall".to_owned()];
        let compile = plan(&submission).unwrap().compile.unwrap();
        assert!(compile.argv.contains(&"-Wall".to_owned()));
        assert!(compile.limits.memory_kib >= 512 * 1024);
    }

    #[test]
    fn what_this_executor_lacks_is_not_here() {
        let lacks = |submission: &Accepted| match plan(submission) {
            Err(PlanError::NotHere(lack)) => lack,
            other => panic!("{other:?}"),
        };
        let mut unknown = accepted("python");
        unknown.language.slug = "cobol".parse().unwrap();
        assert!(matches!(lacks(&unknown), NotHere::NoLanguage(_)));

        // An alias is for clients; an event has the slug.
        unknown.language.slug = "python3".parse().unwrap();
        assert!(matches!(lacks(&unknown), NotHere::NoLanguage(_)));

        let mut older = accepted("python");
        older.language.version = "2.7".to_owned();
        assert!(matches!(lacks(&older), NotHere::OtherVersion { .. }));

        let moved = Accepted { pool: "extra".parse().unwrap(), ..accepted("python") };
        assert!(matches!(lacks(&moved), NotHere::OtherPool { .. }));
    }

    #[test]
    fn a_newer_version_may_stand_in_and_an_older_one_never() {
        let by = |version: &str| {
            let mut submission = accepted("python");
            submission.language.version = version.to_owned();
            Plan::for_submission(&submission, &Catalog::builtin(), || true)
        };
        for older in ["3.10", "3", "2.7.18", "3.9"] {
            assert_eq!(by(older).unwrap().language_version, "3.11", "{older}");
        }
        for other in ["3.12", "3.11.1", "4", "3.11-rc1", ""] {
            assert!(matches!(by(other), Err(PlanError::NotHere(_))), "{other}");
        }
    }

    #[test]
    fn what_cannot_be_run_as_it_is_written_is_refused() {
        let mut vague = accepted("python");
        vague.checker = Checker::Floats { tolerance: "much".to_owned() };
        assert!(matches!(plan(&vague), Err(PlanError::Never(Unrunnable::Checker(_)))));

        let empty = Accepted { files: Vec::new(), ..accepted("python") };
        assert_eq!(plan(&empty).unwrap_err(), PlanError::Never(Unrunnable::NoFile));
    }

    #[test]
    fn large_outputs_and_inputs_raise_the_container_s_limit_and_not_the_program_s() {
        let plan = plan(&accepted("python")).unwrap();
        let mut stage = plan.stage(Vec::new());
        let usual = u64::from(stage.limits.memory_kib) * 1024;
        assert_eq!(memory_bytes(&stage), usual);
        stage.limits.output_bytes = 4 * 1024 * 1024;
        assert_eq!(memory_bytes(&stage), usual + 16 * 1024 * 1024);
    }
}
