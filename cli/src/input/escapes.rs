//! Escapes in texts of the command line, where a line feed is awkward to type. Pure.

/// Splits at the first `:` without a backslash before it.
pub(super) fn split_at_colon(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, char) in text.char_indices() {
        match char {
            // Whatever it is, the backslash before has taken its meaning away.
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            ':' => return Some((text.get(..at)?, text.get(at + 1..)?)),
            _ => {}
        }
    }
    None
}

/// Replaces `\n`, `\t`, `\r`, `\0`, `\xHH`, `\\`, `\:` and `\@` by what they stand for.
pub(super) fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char == '\\' {
            bytes.push(escaped(&mut chars)?);
        } else {
            bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    Ok(bytes)
}

fn escaped(chars: &mut std::str::Chars<'_>) -> Result<u8, String> {
    match chars.next() {
        Some('n') => Ok(b'\n'),
        Some('t') => Ok(b'\t'),
        Some('r') => Ok(b'\r'),
        Some('0') => Ok(0),
        Some('\\') => Ok(b'\\'),
        Some(':') => Ok(b':'),
        Some('@') => Ok(b'@'),
        Some('x') => hex_byte(chars),
        Some(other) => Err(format!("there is no escape \\{other}; a backslash itself is \\\\")),
        None => Err("the text ends with a backslash; a backslash itself is \\\\".to_owned()),
    }
}

fn hex_byte(chars: &mut std::str::Chars<'_>) -> Result<u8, String> {
    let digit = |char: Option<char>| char.and_then(|char| char.to_digit(16));
    match (digit(chars.next()), digit(chars.next())) {
        (Some(high), Some(low)) => Ok(u8::try_from(high * 16 + low).unwrap_or(u8::MAX)),
        _ => Err("\\x takes two hexadecimal digits".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_stand_for_single_bytes() {
        assert_eq!(unescape(r"a\nb\t\r\0\\\:\@\xfF"), Ok(b"a\nb\t\r\0\\:@\xff".to_vec()));
        assert_eq!(unescape("ü:@"), Ok("ü:@".as_bytes().to_vec()));
    }

    #[test]
    fn what_is_no_escape_is_refused() {
        for bad in [r"\q", r"\", r"\x1", r"\xzz"] {
            assert!(unescape(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_first_bare_colon_splits() {
        assert_eq!(split_at_colon("1:2:3"), Some(("1", "2:3")));
        assert_eq!(split_at_colon("::"), Some(("", ":")));
        assert_eq!(split_at_colon(r"a\:b:c"), Some((r"a\:b", "c")));
        assert_eq!(split_at_colon(r"a\\:c"), Some((r"a\\", "c")));
        assert_eq!(split_at_colon("ü:é"), Some(("ü", "é")));
        assert_eq!(split_at_colon(r"a\:b"), None);
    }
}
