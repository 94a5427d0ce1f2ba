//! How a rebuild goes, on standard error: on a terminal one line that is written over, elsewhere a
//! new line every few seconds.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use tokio::time::Instant;
use views::generation::Position;

use crate::rebuild::RebuildStage;

/// How often the line changes on a terminal.
const TERMINAL_EVERY: Duration = Duration::from_millis(200);
/// How often a line is added elsewhere.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// How far a rebuild is, shown on standard error.
// By hand and not by `indicatif`, which is silent where standard error is not a terminal: in the
// log of a rebuild that takes an hour, these lines are what an operator has.
#[derive(Debug)]
pub struct ProgressLine {
    name: &'static str,
    begun: Instant,
    shown: Option<Instant>,
    terminal: bool,
}

impl ProgressLine {
    /// Makes the line of one view's rebuild.
    pub fn new(name: &'static str) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { name, begun: Instant::now(), shown: None, terminal }
    }

    /// Shows how it goes, unless it has just been shown.
    pub fn show(&mut self, stage: RebuildStage) {
        let every = if self.terminal { TERMINAL_EVERY } else { LOG_EVERY };
        let due = self.shown.is_none_or(|shown| shown.elapsed() >= every);
        // The switch is always shown, however soon it comes: an operator waits for it.
        if due || matches!(stage, RebuildStage::Switched(_)) {
            self.shown = Some(Instant::now());
            self.write(&describe(stage, self.begun.elapsed()));
        }
    }

    /// Ends the line.
    pub fn end(&self) {
        // On a terminal the line has no newline yet, and the shell would write its prompt behind
        // it.
        if self.terminal && self.shown.is_some() {
            let _unheard = writeln!(std::io::stderr().lock());
        }
    }

    fn write(&self, text: &str) {
        // Erased and not only written over: the end of a longer text would stay.
        let (start, end) = if self.terminal { ("\r\x1b[K", "") } else { ("", "\n") };
        let mut stderr = std::io::stderr().lock();
        // A rebuild goes on without its line if standard error is closed.
        let _unheard = write!(stderr, "{start}{}: {text}{end}", self.name);
        let _unheard = stderr.flush();
    }
}

fn describe(stage: RebuildStage, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    match stage {
        RebuildStage::Replaying { generation, sequence, last } => {
            let rate = u128::from(sequence) * 1_000 / elapsed.as_millis().max(1);
            let left = u128::from(last - sequence) / rate.max(1);
            let percent = sequence * 100 / last.max(1);
            format!(
                "generation {generation}: {sequence} of {last} events, {percent} %, {rate}/s, about {left} s left"
            )
        }
        RebuildStage::Switched(position) => {
            let (Position { generation, .. }, sequence) = (position, position.sequence());
            format!(
                "readers see generation {generation}, level at event {sequence}, after {seconds:.1} s"
            )
        }
        RebuildStage::Deleted(count) => format!("deleted {count} rows of earlier generations"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_how_far_how_fast_and_how_long() {
        let stage = RebuildStage::Replaying { generation: 2, sequence: 30_000, last: 100_000 };
        let text = describe(stage, Duration::from_secs(3));
        assert_eq!(text, "generation 2: 30000 of 100000 events, 30 %, 10000/s, about 7 s left");
    }

    #[test]
    fn an_empty_ledger_is_told_without_a_division_by_zero() {
        let stage = RebuildStage::Replaying { generation: 2, sequence: 0, last: 0 };
        assert!(describe(stage, Duration::ZERO).starts_with("generation 2: 0 of 0 events, 0 %"));
    }
}
