//! What a process writes once its logs are set up, read from a child of this test since logs belong
//! to a whole process.

use std::process::Command;

use platform::config::{LogConfig, LogFilter, LogFormat};
use platform::telemetry::init_logs;
use serde_json::Value;

const CHILD: &str = "PLATFORM_LOGS_TEST_CHILD";

/// What the child does: logs inside spans, sets logs up again, and panics on a thread.
fn act(format: LogFormat) {
    let filter = LogFilter::try_from("info,quiet=off".to_owned()).expect("the directives parse");
    init_logs(&LogConfig { filter: filter.clone(), format }).expect("nothing logs yet");
    let request = tracing::error_span!("request", request.id = "r-1").entered();
    let inner = tracing::info_span!("cancel_submission", submission.id = "s-1").entered();
    tracing::info!(elapsed_ms = 5, "asked");
    let cause = std::io::Error::other("no such host");
    let error: &(dyn std::error::Error + 'static) = &Planted(cause);
    tracing::warn!(error, ratio = 0.5, "cannot ask");
    tracing::debug!("hidden by the level");
    tracing::error!(target: "quiet", "hidden by the target");
    drop((inner, request));
    tracing::info!(refused = init_logs(&LogConfig { filter, format }).is_err(), "set up again");
    // As a library does that knows nothing of tracing.
    tracing_log::log::warn!(target: "library", "an old voice");
    std::thread::spawn(|| panic!("planted")).join().expect_err("the thread panics");
}

#[derive(Debug, thiserror::Error)]
#[error("the server is away")]
struct Planted(#[source] std::io::Error);

fn child(format: &str) -> String {
    let output = Command::new(std::env::current_exe().expect("a test has a path"))
        .args(["--exact", "logs_are_written_as_configured", "--nocapture"])
        .env(CHILD, format)
        .output()
        .expect("the child runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("logs are text")
}

#[test]
fn logs_are_written_as_configured() {
    if let Some(format) = std::env::var_os(CHILD) {
        return act(if format == "json" { LogFormat::Json } else { LogFormat::Text });
    }
    json_lines_have_fields_and_all_spans(&child("json"));
    let text = child("text");
    assert!(text.contains("INFO request{request.id=\"r-1\"}:cancel_submission{"), "{text}");
    assert!(text.contains("the server is away") && text.contains("no such host"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains("hidden"), "{text}");
}

fn json_lines_have_fields_and_all_spans(output: &str) {
    let lines: Vec<Value> =
        output.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(lines.len(), 5, "{output}");
    assert_eq!((&lines[0]["message"], &lines[0]["elapsed_ms"]), (&"asked".into(), &5.into()));
    assert_eq!(lines[0]["spans"][0]["request.id"], "r-1");
    assert_eq!(lines[0]["spans"][1]["submission.id"], "s-1");
    assert_eq!((&lines[0]["level"], &lines[0]["target"]), (&"INFO".into(), &"logs".into()));
    assert_eq!(lines[0]["spans"][1]["name"], "cancel_submission");
    assert_eq!(lines[1]["error"], "the server is away: no such host");
    assert_eq!(lines[1]["ratio"], 0.5);
    assert_eq!(lines[2]["refused"], true);
    assert_eq!((&lines[3]["level"], &lines[3]["target"]), (&"WARN".into(), &"library".into()));
    assert_eq!((&lines[3]["message"], lines[3].get("log.target")), (&"an old voice".into(), None));
    assert_eq!(
        (&lines[4]["level"], &lines[4]["panic.message"]),
        (&"ERROR".into(), &"planted".into())
    );
    assert!(lines[4]["panic.location"].as_str().expect("a text").contains("tests/logs.rs:"));
}
