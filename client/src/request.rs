//! The body of `POST /v1/submissions`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value, json};

/// A program to submit, with its options. Members that are empty or absent are not sent.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct NewSubmission {
    /// The language's slug or alias.
    pub language: String,
    /// The files' names and bytes; the first is the entry.
    pub files: Vec<(String, Vec<u8>)>,
    /// Standard input of a run; with cases, each case has its own.
    pub stdin: Option<Vec<u8>>,
    pub args: Vec<String>,
    pub compiler_options: Vec<String>,
    /// Limits by name. The server decides which exist.
    pub limits: Vec<(String, u64)>,
    /// The cases to judge by.
    pub cases: Vec<NewCase>,
    pub checker: Option<NamedChecker>,
    pub stop_on_first_failure: bool,
}

/// One case to judge by.
#[derive(Debug)]
pub struct NewCase {
    /// What its author calls it.
    pub name: Option<String>,
    /// Standard input.
    pub stdin: Vec<u8>,
    /// The right output.
    pub expected: Vec<u8>,
}

/// How outputs are compared: the checker's name, and a tolerance for `floats`.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct NamedChecker {
    pub name: String,
    pub tolerance: Option<Number>,
}

impl NewSubmission {
    /// Makes a submission of one file, whose name the language expects.
    pub fn of_file(language: &str, name: &str, source: &str) -> Self {
        let files = vec![(name.to_owned(), source.as_bytes().to_vec())];
        Self { language: language.to_owned(), files, ..Self::default() }
    }

    /// Returns the body.
    pub fn to_json(&self) -> Vec<u8> {
        // `encoding` holds for all contents: if one is not UTF-8, all of them are sent as base64.
        let is_text = self.contents().all(|bytes| std::str::from_utf8(bytes).is_ok());
        let content = |bytes: &[u8]| match std::str::from_utf8(bytes) {
            Ok(text) if is_text => text.to_owned(),
            _ => STANDARD.encode(bytes),
        };
        let file =
            |(name, bytes): &(String, Vec<u8>)| json!({ "name": name, "content": content(bytes) });
        let case = |case: &NewCase| {
            let (stdin, expected) = (content(&case.stdin), content(&case.expected));
            json!({ "name": case.name, "stdin": stdin, "expected": expected })
        };
        let limit = |(name, value): &(String, u64)| (name.clone(), Value::from(*value));
        let members = [
            ("language", Some(json!(self.language))),
            ("files", Some(self.files.iter().map(file).collect())),
            ("stdin", self.stdin.as_deref().map(|bytes| json!(content(bytes)))),
            ("args", list(&self.args, |arg| json!(arg))),
            ("compiler_options", list(&self.compiler_options, |option| json!(option))),
            ("limits", (!self.limits.is_empty()).then(|| self.limits.iter().map(limit).collect())),
            ("cases", list(&self.cases, case)),
            ("checker", self.checker.as_ref().map(NamedChecker::to_json)),
            ("stop_on_first_failure", self.stop_on_first_failure.then_some(json!(true))),
            ("encoding", (!is_text).then(|| json!("base64"))),
        ];
        let given = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(given.collect::<Map<_, _>>()).to_string().into_bytes()
    }

    fn contents(&self) -> impl Iterator<Item = &[u8]> {
        let files = self.files.iter().map(|(_, bytes)| bytes.as_slice());
        let cases = self.cases.iter().flat_map(|case| [&*case.stdin, &*case.expected]);
        files.chain(self.stdin.as_deref()).chain(cases)
    }
}

/// Returns an array, or nothing for an empty one.
fn list<T>(items: &[T], to_json: impl Fn(&T) -> Value) -> Option<Value> {
    (!items.is_empty()).then(|| items.iter().map(to_json).collect())
}

impl NamedChecker {
    fn to_json(&self) -> Value {
        match &self.tolerance {
            None => json!(self.name),
            Some(tolerance) => json!({ "type": self.name, "tolerance": tolerance }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(submission: &NewSubmission) -> Value {
        serde_json::from_slice(&submission.to_json()).unwrap()
    }

    #[test]
    fn a_body_has_only_what_was_asked_for() {
        let expected = json!({
            "language": "python", "files": [{ "name": "main.py", "content": "print(1)" }]
        });
        assert_eq!(body(&NewSubmission::of_file("python", "main.py", "print(1)")), expected);
    }

    #[test]
    fn one_content_that_is_not_text_makes_all_of_them_base64() {
        let case =
            NewCase { name: Some("one".to_owned()), stdin: vec![0xff], expected: b"x".to_vec() };
        let submission =
            NewSubmission { cases: vec![case], ..NewSubmission::of_file("c", "main.c", "int") };
        let body = body(&submission);
        assert_eq!(body["encoding"], "base64");
        assert_eq!(body["files"][0]["content"], "aW50");
        assert_eq!(body["cases"][0], json!({ "name": "one", "stdin": "/w==", "expected": "eA==" }));
    }

    #[test]
    fn everything_that_was_asked_for_is_in_the_body() {
        let checker =
            NamedChecker { name: "floats".to_owned(), tolerance: Number::from_f64(0.001) };
        let submission = NewSubmission {
            stdin: Some(b"in".to_vec()),
            args: vec!["-v".to_owned()],
            compiler_options: vec!["-O3".to_owned()],
            limits: vec![("cpu_time_ms".to_owned(), 2_000)],
            checker: Some(checker),
            stop_on_first_failure: true,
            ..NewSubmission::default()
        };
        let expected = json!({
            "language": "", "files": [], "stdin": "in", "args": ["-v"], "compiler_options": ["-O3"],
            "limits": { "cpu_time_ms": 2000 }, "checker": { "type": "floats", "tolerance": 0.001 },
            "stop_on_first_failure": true
        });
        assert_eq!(body(&submission), expected);
        let exact = NamedChecker { name: "exact".to_owned(), tolerance: None };
        assert_eq!(exact.to_json(), "exact");
    }
}
