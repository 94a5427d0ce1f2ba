//! A submission: one line with its state, then its cases, then its outputs.

use client::{OutputView, SubmissionView, UsageView};

use super::{Align, Style, TextTable, printable};

/// Shows a submission.
pub(crate) fn submission(submission: &SubmissionView, style: Style) -> String {
    let failure = submission
        .failure
        .as_ref()
        .map(|failure| format!("{}: {}\n", failure.class, printable(failure.reason.as_bytes())));
    let cases = (!submission.cases.is_empty()).then(|| cases(submission));
    let outputs = submission.outputs.iter().map(|output| output_block(output, style));
    let parts = [Some(headline(submission, style)), failure, cases].into_iter().flatten();
    parts.chain(outputs).collect()
}

fn headline(submission: &SubmissionView, style: Style) -> String {
    let word = match &submission.verdict {
        Some(verdict) => style.verdict(verdict),
        None => style.state(&submission.state),
    };
    let limit = submission.limit.as_ref().map(|limit| format!("({limit})"));
    let score = submission.score.as_ref().map(|score| {
        let (passed, total) = (score.passed, score.total);
        format!("{passed}/{total} cases, {}/{} points", score.points, score.points_max)
    });
    let language = format!("{} {}", submission.language.slug, submission.language.version);
    let exit = match (submission.exit_code, submission.signal) {
        // A signal ended the program, so an exit code would be made up.
        (_, Some(signal)) => Some(format!("signal {signal}")),
        (Some(code), None) => Some(format!("exit {code}")),
        (None, None) => None,
    };
    // The first attempt is the usual case, and not worth a word.
    let attempt = (submission.attempt > 1).then(|| format!("attempt {}", submission.attempt));
    let details = [score, Some(language), exit, submission.usage.as_ref().map(usage), attempt];
    let first = [Some(word), limit].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let id = style.dim(&submission.id);
    let parts = [first].into_iter().chain(details.into_iter().flatten()).chain([id]);
    format!("{}\n", parts.collect::<Vec<_>>().join(" · "))
}

fn usage(usage: &UsageView) -> String {
    format!(
        "cpu {} · wall {} · memory {}",
        time(usage.cpu_ms),
        time(usage.wall_ms),
        memory(usage.memory_kib)
    )
}

fn time(milliseconds: f64) -> String {
    if milliseconds < 1_000.0 {
        format!("{milliseconds:.1} ms")
    } else {
        format!("{:.2} s", milliseconds / 1_000.0)
    }
}

fn memory(kib: u64) -> String {
    if kib < 1_024 {
        format!("{kib} KiB")
    } else {
        // One digit by whole numbers: a float would round 1023.99 up to 1024.0.
        format!("{}.{} MiB", kib / 1_024, kib % 1_024 * 10 / 1_024)
    }
}

fn cases(submission: &SubmissionView) -> String {
    let mut table = TextTable::new([
        ("case", Align::Right),
        ("name", Align::Left),
        ("verdict", Align::Left),
        ("cpu", Align::Right),
        ("wall", Align::Right),
        ("memory", Align::Right),
        ("points", Align::Right),
    ]);
    for case in &submission.cases {
        table.row([
            // People count from one.
            (case.index + 1).to_string(),
            printable(case.name.as_deref().unwrap_or_default().as_bytes()),
            case.verdict.replace('_', " "),
            time(case.usage.cpu_ms),
            time(case.usage.wall_ms),
            memory(case.usage.memory_kib),
            case.points.to_string(),
        ]);
    }
    table.render()
}

fn output_block(output: &OutputView, style: Style) -> String {
    let (kept, total) = (output.bytes.len(), output.bytes_total);
    if let Some(sha256) = &output.expired {
        let title = format!("--- {} ({total} bytes, expired; SHA-256 {sha256})", output.title);
        return format!("{}\n", style.dim(&title));
    }
    let extent = if output.truncated {
        format!("the first {kept} of {total} bytes")
    } else {
        format!("{total} bytes")
    };
    let title = style.dim(&format!("--- {} ({extent})", output.title));
    let text = printable(&output.bytes);
    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{title}\n{text}{end}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// An answer as query-api gives it, as far as it is shown.
    fn answer() -> Value {
        json!({
            "id": "0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b", "state": "completed", "verdict": "finished",
            "language": { "slug": "python", "version": "3.11" }, "attempt": 1,
            "exit_code": 0, "signal": null, "limit": null, "stdout": "hi\n", "stdout_bytes": 3,
            "stdout_truncated": false, "stderr": "", "stderr_bytes": 0, "stderr_truncated": false,
            "usage": { "cpu_ms": 9.5, "wall_ms": 12.25, "memory_kib": 9216 },
            "cases": [], "score": null, "failure": null, "sequence": 3
        })
    }

    fn shown(answer: &Value) -> String {
        submission(&SubmissionView::read(answer).unwrap(), Style::for_terminal(false))
    }

    #[test]
    fn a_run_shows_its_verdict_its_usage_and_what_it_wrote() {
        assert_eq!(
            shown(&answer()),
            "finished · python 3.11 · exit 0 · cpu 9.5 ms · wall 12.2 ms · memory 9.0 MiB · \
             0190a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b\n--- stdout (3 bytes)\nhi\n"
        );
    }

    #[test]
    fn cases_stand_in_a_table() {
        let mut answer = answer();
        let usage = json!({ "cpu_ms": 1500.0, "wall_ms": 2.0, "memory_kib": 512 });
        answer["verdict"] = json!("wrong_answer");
        answer["score"] = json!({ "points": 1, "points_max": 2, "passed": 1, "total": 2 });
        answer["cases"] = json!([
            { "index": 0, "name": "one", "verdict": "accepted", "usage": usage, "points": 1 },
            { "index": 1, "name": null, "verdict": "wrong_answer", "usage": usage, "points": 0 },
        ]);
        let text = shown(&answer);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].starts_with("wrong answer · 1/2 cases, 1/2 points · python 3.11"),
            "{text}"
        );
        assert_eq!(lines[1], "case  name  verdict          cpu    wall   memory  points");
        assert_eq!(lines[2], "   1  one   accepted      1.50 s  2.0 ms  512 KiB       1");
        assert_eq!(lines[3], "   2        wrong answer  1.50 s  2.0 ms  512 KiB       0");
    }

    #[test]
    fn what_stopped_a_program_is_named() {
        let mut answer = answer();
        answer["verdict"] = json!("time_limit");
        answer["limit"] = json!("wall_time");
        answer["exit_code"] = json!(null);
        answer["signal"] = json!(9);
        answer["stdout_bytes"] = json!(9_000);
        answer["stdout_truncated"] = json!(true);
        let text = shown(&answer);
        assert!(text.starts_with("time limit (wall_time) · python 3.11 · signal 9"), "{text}");
        assert!(text.contains("--- stdout (the first 3 of 9000 bytes)"), "{text}");
    }

    #[test]
    fn an_output_that_has_expired_is_one_line() {
        let mut answer = answer();
        answer["stdout"] = json!(null);
        answer["stdout_bytes"] = json!(70_000);
        answer["stdout_expired"] = json!({ "sha256": "00ff", "bytes": 70_000 });
        let text = shown(&answer);
        assert!(text.ends_with("\n--- stdout (70000 bytes, expired; SHA-256 00ff)\n"), "{text}");
    }

    #[test]
    fn an_end_without_a_verdict_says_why() {
        let mut answer = answer();
        answer["state"] = json!("failed");
        for absent in ["verdict", "usage", "exit_code", "stdout"] {
            answer[absent] = json!(null);
        }
        answer["failure"] =
            json!({ "class": "attempts_exhausted", "reason": "3 attempts were lost" });
        let text = shown(&answer);
        assert!(text.starts_with("failed · python 3.11 · 0190a1b2"), "{text}");
        assert!(text.ends_with("attempts_exhausted: 3 attempts were lost\n"), "{text}");
    }
}
