//! The body of `POST /v1/submissions` as to its form: members, types, nothing unknown. Whether the values make sense is
//! [`rules`](super::rules)' business.

mod checker;
mod whole;
mod words;

use platform::json::{ObjectReader, ReadObject};

pub(crate) use self::checker::DraftChecker;
pub(crate) use self::whole::WholeNumber;
pub(crate) use self::words::Words;

/// A submission whose members have the right types.
#[derive(Debug, Default)]
pub struct Draft {
    pub(crate) language: String,
    pub(crate) source: Option<String>,
    pub(crate) files: Option<Vec<DraftFile>>,
    pub(crate) stdin: Option<String>,
    pub(crate) args: Vec<String>,
    pub(crate) compiler_options: Words,
    pub(crate) limits: DraftLimits,
    pub(crate) cases: Option<Vec<DraftCase>>,
    pub(crate) checker: Option<DraftChecker>,
    pub(crate) stop_on_first_failure: bool,
    pub(crate) encoding: Option<String>,
}

/// One member of `files`.
#[derive(Debug, Default)]
pub(crate) struct DraftFile {
    pub(crate) name: String,
    pub(crate) content: String,
}

/// One member of `cases`.
#[derive(Debug, Default)]
pub(crate) struct DraftCase {
    pub(crate) stdin: Option<String>,
    pub(crate) expected: String,
    pub(crate) points: Option<WholeNumber>,
    pub(crate) name: Option<String>,
}

/// The member `limits`.
#[derive(Debug, Default)]
pub(crate) struct DraftLimits {
    pub(crate) cpu_time_ms: Option<WholeNumber>,
    pub(crate) wall_time_ms: Option<WholeNumber>,
    pub(crate) memory_kib: Option<WholeNumber>,
    pub(crate) stack_kib: Option<WholeNumber>,
    pub(crate) output_bytes: Option<WholeNumber>,
    pub(crate) file_size_kib: Option<WholeNumber>,
    pub(crate) processes: Option<WholeNumber>,
}

impl ReadObject for Draft {
    fn read(object: &mut ObjectReader<'_>) -> Self {
        Self {
            language: object.required("language"),
            source: object.optional("source"),
            files: object.objects("files"),
            stdin: object.optional("stdin"),
            args: object.list("args").unwrap_or_default(),
            compiler_options: object.optional("compiler_options").unwrap_or_default(),
            limits: object.object("limits").unwrap_or_default(),
            cases: object.objects("cases"),
            checker: object.optional("checker"),
            stop_on_first_failure: object.optional("stop_on_first_failure").unwrap_or_default(),
            encoding: object.optional("encoding"),
        }
    }
}

impl ReadObject for DraftFile {
    fn read(object: &mut ObjectReader<'_>) -> Self {
        Self { name: object.required("name"), content: object.required("content") }
    }
}

impl ReadObject for DraftCase {
    fn read(object: &mut ObjectReader<'_>) -> Self {
        Self {
            stdin: object.optional("stdin"),
            expected: object.required("expected"),
            points: object.optional("points"),
            name: object.optional("name"),
        }
    }
}

impl ReadObject for DraftLimits {
    fn read(object: &mut ObjectReader<'_>) -> Self {
        Self {
            cpu_time_ms: object.optional("cpu_time_ms"),
            wall_time_ms: object.optional("wall_time_ms"),
            memory_kib: object.optional("memory_kib"),
            stack_kib: object.optional("stack_kib"),
            output_bytes: object.optional("output_bytes"),
            file_size_kib: object.optional("file_size_kib"),
            processes: object.optional("processes"),
        }
    }
}
