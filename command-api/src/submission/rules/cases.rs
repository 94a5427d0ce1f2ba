//! The members `cases` and `checker`.

use events::event::{Case, Checker};
use platform::json::{Faults, JsonPointer, Object};
use serde_json::Number;

use super::encoding::Encoding;
use crate::submission::bounds::{
    CASE_NAME_BYTES_MAX, CASES_MAX, POINTS_DEFAULT, POINTS_MAX, TOLERANCE_DEFAULT, TOLERANCE_MAX,
};
use crate::submission::draft::{DraftCase, DraftChecker, WholeNumber};

/// Takes the cases.
pub(super) fn check_cases(
    cases: Option<Vec<Object<DraftCase>>>,
    encoding: Encoding,
    faults: &mut Faults,
) -> Vec<Case> {
    let at = JsonPointer::root().key("cases");
    let Some(cases) = cases else { return Vec::new() };
    // An empty list would be a run without a verdict, which a client that sends cases does not
    // want.
    if cases.is_empty() {
        faults.push(&at, "is empty: leave it out to run without cases");
    }
    if cases.len() > CASES_MAX {
        faults.push(&at, format!("has {} cases, more than {CASES_MAX}", cases.len()));
    }
    let cases = cases.into_iter().enumerate();
    cases.map(|(index, case)| check_case(case.0, &at.index(index), encoding, faults)).collect()
}

fn check_case(case: DraftCase, at: &JsonPointer, encoding: Encoding, faults: &mut Faults) -> Case {
    if case.name.as_ref().is_some_and(|name| name.len() > CASE_NAME_BYTES_MAX) {
        faults.push(&at.key("name"), format!("is longer than {CASE_NAME_BYTES_MAX} bytes"));
    }
    // A NUL in a name is a mistake, and many tools cannot show it.
    if case.name.as_ref().is_some_and(|name| name.contains('\0')) {
        faults.push(&at.key("name"), "must not contain a NUL character");
    }
    Case {
        stdin: encoding.decode(case.stdin.unwrap_or_default(), &at.key("stdin"), faults),
        expected: encoding.decode(case.expected, &at.key("expected"), faults),
        points: check_points(case.points, &at.key("points"), faults),
        name: case.name,
    }
}

fn check_points(points: Option<WholeNumber>, at: &JsonPointer, faults: &mut Faults) -> u32 {
    let Some(WholeNumber(points)) = points else { return POINTS_DEFAULT };
    u32::try_from(points).ok().filter(|points| *points <= POINTS_MAX).unwrap_or_else(|| {
        faults.push(at, format!("must be from 0 to {POINTS_MAX}"));
        POINTS_DEFAULT
    })
}

/// Takes the checker.
pub(super) fn check_checker(draft: Option<DraftChecker>, faults: &mut Faults) -> Checker {
    let Some(draft) = draft else { return Checker::default() };
    let at = JsonPointer::root().key("checker");
    if draft.tolerance.is_some() && draft.name != "floats" {
        faults.push(&at.key("tolerance"), "only the checker floats has a tolerance");
    }
    match draft.name.as_str() {
        "lines" => Checker::Lines,
        "exact" => Checker::Exact,
        "tokens" => Checker::Tokens,
        "floats" => Checker::Floats { tolerance: check_tolerance(draft.tolerance, &at, faults) },
        _ => {
            let at = if draft.in_object { at.key("type") } else { at };
            faults.push(&at, "must be one of lines, exact, tokens, floats");
            Checker::default()
        }
    }
}

fn check_tolerance(tolerance: Option<Number>, at: &JsonPointer, faults: &mut Faults) -> String {
    let Some(tolerance) = tolerance else { return TOLERANCE_DEFAULT.to_owned() };
    let in_bounds = |value: f64| (0.0..=TOLERANCE_MAX).contains(&value);
    if !tolerance.as_f64().is_some_and(in_bounds) {
        faults.push(&at.key("tolerance"), format!("must be from 0 to {TOLERANCE_MAX}"));
    }
    // As text, since events are hashed and compared byte by byte.
    tolerance.to_string()
}
