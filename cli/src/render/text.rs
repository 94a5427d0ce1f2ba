//! Bytes that a submitted program wrote, made safe for a terminal.

use std::fmt::Write as _;

/// Shows bytes as text. Control characters other than line feed and tab, and bytes that are not
/// UTF-8, become escapes.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|char| push(&mut text, char));
        chunk.invalid().iter().for_each(|&byte| push_escaped(&mut text, byte.into()));
    }
    text
}

fn push(text: &mut String, char: char) {
    // A submitted program must not move the reader's cursor or change the title of their window.
    if char.is_control() && !matches!(char, '\n' | '\t') {
        push_escaped(text, char.into());
    } else {
        text.push(char);
    }
}

fn push_escaped(text: &mut String, code: u32) {
    write!(text, "\\x{code:02x}").expect("a string takes any text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_as_it_is() {
        assert_eq!(printable("é\t\n".as_bytes()), "é\t\n");
    }

    #[test]
    fn what_could_steer_a_terminal_is_escaped() {
        assert_eq!(printable(b"\x1b[2J\r\0\x7f\xff\xc3"), "\\x1b[2J\\x0d\\x00\\x7f\\xff\\xc3");
        assert_eq!(printable("\u{9b}".as_bytes()), "\\x9b");
    }
}
