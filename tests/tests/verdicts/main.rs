//! Verdicts: each kind of end gets its verdict with truthful usage, and the executor serves the
//! next program at once.

mod cases;
mod input_output;
mod limits;

use anyhow::{Context, Result, ensure};
use blackbox::client::TestClient;
use blackbox::programs::{expect, python, text};
use blackbox::world::WorldBuilder;
use serde_json::{Value, json};

/// Plays a scenario with one user, and then checks that the executor serves the next program at
/// once.
async fn play(scenario: impl AsyncFnOnce(&TestClient) -> Result<()>) -> Result<()> {
    WorldBuilder::default()
        .edge()
        .play(async |world| {
            let user = world.user("student-17")?;
            scenario(&user).await?;
            serves_the_next(&user).await
        })
        .await
}

async fn serves_the_next(user: &TestClient) -> Result<()> {
    let view = user.run(&python("print('next')")).await?;
    ensure!(view["verdict"] == "finished", "the next program: {view}");
    ensure!(text(&view, "stdout")? == "next\n", "the next program: {view}");
    ensure!(view["attempt"] == 1, "the next program needed another attempt: {view}");
    Ok(())
}

/// Returns the usage as (cpu ms, wall ms, memory KiB).
fn usage(view: &Value) -> Result<(f64, f64, u64)> {
    let usage = &view["usage"];
    let number = |name: &str| usage[name].as_f64().with_context(|| format!("no {name}: {view}"));
    let memory = usage["memory_kib"].as_u64().with_context(|| format!("no memory_kib: {view}"))?;
    Ok((number("cpu_ms")?, number("wall_ms")?, memory))
}

#[tokio::test]
async fn hello_in_python_finishes_and_tells_all_about_itself() -> Result<()> {
    play(async |user| {
        let view = user.run(&python("print('hello, world')")).await?;

        expect(
            &view,
            &json!({
                "state": "completed", "verdict": "finished", "lane": "run", "attempt": 1, "exit_code": 0,
                "signal": null, "limit": null, "stdout": "hello, world\n", "stdout_bytes": 13,
                "stdout_truncated": false, "stderr": "", "compile_output": null, "cases": [], "score": null,
                "failure": null, "isolation": "single-use",
            }),
        )?;
        expect(&view["language"], &json!({ "slug": "python", "version": "3.11" }))?;
        let (cpu, wall, memory) = usage(&view)?;
        ensure!(cpu > 0.0 && wall >= cpu * 0.9 && memory > 1_000, "{view}");
        ensure!(view["image_digest"].as_str().is_some_and(|digest| digest.starts_with("sha256:")), "{view}");
        let steps = ["accepted_at", "started_at", "finished_at"].map(|step| view[step].as_str());
        ensure!(steps.iter().all(Option::is_some) && steps.is_sorted(), "{view}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn every_language_says_hello() -> Result<()> {
    let programs = [
        ("python", "print('hello')"),
        ("c", "#include <stdio.h>\nint main(void) { puts(\"hello\"); }"),
        ("cpp", "#include <iostream>\nint main() { std::cout << \"hello\\n\"; }"),
        ("javascript", "console.log('hello')"),
        ("bash", "echo hello"),
    ];
    play(async |user| {
        for (language, source) in programs {
            let view = user.run(&json!({ "language": language, "source": source })).await?;
            expect(&view, &json!({ "verdict": "finished", "stdout": "hello\n", "exit_code": 0 }))
                .context(language)?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_same_language_is_known_by_its_aliases() -> Result<()> {
    play(async |user| {
        let view = user.run(&json!({ "language": "py3", "source": "print(1)" })).await?;
        expect(&view["language"], &json!({ "slug": "python" }))
    })
    .await
}

#[tokio::test]
async fn a_program_that_does_not_compile_shows_what_the_compiler_said() -> Result<()> {
    play(async |user| {
        let source = "int main() { return undeclared_name; }";
        let view = user.run(&json!({ "language": "cpp", "source": source })).await?;

        let nothing_ran =
            json!({ "verdict": "compile_error", "exit_code": null, "stdout": "", "usage": null });
        expect(&view, &nothing_ran)?;
        ensure!(view["compile_usage"]["cpu_ms"].as_f64() > Some(1.0), "{view}");
        ensure!(text(&view, "compile_output")?.contains("undeclared_name"), "{view}");
        ensure!(view["compiled_at"].is_string(), "{view}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_warning_of_the_compiler_is_shown_and_stops_nothing() -> Result<()> {
    play(async |user| {
        let source = "int main(void) { int unused; return 0; }";
        let body = json!({ "language": "c", "source": source, "compiler_options": ["-Wall"] });
        let view = user.run(&body).await?;
        expect(&view, &json!({ "verdict": "finished", "exit_code": 0 }))?;
        ensure!(text(&view, "compile_output")?.contains("unused"), "{view}");
        Ok(())
    })
    .await
}
