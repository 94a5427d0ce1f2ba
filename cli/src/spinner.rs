//! Shows on standard error that we wait, and for what: a spinner where that is a terminal, plain notes elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the spinner turns.
const TURN: Duration = Duration::from_millis(100);

/// A line that tells what we wait for.
#[derive(Clone, Debug)]
pub(crate) struct Spinner {
    bar: ProgressBar,
}

impl Spinner {
    /// Shows on standard error, if that is a terminal.
    pub(crate) fn on_stderr() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self { bar: ProgressBar::hidden() };
        }
        let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        Self { bar: bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner())) }
    }

    /// Says what we wait for now.
    pub(crate) fn waiting_for(&self, what: String) {
        self.bar.enable_steady_tick(TURN);
        self.bar.set_message(what);
    }

    /// Leaves a line behind, above the spinner.
    pub(crate) fn note(&self, text: &str) {
        self.bar.suspend(|| {
            // With standard error gone there is nobody to tell.
            drop(writeln!(std::io::stderr().lock(), "runledger: {text}"));
        });
    }

    /// Takes the spinner away.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
