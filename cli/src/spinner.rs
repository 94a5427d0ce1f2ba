//! Shows on standard error what the program waits for: a spinner on a terminal, plain notes
//! elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the spinner turns.
const TURN: Duration = Duration::from_millis(100);

/// A line that tells what the program waits for.
#[derive(Clone, Debug)]
pub(crate) struct Spinner {
    bar: ProgressBar,
}

impl Spinner {
    /// Makes a spinner that is hidden unless standard error is a terminal.
    pub(crate) fn on_stderr() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self { bar: ProgressBar::hidden() };
        }
        let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        Self { bar: bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner())) }
    }

    /// Shows what the program waits for now.
    pub(crate) fn waiting_for(&self, what: String) {
        self.bar.enable_steady_tick(TURN);
        self.bar.set_message(what);
    }

    /// Writes a line that stays, above the spinner.
    pub(crate) fn note(&self, text: &str) {
        self.bar.suspend(|| {
            // When standard error is closed there is nowhere to write the note.
            drop(writeln!(std::io::stderr().lock(), "runledger: {text}"));
        });
    }

    /// Removes the spinner.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
