//! Submissions that are judged by cases.

use anyhow::{Context, Result, ensure};
use blackbox::programs::{c, expect, python, text};
use serde_json::{Value, json};

use super::{play, usage};

/// Ten cases that ask for the double of a number; three of the expected outputs are wrong.
fn ten_cases() -> Value {
    let case = |number: u32| {
        let expected = if [3, 6, 7].contains(&number) { number } else { number * 2 };
        json!({ "stdin": format!("{number}\n"), "expected": format!("{expected}\n"), "points": number, "name": format!("double {number}") })
    };
    Value::Array((1..=10).map(case).collect())
}

#[tokio::test]
async fn of_ten_cases_three_fail_and_each_is_told() -> Result<()> {
    play(async |user| {
        let mut body = python("print(int(input()) * 2)");
        body["cases"] = ten_cases();
        let view = user.run(&body).await?;

        expect(&view, &json!({ "verdict": "wrong_answer", "lane": "submit", "exit_code": 0 }))?;
        expect(&view["score"], &json!({ "passed": 7, "total": 10, "points": 39, "points_max": 55 }))?;
        let cases = view["cases"].as_array().context("no cases")?;
        ensure!(cases.len() == 10, "{view}");
        for (index, case) in cases.iter().enumerate() {
            let number = index + 1;
            let wrong = [3, 6, 7].contains(&number);
            let (verdict, points) = if wrong { ("wrong_answer", 0) } else { ("accepted", number) };
            let name = format!("double {number}");
            expect(case, &json!({ "index": index, "name": name, "verdict": verdict, "points": points, "exit_code": 0 }))?;
            ensure!(usage(case)?.2 > 1_000, "{case}");
        }
        // The output shown is that of the first case that is not accepted.
        ensure!(text(&view, "stdout")? == "6\n", "{view}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_first_failure_ends_a_submission_that_asks_for_it() -> Result<()> {
    play(async |user| {
        let mut body = python("print(int(input()) * 2)");
        body["cases"] = ten_cases();
        body["stop_on_first_failure"] = json!(true);
        let view = user.run(&body).await?;
        expect(&view, &json!({ "verdict": "wrong_answer" }))?;
        expect(&view["score"], &json!({ "passed": 2, "total": 10, "points": 3 }))?;
        ensure!(view["cases"].as_array().map(Vec::len) == Some(3), "{view}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn all_cases_right_is_accepted_and_compiled_once() -> Result<()> {
    play(async |user| {
        let source = "#include <stdio.h>\nint main(void) { int n; scanf(\"%d\", &n); printf(\"%d\\n\", n + 1); }";
        let mut body = c(source);
        body["cases"] = (0..40).map(|n| json!({ "stdin": n.to_string(), "expected": (n + 1).to_string() })).collect();
        let submitted = user.submit(&body).await?;
        let view = user.ended(&submitted).await?;
        expect(&view, &json!({ "verdict": "accepted" }))?;
        expect(&view["score"], &json!({ "passed": 40, "total": 40, "points": 40, "points_max": 40 }))?;
        let events = user.get(&format!("/v1/submissions/{}/events", submitted.id)).await?.ok()?;
        let events = events.as_array().context("no events")?;
        let compiled = events.iter().filter(|it| it["event"]["type"] == "execution.compiled");
        ensure!(compiled.count() == 1, "{events:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn each_checker_compares_in_its_own_way() -> Result<()> {
    play(async |user| {
        for (checker, expected, verdict) in [
            (json!("lines"), "1.5  \n2\n\n", "accepted"),
            (json!("lines"), "1.5 2\n", "wrong_answer"),
            (json!("exact"), "1.5\n2\n", "accepted"),
            (json!("exact"), "1.5\n2", "wrong_answer"),
            (json!("tokens"), " 1.5 2", "accepted"),
            (json!("tokens"), "1.50 2", "wrong_answer"),
            (json!({ "type": "floats", "tolerance": 0.1 }), "1.55 2", "accepted"),
            (json!({ "type": "floats", "tolerance": 0.001 }), "1.55 2", "wrong_answer"),
        ] {
            let mut body = python("print(1.5)\nprint(2)");
            body["cases"] = json!([{ "stdin": "", "expected": expected }]);
            body["checker"] = checker.clone();
            let view = user.run(&body).await?;
            expect(&view, &json!({ "verdict": verdict }))
                .with_context(|| format!("{checker} {expected:?}"))?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_case_that_breaks_a_limit_has_its_own_verdict() -> Result<()> {
    play(async |user| {
        let mut body = python("n = int(input())\nwhile n == 2: pass\nassert n != 3\nprint(n)");
        body["cases"] =
            (1..=4).map(|n| json!({ "stdin": n.to_string(), "expected": n.to_string() })).collect();
        body["limits"] = json!({ "cpu_time_ms": 500, "wall_time_ms": 30_000 });
        let view = user.run(&body).await?;
        expect(&view, &json!({ "verdict": "time_limit", "limit": "cpu_time" }))?;
        let verdicts: Vec<&Value> = view["cases"]
            .as_array()
            .context("no cases")?
            .iter()
            .map(|case| &case["verdict"])
            .collect();
        ensure!(verdicts == ["accepted", "time_limit", "runtime_error", "accepted"], "{view}");
        Ok(())
    })
    .await
}
