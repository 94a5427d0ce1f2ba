//! Colours, for a terminal alone.

/// How words are emphasised.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    colours: bool,
}

const GREEN: &str = "\x1b[1;32m";
const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

impl Style {
    /// Colours for a terminal, none for a file or a pipe.
    pub(crate) fn for_terminal(is_terminal: bool) -> Self {
        Self { colours: is_terminal }
    }

    /// A verdict: green where it is good, else red.
    pub(crate) fn verdict(self, verdict: &str) -> String {
        let colour = if matches!(verdict, "accepted" | "finished") { GREEN } else { RED };
        self.paint(colour, &verdict.replace('_', " "))
    }

    /// A state without a verdict.
    pub(crate) fn state(self, state: &str) -> String {
        self.paint(if state == "failed" { RED } else { YELLOW }, state)
    }

    /// What is less important.
    pub(crate) fn dim(self, text: &str) -> String {
        self.paint(DIM, text)
    }

    fn paint(self, colour: &str, text: &str) -> String {
        if self.colours { format!("{colour}{text}{RESET}") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_only() {
        assert_eq!(Style::for_terminal(false).verdict("wrong_answer"), "wrong answer");
        assert_eq!(Style::for_terminal(true).verdict("accepted"), "\x1b[1;32maccepted\x1b[0m");
    }
}
