//! What a person sees: each step's name, how it ended, and how long it took. On a terminal a
//! running step spins; elsewhere each line is written once, plainly.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use indicatif::{ProgressBar, ProgressStyle};

use crate::failure;

const TICK: Duration = Duration::from_millis(100);

/// Writes a line to standard output. A reader that has gone away is not our fault.
pub(crate) fn say(line: impl Display) {
    drop(writeln!(io::stdout().lock(), "{line}"));
}

/// Writes a line about progress to standard error.
pub(crate) fn note(line: impl Display) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}

/// Runs a quiet step. Its value, when it can be shown, ends the line.
pub(crate) fn step<T: StepValue>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let begun = Instant::now();
    let spinner = io::stderr().is_terminal().then(|| spin(name));
    if spinner.is_none() {
        note(format_args!("  ..  {name}"));
    }
    let result = work();
    if let Some(spinner) = spinner {
        spinner.finish_and_clear();
    }
    close(name, begun, &result);
    result
}

/// Runs a step that writes to the terminal itself, such as a build.
pub(crate) fn loud_step<T: StepValue>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let begun = Instant::now();
    note(format_args!("  ..  {name}"));
    let result = work();
    close(name, begun, &result);
    result
}

fn spin(name: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(name.to_owned());
    if let Ok(style) = ProgressStyle::with_template("  {spinner}  {msg}  {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(TICK);
    bar
}

fn close<T: StepValue>(name: &str, begun: Instant, result: &Result<T>) {
    let took = seconds(begun.elapsed());
    let shown = result.as_ref().map(StepValue::shown).unwrap_or_default();
    let mark = if result.as_ref().is_ok_and(StepValue::is_good) { "  ok" } else { "FAIL" };
    let gap = if shown.is_empty() { "" } else { ": " };
    note(format_args!("{mark}  {name}{gap}{shown}  ({took})"));
}

/// A duration as a person reads it.
pub(crate) fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(90) {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {} s", time.as_secs() / 60, time.as_secs() % 60)
    }
}

/// Shows why a command failed and what to do.
pub(crate) fn explain(error: &Error) {
    note("");
    for (depth, cause) in error.chain().enumerate() {
        let lead = if depth == 0 { "error: " } else { "  because: " };
        note(format_args!("{lead}{cause}"));
    }
    if let Some(advice) = failure::advice(error) {
        note(format_args!("  to do: {advice}"));
    }
}

/// A step's value as the end of its line.
pub(crate) trait StepValue {
    /// Short text, or nothing.
    fn shown(&self) -> String {
        String::new()
    }

    /// Whether it is what one hoped for.
    fn is_good(&self) -> bool {
        true
    }
}

impl StepValue for () {}

impl StepValue for String {
    fn shown(&self) -> String {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_times_have_tenths_and_long_ones_minutes() {
        assert_eq!(seconds(Duration::from_millis(1_250)), "1.2 s");
        assert_eq!(seconds(Duration::from_secs(125)), "2 min 5 s");
    }

    #[test]
    fn a_step_returns_what_its_work_returned() {
        let good = step("good", || Ok("value".to_owned())).unwrap();
        let bad = step::<()>("bad", || anyhow::bail!("no")).unwrap_err();

        assert_eq!(good, "value");
        assert_eq!(bad.to_string(), "no");
    }
}
