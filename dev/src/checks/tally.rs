//! Counts what test runners say in their closing lines. Pure.

use std::fmt;

use crate::steps::StepValue;

/// What several runners counted together.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct TestCounts {
    passed: u64,
    failed: u64,
    skipped: u64,
    unsuccessful: bool,
    summaries: Vec<String>,
}

impl TestCounts {
    /// Takes a line of a runner's output, which counts when it is a closing line.
    pub(super) fn read(&mut self, line: &str) {
        let line = without_colours(line);
        // What is indented is a failed test's own output, shown by nextest, which counts it itself.
        let counts = line.starts_with("test result: ") || line.trim().starts_with("Summary [");
        if !counts {
            return;
        }
        let line = line.trim();
        let words: Vec<&str> = line
            .split(|c: char| c.is_whitespace() || ",;()".contains(c))
            .filter(|word| !word.is_empty())
            .collect();
        for pair in words.windows(2) {
            if let (Ok(count), [_, what]) = (pair[0].parse::<u64>(), pair) {
                self.count(count, what);
            }
        }
        if line.starts_with("Summary [") {
            self.summaries.push(line.to_owned());
        }
    }

    fn count(&mut self, count: u64, what: &str) {
        match what {
            "passed" => self.passed += count,
            // nextest writes `1 timed out` and `1 exec failed`: the first word after the number
            // decides.
            "failed" | "timed" | "exec" => self.failed += count,
            "skipped" | "ignored" => self.skipped += count,
            _ => {}
        }
    }

    /// Whether no test ran at all.
    pub(super) fn is_empty(&self) -> bool {
        self.passed == 0
    }

    /// Notes whether the runner itself was content.
    pub(super) fn ended(&mut self, success: bool) {
        self.unsuccessful |= !success;
    }

    /// Adds another runner's count.
    pub(super) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.unsuccessful |= other.unsuccessful;
        self.summaries.extend(other.summaries);
    }

    /// The runners' own closing lines.
    pub(super) fn summaries(&self) -> &[String] {
        &self.summaries
    }
}

impl StepValue for TestCounts {
    fn shown(&self) -> String {
        self.to_string()
    }

    /// Every runner was content and no test failed.
    fn is_good(&self) -> bool {
        !self.unsuccessful && self.failed == 0
    }
}

impl fmt::Display for TestCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// The text without the sequences that colour a terminal.
fn without_colours(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut in_sequence = false;
    for letter in line.chars() {
        if in_sequence {
            in_sequence = !letter.is_ascii_alphabetic();
        } else if letter == '\u{1b}' {
            in_sequence = true;
        } else {
            text.push(letter);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(lines: &[&str]) -> TestCounts {
        let mut tally = TestCounts::default();
        for line in lines {
            tally.read(line);
        }
        tally.ended(true);
        tally
    }

    #[test]
    fn nextests_summary_is_counted_through_its_colours() {
        let line = "\u{1b}[32;1m     Summary\u{1b}[0m [   0.014s] 12/13 tests run: 9 passed (1 slow), 1 failed, 1 timed out, 1 exec failed, 3 skipped";

        let tally = tally(&[line]);

        assert_eq!(tally.to_string(), "9 passed, 3 failed, 3 skipped");
        assert!(tally.summaries()[0].starts_with("Summary ["));
        assert!(!tally.is_good());
    }

    #[test]
    fn the_output_of_a_failed_test_is_not_counted_again() {
        let summary = "     Summary [ 1.0s] 2 tests run: 1 passed, 1 failed, 0 skipped";
        let shown = "    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured";

        assert_eq!(tally(&[shown, summary]).to_string(), "1 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn cargos_results_add_up() {
        let line = "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s";

        assert_eq!(
            tally(&[line, "running 2 tests", line]).to_string(),
            "4 passed, 0 failed, 2 skipped"
        );
    }

    #[test]
    fn a_runner_that_fails_is_not_good_whatever_it_counted() {
        let mut good = tally(&["test result: ok. 2 passed; 0 failed;"]);
        assert!(good.is_good());
        assert!(tally(&[]).is_empty() && !good.is_empty());

        good.ended(false);

        assert!(!good.is_good());
    }
}
