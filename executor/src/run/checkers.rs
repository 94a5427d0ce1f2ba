//! Comparing an output with the expected one. Outputs are bytes: nothing here asks for valid text.
//! Pure.

use events::event::Checker;

/// A checker, ready to compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Comparison {
    /// Line by line, as Judge0 does it, so that suites can be moved from there.
    Lines,
    /// Byte by byte.
    Exact,
    /// Word by word.
    Tokens,
    /// Word by word, numbers within a tolerance.
    Floats(Tolerance),
}

/// How far a number may be off: by this much, or by this share of the expected number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance(f64);

/// A tolerance that is not a number, or is below 0.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no tolerance")]
pub struct ToleranceError(String);

impl TryFrom<&str> for Tolerance {
    type Error = ToleranceError;

    fn try_from(text: &str) -> Result<Self, ToleranceError> {
        let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
        number.map(Self).ok_or_else(|| ToleranceError(text.to_owned()))
    }
}

impl TryFrom<&Checker> for Comparison {
    type Error = ToleranceError;

    fn try_from(checker: &Checker) -> Result<Self, ToleranceError> {
        Ok(match checker {
            Checker::Lines => Self::Lines,
            Checker::Exact => Self::Exact,
            Checker::Tokens => Self::Tokens,
            Checker::Floats { tolerance } => Self::Floats(tolerance.as_str().try_into()?),
        })
    }
}

impl Comparison {
    /// Tells whether `output` is as good as `expected`.
    pub fn accepts(self, expected: &[u8], output: &[u8]) -> bool {
        match self {
            Self::Exact => expected == output,
            Self::Lines => lines(expected).eq(lines(output)),
            Self::Tokens => tokens(expected).eq(tokens(output)),
            Self::Floats(tolerance) => {
                let (mut expected, mut output) = (tokens(expected), tokens(output));
                loop {
                    match (expected.next(), output.next()) {
                        (None, None) => return true,
                        (Some(expected), Some(output)) if tolerance.accepts(expected, output) => {}
                        (Some(_) | None, _) => return false,
                    }
                }
            }
        }
    }
}

impl Tolerance {
    fn accepts(self, expected: &[u8], output: &[u8]) -> bool {
        // Words that are not numbers are compared as they stand, and equal numbers need no
        // arithmetic.
        if expected == output {
            return true;
        }
        let (Some(expected), Some(output)) = (number(expected), number(output)) else {
            return false;
        };
        // By the arithmetic below nothing is near NaN or an infinity, not even itself.
        if expected.is_nan() || output.is_nan() {
            return expected.is_nan() && output.is_nan();
        }
        if expected.is_infinite() || output.is_infinite() {
            return expected.is_infinite()
                && expected.is_sign_positive() == output.is_sign_positive()
                && output.is_infinite();
        }
        // Absolute for small numbers, relative for large ones, as judges usually do it.
        let off = (expected - output).abs();
        off <= self.0 || off <= self.0 * expected.abs()
    }
}

/// Decimal numbers, `inf` and `nan` in any case.
fn number(token: &[u8]) -> Option<f64> {
    std::str::from_utf8(token).ok()?.parse().ok()
}

/// Lines without white space at their ends, and without empty ones at the end of all.
fn lines(output: &[u8]) -> impl Iterator<Item = &[u8]> {
    trim_end(output).split(|byte| *byte == b'\n').map(trim_end)
}

fn trim_end(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| !is_trimmed(*byte)).map_or(0, |last| last + 1);
    &bytes[..end]
}

/// What Judge0's language strips from the end of a line: white space and NUL.
fn is_trimmed(byte: u8) -> bool {
    is_space(byte) || byte == 0
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn tokens(output: &[u8]) -> impl Iterator<Item = &[u8]> {
    output.split(|byte| is_space(*byte)).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn floats(tolerance: &str) -> Comparison {
        Comparison::Floats(tolerance.try_into().unwrap())
    }

    #[test]
    fn lines_forgive_white_space_at_the_ends_and_nothing_else() {
        let good: [(&[u8], &[u8]); 7] = [
            (b"a\nb", b"a\nb\n"),
            (b"a\nb\n", b"a  \r\nb\t\n\n \n"),
            (b"", b"\n\n  "),
            (b"a", b"a\0\n"),
            (b"a\n\nb", b"a\n  \nb"),
            (b"\xff\xfe", b"\xff\xfe\n"),
            (b"  a", b"  a"),
        ];
        for (expected, output) in good {
            assert!(Comparison::Lines.accepts(expected, output), "{output:?}");
        }
        let bad: [(&[u8], &[u8]); 6] = [
            (b"a\nb", b"a b"),
            (b"a", b" a"),
            (b"a", b"A"),
            (b"a\nb", b"a\n\nb"),
            (b"a", b""),
            (b"a b", b"a  b"),
        ];
        for (expected, output) in bad {
            assert!(!Comparison::Lines.accepts(expected, output), "{output:?}");
        }
    }

    #[test]
    fn exact_forgives_nothing() {
        assert!(Comparison::Exact.accepts(b"a\n", b"a\n"));
        assert!(!Comparison::Exact.accepts(b"a\n", b"a"));
    }

    #[test]
    fn tokens_forgive_all_white_space() {
        assert!(Comparison::Tokens.accepts(b"1 2\n3", b"  1\t2 3\r\n"));
        assert!(Comparison::Tokens.accepts(b"", b" \n"));
        assert!(!Comparison::Tokens.accepts(b"1 2", b"12"));
        assert!(!Comparison::Tokens.accepts(b"1 2", b"1 2 3"));
        assert!(!Comparison::Tokens.accepts(b"1 2", b"1"));
    }

    #[test]
    fn floats_may_be_off_by_the_tolerance_or_by_that_share() {
        let close = floats("1e-3");
        for (expected, output) in [
            ("1.0", "1.0009"),
            ("1", "1.000"),
            ("1e6", "1000900"),
            ("0", "-0.0009"),
            (".5", "5e-1"),
            ("yes 2.0", "yes 2"),
        ] {
            assert!(close.accepts(expected.as_bytes(), output.as_bytes()), "{output}");
        }
        for (expected, output) in [
            ("1.0", "1.0011"),
            ("1e6", "1002000"),
            ("1.0", "one"),
            ("one", "1.0"),
            ("1 2", "1"),
            ("1", "1 2"),
            ("yes", "Yes"),
        ] {
            assert!(!close.accepts(expected.as_bytes(), output.as_bytes()), "{output}");
        }
    }

    #[test]
    fn what_is_no_finite_number_must_be_the_same() {
        let close = floats("1e300");
        for (expected, output) in [("nan", "NaN"), ("inf", "Infinity"), ("-inf", "-Infinity")] {
            assert!(close.accepts(expected.as_bytes(), output.as_bytes()), "{expected} {output}");
        }
        for (expected, output) in
            [("nan", "1"), ("1", "nan"), ("inf", "-inf"), ("inf", "1e308"), ("1e308", "inf")]
        {
            assert!(!close.accepts(expected.as_bytes(), output.as_bytes()), "{expected} {output}");
        }
    }

    #[test]
    fn only_a_number_from_zero_on_is_a_tolerance() {
        for bad in ["", "x", "-1", "nan", "inf", "1e999"] {
            assert!(Tolerance::try_from(bad).is_err(), "{bad:?} was accepted");
        }
        assert_eq!(Tolerance::try_from("0").unwrap(), Tolerance(0.0));
    }

    fn texts() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(
            prop_oneof![Just(b' '), Just(b'\n'), Just(b'\r'), Just(b'a'), any::<u8>()],
            0..64,
        )
    }

    proptest! {
        #[test]
        fn every_output_is_as_good_as_itself(output in texts()) {
            for comparison in [Comparison::Lines, Comparison::Exact, Comparison::Tokens, floats("0")] {
                prop_assert!(comparison.accepts(&output, &output));
            }
        }

        #[test]
        fn lines_do_not_see_what_is_added_to_line_ends(output in texts(), end in "[ \t\r]{0,3}") {
            let mut padded = Vec::new();
            for line in output.split(|byte| *byte == b'\n') {
                padded.extend_from_slice(line);
                padded.extend_from_slice(end.as_bytes());
                padded.push(b'\n');
            }
            prop_assert!(Comparison::Lines.accepts(&output, &padded));
            prop_assert!(Comparison::Lines.accepts(&padded, &output));
        }

        #[test]
        fn lines_are_what_judge0_computes(expected in texts(), output in texts()) {
            // Split, strip each line's end, join, strip the end of all.
            let normal = |bytes: &[u8]| {
                let stripped: Vec<&[u8]> = bytes.split(|b| *b == b'\n').map(trim_end).collect();
                trim_end(&stripped.join(&b'\n')).to_vec()
            };
            let same = normal(&expected) == normal(&output);
            prop_assert_eq!(Comparison::Lines.accepts(&expected, &output), same);
        }

        #[test]
        fn what_lines_accept_tokens_accept(expected in texts(), output in texts()) {
            // NUL at a line's end is stripped by the one and part of a word for the other.
            prop_assume!(!expected.contains(&0) && !output.contains(&0));
            if Comparison::Lines.accepts(&expected, &output) {
                prop_assert!(Comparison::Tokens.accepts(&expected, &output));
            }
        }

        #[test]
        fn words_may_be_laid_out_anew(words in proptest::collection::vec("[a-z0-9.]{1,5}", 0..10)) {
            let (line, column) = (words.join(" "), words.join("\n\n"));
            prop_assert!(Comparison::Tokens.accepts(line.as_bytes(), column.as_bytes()));
            prop_assert!(floats("0").accepts(line.as_bytes(), column.as_bytes()));
        }

        #[test]
        fn a_number_within_the_tolerance_is_accepted(number in -1e9..1e9_f64, off in -0.9..0.9_f64) {
            let (expected, output) = (format!("{number}"), format!("{}", number + off * 1e-3));
            prop_assert!(floats("1e-3").accepts(expected.as_bytes(), output.as_bytes()));
        }
    }
}
