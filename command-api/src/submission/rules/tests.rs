//! The bad-input table, row by row: each fault with its pointer, all at once.

use events::event::Checker;
use events::{Content, EndUser, Lane, LimitPolicy};
use platform::json::Object;
use sandbox::languages::Catalog;
use serde_json::{Value, json};

use super::*;
use crate::submission::bounds::{ARG_BYTES_MAX, ARGS_MAX, CASES_MAX, FILES_MAX, POINTS_MAX};

fn check(body: Value) -> Result<ValidSubmission, Vec<(String, String)>> {
    let Object(draft) = serde_json::from_value::<Object<Draft>>(body).unwrap();
    let (catalog, policy) = (Catalog::builtin(), LimitPolicy::default());
    let rules = Rules { catalog: &catalog, policy: &policy };
    rules.validate(draft).map_err(|faults| {
        faults.into_list().into_iter().map(|fault| (fault.pointer, fault.detail)).collect()
    })
}

fn pointers(body: Value) -> Vec<String> {
    check(body).unwrap_err().into_iter().map(|(pointer, _)| pointer).collect()
}

fn bytes(content: &Content) -> &[u8] {
    content.bytes().unwrap()
}

/// A good body with some members replaced; null takes one away.
fn with(members: &Value) -> Value {
    let mut body = json!({"language": "python", "source": "print(1)"});
    for (key, value) in members.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

#[test]
fn the_least_body_is_a_run_with_every_default() {
    let valid = check(with(&json!({}))).unwrap();
    assert_eq!(valid.lane(), Lane::Run);
    assert_eq!(valid.language.slug.as_str(), "python");
    assert_eq!(valid.files[0].name.as_str(), "main.py");
    assert_eq!(bytes(&valid.files[0].content), b"print(1)");
    assert_eq!(valid.limits, LimitPolicy::default().default);
    assert_eq!(valid.checker, Checker::Lines);
    assert_eq!(valid.stdin, Content::default());
    assert!(valid.args.is_empty() && valid.cases.is_empty());
    assert!(!valid.stop_on_first_failure);
}

#[test]
fn every_member_is_taken() {
    let valid = check(json!({
        "language": "C++", "files": [{"name": "a.cpp", "content": "1"}, {"name": "b/c.h", "content": ""}],
        "args": ["x y"], "compiler_options": " -O1  -Wall ", "limits": {"processes": 3},
        "cases": [{"expected": "2"}, {"stdin": "1", "expected": "", "points": 0, "name": "zero"}],
        "checker": {"type": "floats", "tolerance": 1e-3}, "stop_on_first_failure": true, "encoding": "text",
        "end_user": "student-7",
    }))
    .unwrap();
    assert_eq!(valid.lane(), Lane::Submit);
    assert_eq!(valid.language.slug.as_str(), "cpp");
    assert_eq!(valid.files[1].name.as_str(), "b/c.h");
    assert_eq!(valid.args, ["x y"]);
    assert_eq!(valid.compiler_options, ["-O1", "-Wall"]);
    assert_eq!(valid.limits.processes, 3);
    assert_eq!((valid.cases[0].points, valid.cases[1].points), (1, 0));
    assert_eq!(valid.cases[1].name.as_deref(), Some("zero"));
    assert_eq!(valid.checker, Checker::Floats { tolerance: "0.001".to_owned() });
    assert!(valid.stop_on_first_failure);
    assert_eq!(valid.end_user.as_ref().map(EndUser::as_str), Some("student-7"));
}

#[test]
fn an_end_user_is_short_and_printable() {
    for bad in [String::new(), "x".repeat(129), "a\nb".to_owned()] {
        assert_eq!(pointers(with(&json!({"end_user": bad}))), ["/end_user"], "{bad:?}");
    }
}

#[test]
fn base64_applies_to_all_content() {
    let valid = check(json!({
        "language": "c", "encoding": "base64", "files": [{"name": "a.c", "content": "/w=="}],
        "cases": [{"stdin": "AA==", "expected": "aGk="}],
    }))
    .unwrap();
    assert_eq!(bytes(&valid.files[0].content), [0xff]);
    assert_eq!(bytes(&valid.cases[0].stdin), [0]);
    assert_eq!(bytes(&valid.cases[0].expected), b"hi");
    let run =
        check(with(&json!({"encoding": "base64", "source": "aGk=", "stdin": "aGk="}))).unwrap();
    assert_eq!((bytes(&run.files[0].content), bytes(&run.stdin)), (&b"hi"[..], &b"hi"[..]));
}

#[test]
fn every_fault_is_told_at_once() {
    let body = json!({
        "language": "cobol", "source": "", "files": [], "stdin": "x", "args": ["a\u{0}b"],
        "limits": {"cpu_time_ms": 0, "processes": -1}, "cases": [], "checker": "vibes", "encoding": "rot13",
    });
    let expected = [
        "/encoding",
        "/language",
        "/files",
        "/stdin",
        "/args/0",
        "/limits/processes",
        "/limits/cpu_time_ms",
        "/checker",
        "/cases",
    ];
    assert_eq!(pointers(body), expected);
}

#[test]
fn an_unknown_language_is_told_with_the_known_ones() {
    let faults = check(with(&json!({"language": "Cobol"}))).unwrap_err();
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].0, "/language");
    assert!(faults[0].1.contains("python, c, cpp"), "{faults:?}");
}

#[test]
fn a_program_comes_in_exactly_one_way_and_is_not_empty() {
    assert_eq!(pointers(json!({"language": "c"})), [""]);
    assert_eq!(pointers(with(&json!({"files": [{"name": "a.py", "content": "1"}]}))), ["/files"]);
    assert_eq!(pointers(with(&json!({"source": ""}))), ["/source"]);
    assert_eq!(pointers(json!({"language": "c", "files": []})), ["/files"]);
    let empty_entry = json!({"language": "c", "files": [{"name": "a.c", "content": ""}]});
    assert_eq!(pointers(empty_entry), ["/files/0/content"]);
}

#[test]
fn paths_that_are_not_plain_are_refused() {
    for bad in ["", "..", "a/../b", "/etc/passwd", "a\u{0}b", "a//b", "./a", "a/"] {
        let body = json!({"language": "c", "files": [{"name": bad, "content": "1"}]});
        assert_eq!(pointers(body), ["/files/0/name"], "{bad:?}");
    }
}

#[test]
fn a_path_may_stand_once_and_not_be_a_directory_too() {
    let files = |names: &[&str]| {
        let list: Vec<Value> =
            names.iter().map(|name| json!({"name": name, "content": "1"})).collect();
        json!({"language": "c", "files": list})
    };
    assert_eq!(pointers(files(&["a.c", "b.c", "a.c"])), ["/files/2/name"]);
    assert_eq!(pointers(files(&["a", "a/b/c"])), ["/files/0/name"]);
    assert_eq!(pointers(files(&["x/a/b", "x/a"])), ["/files/1/name"]);
    check(files(&["a", "ab", "b/a", "b/c"])).unwrap();
    // As deep as a body is long: what is no name is not compared with others, which would take for
    // ever.
    let deep = "a/".repeat(500_000);
    assert_eq!(pointers(files(&[&deep, "b"])), ["/files/0/name"]);
}

#[test]
fn too_many_of_anything_is_refused() {
    let file = |index: usize| json!({"name": format!("f{index}"), "content": "1"});
    let files: Vec<Value> = (0..=FILES_MAX).map(file).collect();
    check(json!({"language": "c", "files": files[..FILES_MAX]})).unwrap();
    assert_eq!(pointers(json!({"language": "c", "files": files})), ["/files"]);
    let cases = vec![json!({"expected": "1"}); CASES_MAX + 1];
    check(with(&json!({"cases": cases[..CASES_MAX]}))).unwrap();
    assert_eq!(pointers(with(&json!({"cases": cases}))), ["/cases"]);
    let args = vec!["a"; ARGS_MAX + 1];
    check(with(&json!({"args": args[..ARGS_MAX]}))).unwrap();
    assert_eq!(
        pointers(with(&json!({"args": args, "compiler_options": args}))),
        ["/args", "/compiler_options"]
    );
}

#[test]
fn too_long_strings_are_refused() {
    let (fits, long) = ("a".repeat(ARG_BYTES_MAX), "a".repeat(ARG_BYTES_MAX + 1));
    check(with(&json!({"args": [fits]}))).unwrap();
    assert_eq!(pointers(with(&json!({"args": ["a", long]}))), ["/args/1"]);
    let name = "n".repeat(129);
    assert_eq!(
        pointers(with(&json!({"cases": [{"expected": "", "name": name}]}))),
        ["/cases/0/name"]
    );
}

#[test]
fn limits_out_of_bounds_are_refused_with_the_bounds() {
    let faults = check(with(&json!({"limits": {
        "cpu_time_ms": 15_001, "wall_time_ms": 1e23, "memory_kib": 1,
        "stack_kib": 64_000, "file_size_kib": -1,
    }})))
    .unwrap_err();
    let at = |pointer: &str| {
        faults.iter().find(|(at, _)| at == pointer).map(|(_, detail)| detail.as_str())
    };
    assert_eq!(faults.len(), 4, "{faults:?}");
    assert_eq!(at("/limits/cpu_time_ms"), Some("must be from 10 to 15000"));
    assert_eq!(at("/limits/wall_time_ms"), Some("must be from 10 to 30000"));
    assert_eq!(at("/limits/memory_kib"), Some("must be from 16384 to 1048576"));
    assert_eq!(at("/limits/file_size_kib"), Some("must not be negative"));
}

#[test]
fn bad_base64_is_told_for_each_place() {
    let body = json!({
        "language": "c", "encoding": "base64",
        "files": [{"name": "a.c", "content": "aGk"}, {"name": "b.c", "content": "a b="}],
        "cases": [{"stdin": "!", "expected": "aGl="}],
    });
    let expected = ["/files/0/content", "/files/1/content", "/cases/0/stdin", "/cases/0/expected"];
    assert_eq!(pointers(body), expected);
}

#[test]
fn cases_exclude_a_common_stdin_and_bound_their_points() {
    let cases =
        json!([{"expected": "1", "points": POINTS_MAX + 1}, {"expected": "1", "points": -1}]);
    let body = with(&json!({"stdin": "x", "cases": cases}));
    assert_eq!(pointers(body), ["/stdin", "/cases/0/points", "/cases/1/points"]);
    check(with(&json!({"stdin": "", "cases": [{"expected": "1"}]}))).unwrap();
}

#[test]
fn checkers_have_known_names_and_only_floats_a_tolerance() {
    for (name, expected) in
        [("lines", Checker::Lines), ("exact", Checker::Exact), ("tokens", Checker::Tokens)]
    {
        assert_eq!(check(with(&json!({"checker": name}))).unwrap().checker, expected);
        assert_eq!(check(with(&json!({"checker": {"type": name}}))).unwrap().checker, expected);
        let body = with(&json!({"checker": {"type": name, "tolerance": 0.1}}));
        assert_eq!(pointers(body), ["/checker/tolerance"]);
    }
    let floats = check(with(&json!({"checker": "floats"}))).unwrap();
    assert_eq!(floats.checker, Checker::Floats { tolerance: "1e-6".to_owned() });
    let exact = check(with(&json!({"checker": {"type": "floats", "tolerance": 0}}))).unwrap();
    assert_eq!(exact.checker, Checker::Floats { tolerance: "0".to_owned() });
    assert_eq!(pointers(with(&json!({"checker": {"type": "vibes"}}))), ["/checker/type"]);
    for bad in [json!(-1e-6), json!(2)] {
        let body = with(&json!({"checker": {"type": "floats", "tolerance": bad}}));
        assert_eq!(pointers(body), ["/checker/tolerance"]);
    }
}

#[test]
fn the_request_hash_sees_what_was_asked_for_and_not_how() {
    let hash = |body: Value| check(body).unwrap().request_hash();
    let plain = hash(with(&json!({})));
    assert_eq!(plain, hash(with(&json!({"language": "PY", "stdin": null, "args": []}))));
    assert_eq!(plain, hash(with(&json!({"source": "cHJpbnQoMSk=", "encoding": "base64"}))));
    let named = json!({"language": "py3", "files": [{"content": "print(1)", "name": "main.py"}]});
    assert_eq!(plain, hash(named));
}

#[test]
fn the_request_hash_tells_every_member_apart() {
    let bodies = [
        json!({}),
        json!({"language": "bash"}),
        json!({"source": "print(2)"}),
        json!({"stdin": "x"}),
        json!({"args": ["x"]}),
        json!({"compiler_options": "x"}),
        json!({"limits": {"cpu_time_ms": 5_000}}),
        json!({"limits": {"wall_time_ms": 5_000}}),
        json!({"cases": [{"expected": "x"}]}),
        json!({"cases": [{"expected": "", "stdin": "x"}]}),
        json!({"cases": [{"expected": "x", "points": 2}]}),
        json!({"cases": [{"expected": "x", "name": "x"}]}),
        json!({"checker": "exact"}),
        json!({"checker": "floats"}),
        json!({"stop_on_first_failure": true}),
        json!({"end_user": "student-7"}),
    ];
    let hashes: std::collections::HashSet<_> =
        bodies.iter().map(|body| check(with(body)).unwrap().request_hash()).collect();
    assert_eq!(hashes.len(), bodies.len());
}

#[test]
fn every_language_has_plain_names_for_its_file_and_pool() {
    for language in Catalog::builtin().languages() {
        let valid = check(with(&json!({"language": language.slug}))).unwrap();
        assert_eq!(valid.files[0].name.as_str(), language.source_file);
        assert_eq!(valid.pool.as_str(), language.pool);
    }
}
