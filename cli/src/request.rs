//! The body of `POST /v1/submissions`, made from what the command line says. Pure: the bytes are read already.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Map, Number, Value};

use crate::failure::Failure;

/// A submission before it is written as JSON.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// The language's slug or alias.
    pub(crate) language: String,
    /// The files' names and bytes; the first is the entry.
    pub(crate) files: Vec<(String, Vec<u8>)>,
    /// Standard input of a run.
    pub(crate) stdin: Option<Vec<u8>>,
    /// Arguments of the program.
    pub(crate) args: Vec<String>,
    /// Options of the compiler.
    pub(crate) compiler_options: Vec<String>,
    /// Limits by name.
    pub(crate) limits: Vec<(String, u64)>,
    /// The cases to judge by.
    pub(crate) cases: Vec<DraftCase>,
    /// How outputs are compared.
    pub(crate) checker: Option<Checker>,
    /// Whether to end at the first case that fails.
    pub(crate) stop_on_first_failure: bool,
}

/// One case.
#[derive(Debug)]
pub(crate) struct DraftCase {
    /// What it is called.
    pub(crate) name: Option<String>,
    /// Standard input.
    pub(crate) stdin: Vec<u8>,
    /// The right output.
    pub(crate) expected: Vec<u8>,
}

/// How outputs are compared: a name, and a tolerance for `floats`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Checker {
    name: String,
    tolerance: Option<Number>,
}

#[derive(Serialize)]
struct Body<'a> {
    language: &'a str,
    files: Vec<FileBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdin: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    args: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    compiler_options: &'a [String],
    #[serde(skip_serializing_if = "Map::is_empty")]
    limits: Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cases: Vec<CaseBody<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checker: Option<Value>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stop_on_first_failure: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
}

#[derive(Serialize)]
struct FileBody<'a> {
    name: &'a str,
    content: String,
}

#[derive(Serialize)]
struct CaseBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    stdin: String,
    expected: String,
}

impl Draft {
    /// Returns the body. Content goes as text, or all of it as base64 where any of it is not UTF-8.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let base64 = !self.contents().all(|bytes| std::str::from_utf8(bytes).is_ok());
        let text = |bytes: &[u8]| {
            if base64 {
                STANDARD.encode(bytes)
            } else {
                String::from_utf8_lossy(bytes).into_owned()
            }
        };
        let files = self.files.iter().map(|(name, bytes)| FileBody { name, content: text(bytes) });
        let cases = self.cases.iter().map(|case| CaseBody {
            name: case.name.as_deref(),
            stdin: text(&case.stdin),
            expected: text(&case.expected),
        });
        let limits = self.limits.iter().map(|(name, value)| (name.clone(), Value::from(*value)));
        let body = Body {
            language: &self.language,
            files: files.collect(),
            stdin: self.stdin.as_deref().map(text),
            args: &self.args,
            compiler_options: &self.compiler_options,
            limits: limits.collect(),
            cases: cases.collect(),
            checker: self.checker.as_ref().map(Checker::to_json),
            stop_on_first_failure: self.stop_on_first_failure,
            encoding: base64.then_some("base64"),
        };
        serde_json::to_vec(&body).expect("every key of the body is a text")
    }

    fn contents(&self) -> impl Iterator<Item = &[u8]> {
        let files = self.files.iter().map(|(_, bytes)| bytes.as_slice());
        let cases = self.cases.iter().flat_map(|case| [&*case.stdin, &*case.expected]);
        files.chain(self.stdin.as_deref()).chain(cases)
    }
}

impl Checker {
    fn to_json(&self) -> Value {
        match &self.tolerance {
            None => Value::from(self.name.as_str()),
            Some(tolerance) => {
                serde_json::json!({ "type": self.name, "tolerance": tolerance })
            }
        }
    }
}

/// Understands `NAME` and `floats:TOLERANCE`.
pub(crate) fn parse_checker(argument: &str) -> Result<Checker, String> {
    let Some((name, tolerance)) = argument.split_once(':') else {
        return Ok(Checker { name: argument.to_owned(), tolerance: None });
    };
    let tolerance = tolerance
        .parse()
        .ok()
        .and_then(Number::from_f64)
        .ok_or("a tolerance is a number, as in floats:1e-6")?;
    Ok(Checker { name: name.to_owned(), tolerance: Some(tolerance) })
}

/// Understands `NAME=VALUE`; which names and values there are is the server's business.
pub(crate) fn parse_limit(argument: &str) -> Result<(String, u64), String> {
    let (name, value) =
        argument.split_once('=').ok_or("a limit is NAME=VALUE, as in cpu_time_ms=2000")?;
    let value = value.parse().map_err(|_nan| format!("{value:?} is not a whole number"))?;
    Ok((name.to_owned(), value))
}

/// Names files as the box will have them: relative to the deepest directory that all of them are in.
pub(crate) fn names_in_box(paths: &[PathBuf]) -> Result<Vec<String>, Failure> {
    let dirs: Vec<Vec<Component<'_>>> = paths
        .iter()
        .map(|path| {
            path.parent().unwrap_or_else(|| Path::new("")).components().filter(is_step).collect()
        })
        .collect();
    let shared = (0..).take_while(|&at| {
        let first = dirs.first().and_then(|dir| dir.get(at));
        first.is_some() && dirs.iter().all(|dir| dir.get(at) == first)
    });
    let shared = shared.count();
    paths
        .iter()
        .zip(&dirs)
        .map(|(path, dir)| name_in_box(path, dir.get(shared..).unwrap_or(&[])))
        .collect()
}

/// `.` leads nowhere.
fn is_step(component: &Component<'_>) -> bool {
    *component != Component::CurDir
}

fn name_in_box(path: &Path, dir: &[Component<'_>]) -> Result<String, Failure> {
    let refuse = |why: &str| Failure::Usage(format!("{}: {why}", path.display()));
    let file = path.file_name().ok_or_else(|| refuse("this is no file"))?;
    if dir.iter().any(|step| !matches!(step, Component::Normal(_))) {
        return Err(refuse("it lies outside the directory of the other files"));
    }
    let steps: Option<Vec<&str>> =
        dir.iter().map(|step| step.as_os_str()).chain([file]).map(OsStr::to_str).collect();
    steps.map(|steps| steps.join("/")).ok_or_else(|| refuse("its name is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(draft: &Draft) -> Value {
        serde_json::from_slice(&draft.to_json()).unwrap()
    }

    #[test]
    fn a_body_has_only_what_was_asked_for() {
        let draft = Draft {
            language: "python".to_owned(),
            files: vec![("main.py".to_owned(), b"print(1)".to_vec())],
            ..Draft::default()
        };
        let expected = serde_json::json!({
            "language": "python", "files": [{ "name": "main.py", "content": "print(1)" }]
        });
        assert_eq!(json(&draft), expected);
    }

    #[test]
    fn one_content_that_is_not_text_makes_all_of_them_base64() {
        let draft = Draft {
            language: "c".to_owned(),
            files: vec![("main.c".to_owned(), b"int".to_vec())],
            cases: vec![DraftCase {
                name: Some("one".to_owned()),
                stdin: vec![0xff],
                expected: b"x".to_vec(),
            }],
            ..Draft::default()
        };
        let body = json(&draft);
        assert_eq!(body["encoding"], "base64");
        assert_eq!(body["files"][0]["content"], "aW50");
        assert_eq!(
            body["cases"][0],
            serde_json::json!({ "name": "one", "stdin": "/w==", "expected": "eA==" })
        );
    }

    #[test]
    fn everything_that_was_asked_for_is_in_the_body() {
        let draft = Draft {
            stdin: Some(b"in".to_vec()),
            args: vec!["-v".to_owned()],
            compiler_options: vec!["-O3".to_owned()],
            limits: vec![parse_limit("cpu_time_ms=2000").unwrap()],
            checker: Some(parse_checker("floats:1e-3").unwrap()),
            stop_on_first_failure: true,
            ..Draft::default()
        };
        let expected = serde_json::json!({
            "language": "", "files": [], "stdin": "in", "args": ["-v"], "compiler_options": ["-O3"],
            "limits": { "cpu_time_ms": 2000 }, "checker": { "type": "floats", "tolerance": 0.001 },
            "stop_on_first_failure": true
        });
        assert_eq!(json(&draft), expected);
        assert_eq!(parse_checker("exact").unwrap().to_json(), "exact");
    }

    #[test]
    fn limits_and_checkers_that_make_no_sense_are_refused() {
        for bad in ["cpu_time_ms", "cpu_time_ms=", "cpu_time_ms=-1", "cpu_time_ms=1.5"] {
            assert!(parse_limit(bad).is_err(), "{bad}");
        }
        for bad in ["floats:", "floats:x", "floats:nan"] {
            assert!(parse_checker(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn files_are_named_from_the_directory_that_they_share() {
        let names = |paths: &[&str]| {
            names_in_box(&paths.iter().map(PathBuf::from).collect::<Vec<_>>()).ok()
        };
        let expect = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(names(&["/home/ada/main.py"]), expect(&["main.py"]));
        assert_eq!(names(&["src/main.c", "./src/lib/a.h"]), expect(&["main.c", "lib/a.h"]));
        assert_eq!(names(&["main.c", "lib/a.h"]), expect(&["main.c", "lib/a.h"]));
        assert_eq!(names(&["../x/main.c", "../x/a.h"]), expect(&["main.c", "a.h"]));
        assert_eq!(names(&["main.c", "../a.h"]), None);
        assert_eq!(names(&[".."]), None);
    }
}
