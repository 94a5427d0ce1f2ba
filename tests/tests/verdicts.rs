//! Verdicts: each kind of end gets its verdict with truthful usage, and the executor serves the
//! next program at once.

use anyhow::{Context, Result, bail, ensure};
use blackbox::client::TestClient;
use blackbox::programs::{base64, bytes, c, expect, python, text};
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

#[tokio::test]
async fn a_program_that_loops_for_ever_is_stopped_by_its_cpu_time() -> Result<()> {
    play(async |user| {
        let mut body = python("while True: pass");
        body["limits"] = json!({ "cpu_time_ms": 1_000, "wall_time_ms": 30_000 });
        let view = user.run(&body).await?;

        expect(
            &view,
            &json!({ "verdict": "time_limit", "limit": "cpu_time", "state": "completed" }),
        )?;
        let (cpu, wall, _) = usage(&view)?;
        // It had all of its time, and not much more than its time.
        ensure!((900.0..2_000.0).contains(&cpu) && wall >= cpu * 0.9, "{view}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn cpu_time_is_that_of_all_processes_together() -> Result<()> {
    play(async |user| {
        let mut body = python("import os\nos.fork()\nos.fork()\nwhile True: pass");
        body["limits"] = json!({ "cpu_time_ms": 1_000, "wall_time_ms": 30_000 });
        let view = user.run(&body).await?;
        expect(&view, &json!({ "verdict": "time_limit", "limit": "cpu_time" }))?;
        ensure!(usage(&view)?.0 >= 900.0, "{view}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_program_that_sleeps_is_stopped_by_its_wall_time_and_has_used_no_cpu() -> Result<()> {
    play(async |user| {
        let mut body = python("import time\nprint('asleep', flush=True)\ntime.sleep(60)");
        body["limits"] = json!({ "wall_time_ms": 1_000 });
        let view = user.run(&body).await?;

        expect(
            &view,
            &json!({ "verdict": "time_limit", "limit": "wall_time", "stdout": "asleep\n" }),
        )?;
        let (cpu, wall, _) = usage(&view)?;
        ensure!(wall >= 1_000.0 && cpu < 500.0, "{view}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_wall_time_limit_is_not_slow() -> Result<()> {
    play(async |user| {
        let mut body = python("import time\ntime.sleep(60)");
        body["limits"] = json!({ "wall_time_ms": 500 });
        // A busy machine may stop one of them late. A limit that is slow stops each of them late.
        for _ in 0..10 {
            let view = user.run(&body).await?;
            expect(&view, &json!({ "verdict": "time_limit", "limit": "wall_time" }))?;
            if usage(&view)?.1 < 650.0 {
                return Ok(());
            }
        }
        bail!("ten sleepers, and each ran for 150 ms more than its limit")
    })
    .await
}

#[tokio::test]
async fn the_cpu_time_that_is_told_is_what_the_program_measures_itself() -> Result<()> {
    play(async |user| {
        let source =
            "import time\nwhile time.process_time() < .3: pass\nprint(time.process_time())";
        let view = user.run(&python(source)).await?;

        let measured = text(&view, "stdout")?.trim().parse::<f64>()? * 1_000.0;
        let told = usage(&view)?.0;
        // A program cannot measure its own end. Processor time does not grow with the load of the
        // machine.
        ensure!((measured - 10.0..measured + 200.0).contains(&told), "{measured} ms: {view}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_program_that_allocates_without_end_is_stopped_by_its_memory() -> Result<()> {
    play(async |user| {
        let mut body = python("kept = []\nwhile True: kept.append(bytearray(1 << 20))");
        body["limits"] = json!({ "memory_kib": 65_536 });
        let view = user.run(&body).await?;

        expect(&view, &json!({ "verdict": "memory_limit" }))?;
        let (cpu, wall, memory) = usage(&view)?;
        ensure!((49_152..=98_304).contains(&memory) && wall >= cpu * 0.9, "{view}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn memory_is_that_of_all_processes_together() -> Result<()> {
    play(async |user| {
        let source = "import os, time\nfor _ in range(3): os.fork()\nkept = bytearray(b'x' * (16 << 20))\ntime.sleep(5)";
        let mut body = python(source);
        body["limits"] = json!({ "memory_kib": 65_536 });
        let view = user.run(&body).await?;
        expect(&view, &json!({ "verdict": "memory_limit" }))
    })
    .await
}

#[tokio::test]
async fn a_program_that_prints_without_end_is_stopped_by_its_output() -> Result<()> {
    play(async |user| {
        let mut body = python("while True: print('x' * 1023)");
        body["limits"] = json!({ "output_bytes": 100_000 });
        let view = user.run(&body).await?;

        expect(
            &view,
            &json!({ "verdict": "output_limit", "limit": "output", "stdout_truncated": true }),
        )?;
        let kept = text(&view, "stdout")?;
        ensure!(kept.len() <= 100_000 && kept.len() >= 65_536, "{} bytes were kept", kept.len());
        ensure!(
            kept.bytes().all(|byte| byte == b'x' || byte == b'\n'),
            "other bytes than were printed"
        );
        ensure!(
            view["stdout_bytes"].as_u64().is_some_and(|bytes| bytes > 100_000),
            "{}",
            view["stdout_bytes"]
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn output_up_to_its_limit_is_whole_however_much_it_is() -> Result<()> {
    play(async |user| {
        let mut body = python("import sys\nsys.stdout.write('y' * 1000000)");
        body["limits"] = json!({ "output_bytes": 1_000_000 });
        let view = user.run(&body).await?;

        expect(
            &view,
            &json!({ "verdict": "finished", "stdout_bytes": 1_000_000, "stdout_truncated": false }),
        )?;
        ensure!(text(&view, "stdout")? == "y".repeat(1_000_000), "it is not what was written");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_fork_bomb_hurts_only_itself() -> Result<()> {
    play(async |user| {
        let source = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass";
        let mut body = python(source);
        body["limits"] = json!({ "cpu_time_ms": 1_000, "wall_time_ms": 5_000 });
        let view = user.run(&body).await?;
        expect(&view, &json!({ "state": "completed", "verdict": "time_limit" }))
    })
    .await
}

#[tokio::test]
async fn the_classic_fork_bomb_of_the_shell_hurts_only_itself() -> Result<()> {
    play(async |user| {
        let limits = json!({ "cpu_time_ms": 1_000, "wall_time_ms": 3_000 });
        let body = json!({ "language": "bash", "source": "bomb() { bomb | bomb & }; bomb; wait", "limits": limits });
        let view = user.run(&body).await?;
        // It may fail by its own children or be stopped. It must have ended as a program ends, and
        // not by a failure of the platform.
        expect(&view, &json!({ "state": "completed", "failure": null, "attempt": 1 }))
    })
    .await
}

#[tokio::test]
async fn a_program_that_kills_all_that_it_can_reach_kills_itself() -> Result<()> {
    play(async |user| {
        let view = user.run(&python("import os\nos.kill(-1, 9)\nwhile True: pass")).await?;
        // On Linux `kill(-1)` spares the caller. With or without that, init lives and reports.
        expect(&view, &json!({ "state": "completed", "failure": null, "attempt": 1 }))
    })
    .await
}

#[tokio::test]
async fn a_program_reads_its_standard_input() -> Result<()> {
    play(async |user| {
        let mut body = python("print(sum(int(line) for line in open(0)))");
        body["stdin"] = json!("1\n2\n39\n");
        let view = user.run(&body).await?;
        expect(&view, &json!({ "verdict": "finished", "stdout": "42\n" }))
    })
    .await
}

#[tokio::test]
async fn a_program_that_ignores_a_large_standard_input_ends_well() -> Result<()> {
    play(async |user| {
        let mut body = python("print('done')");
        body["stdin"] = json!("z".repeat(500_000));
        let view = user.run(&body).await?;
        expect(&view, &json!({ "verdict": "finished", "stdout": "done\n" }))
    })
    .await
}

#[tokio::test]
async fn a_program_gets_its_arguments_and_its_files() -> Result<()> {
    play(async |user| {
        let view = user
            .run(&json!({
                "language": "python",
                "files": [
                    { "name": "main.py", "content": "import sys\nfrom lib.words import WORD\nprint(WORD, sys.argv[1:])" },
                    { "name": "lib/words.py", "content": "WORD = 'imported'" },
                ],
                "args": ["a b", "*", ""],
            }))
            .await?;
        expect(&view, &json!({ "verdict": "finished", "stdout": "imported ['a b', '*', '']\n" }))
    })
    .await
}

#[tokio::test]
async fn output_that_is_not_utf_8_comes_back_byte_by_byte() -> Result<()> {
    play(async |user| {
        let source = "import sys\nsys.stdout.buffer.write(bytes(range(256)))\nsys.stderr.buffer.write(b'\\xff\\0')";
        let view = user.run(&python(source)).await?;

        expect(&view, &json!({ "verdict": "finished", "stdout_encoding": "base64", "stderr_encoding": "base64" }))?;
        ensure!(bytes(&view, "stdout")? == (0..=255).collect::<Vec<u8>>(), "{view}");
        ensure!(bytes(&view, "stderr")? == [0xff, 0], "{view}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn source_and_input_may_come_as_base64() -> Result<()> {
    play(async |user| {
        let view = user
            .run(&json!({
                "language": "python", "encoding": "base64",
                "source": base64(b"import sys; print(sys.stdin.buffer.read())"),
                "stdin": base64(&[0xff, 0x00]),
            }))
            .await?;
        expect(&view, &json!({ "verdict": "finished", "stdout": "b'\\xff\\x00'\n" }))
    })
    .await
}

#[tokio::test]
async fn an_exit_code_other_than_zero_is_a_runtime_error() -> Result<()> {
    play(async |user| {
        let view = user.run(&python("import sys\nprint('partial')\nsys.exit(3)")).await?;
        let expected = json!({ "verdict": "runtime_error", "exit_code": 3, "signal": null, "stdout": "partial\n" });
        expect(&view, &expected)
    })
    .await
}

#[tokio::test]
async fn an_uncaught_exception_is_a_runtime_error_with_its_trace() -> Result<()> {
    play(async |user| {
        let view = user.run(&python("raise ValueError('told so')")).await?;
        expect(&view, &json!({ "verdict": "runtime_error", "exit_code": 1 }))?;
        ensure!(text(&view, "stderr")?.contains("ValueError: told so"), "{view}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_signal_is_a_runtime_error_that_names_it() -> Result<()> {
    play(async |user| {
        let crash = "int main(void) { volatile int *nowhere = 0; return *nowhere; }";
        let view = user.run(&c(crash)).await?;
        expect(&view, &json!({ "verdict": "runtime_error", "exit_code": null, "signal": 11 }))?;

        let view = user.run(&c("#include <stdlib.h>\nint main(void) { abort(); }")).await?;
        expect(&view, &json!({ "verdict": "runtime_error", "exit_code": null, "signal": 6 }))
    })
    .await
}

#[tokio::test]
async fn a_file_over_its_limit_is_refused_to_the_program() -> Result<()> {
    play(async |user| {
        let mut body = python("open('/tmp/big', 'wb').write(b'x' * (2 << 20))");
        body["limits"] = json!({ "file_size_kib": 1_024 });
        let view = user.run(&body).await?;
        expect(&view, &json!({ "verdict": "runtime_error", "state": "completed" }))
    })
    .await
}

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
