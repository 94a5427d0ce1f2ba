//! Options with a form of their own: limits and checkers. The server decides which exist.

use client::NamedChecker;
use serde_json::Number;

/// Understands `NAME` and `floats:TOLERANCE`.
pub(crate) fn parse_checker(argument: &str) -> Result<NamedChecker, String> {
    let Some((name, tolerance)) = argument.split_once(':') else {
        return Ok(NamedChecker { name: argument.to_owned(), tolerance: None });
    };
    let tolerance = tolerance
        .parse()
        .ok()
        // Refuses NaN and infinity, which JSON cannot carry.
        .and_then(Number::from_f64)
        .ok_or("a tolerance is a number, as in floats:1e-6")?;
    Ok(NamedChecker { name: name.to_owned(), tolerance: Some(tolerance) })
}

/// Understands `NAME=VALUE`. The server decides which names and values are allowed.
pub(crate) fn parse_limit(argument: &str) -> Result<(String, u64), String> {
    let (name, value) =
        argument.split_once('=').ok_or("a limit is NAME=VALUE, as in cpu_time_ms=2000")?;
    let value = value.parse().map_err(|_nan| format!("{value:?} is not a whole number"))?;
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_checkers_that_make_no_sense_are_refused() {
        for bad in ["cpu_time_ms", "cpu_time_ms=", "cpu_time_ms=-1", "cpu_time_ms=1.5"] {
            assert!(parse_limit(bad).is_err(), "{bad}");
        }
        for bad in ["floats:", "floats:x", "floats:nan"] {
            assert!(parse_checker(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_limit_has_a_value_and_a_checker_may_have_a_tolerance() {
        assert_eq!(parse_limit("cpu_time_ms=2000"), Ok(("cpu_time_ms".to_owned(), 2_000)));
        let floats = NamedChecker { name: "floats".to_owned(), tolerance: Number::from_f64(1e-3) };
        assert_eq!(parse_checker("floats:1e-3"), Ok(floats));
        let exact = NamedChecker { name: "exact".to_owned(), tolerance: None };
        assert_eq!(parse_checker("exact"), Ok(exact));
    }
}
