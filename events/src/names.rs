//! Bounded names: users, executors, pools, languages and files. Each is checked once, where it
//! enters.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not a name.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct NameError(Cow<'static, str>);

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            // Also called by serde, so that a stored name is checked whenever it is read.
            fn try_from(text: String) -> Result<Self, NameError> {
                let check: fn(&str) -> Result<(), NameError> = $check;
                check(&text).map(|()| Self(text))
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// The longest token, in bytes. A token is one part of a subject.
pub const TOKEN_BYTES_MAX: usize = 32;
/// The longest user id, in bytes.
pub const USER_ID_BYTES_MAX: usize = 128;
/// The longest file name, directories included, in bytes.
pub const FILE_NAME_BYTES_MAX: usize = 255;
/// The deepest file name, in components.
pub const FILE_NAME_DEPTH_MAX: usize = 8;

name! {
    /// A user: the `sub` of the caller's token. Printable, 1 to 128 bytes; we read nothing into it.
    UserId, check_user
}
name! {
    /// A person whom a principal submits for. Printable, 1 to 128 bytes; we read nothing into it.
    EndUser, check_user
}
name! {
    /// An executor's configured name, one token.
    ExecutorName, check_token
}
name! {
    /// A pool of executors that share an image, one token of a subject.
    PoolName, check_token
}
name! {
    /// A language's stable short name, as `python`.
    LanguageSlug, check_token
}
name! {
    /// A plain relative path of a submission's file: no `..`, no leading `/`, no NUL.
    FileName, check_file
}

fn refuse(why: impl Into<Cow<'static, str>>) -> Result<(), NameError> {
    Err(NameError(why.into()))
}

fn check_user(text: &str) -> Result<(), NameError> {
    if text.is_empty() || text.len() > USER_ID_BYTES_MAX {
        return refuse(format!("a user id has 1 to {USER_ID_BYTES_MAX} bytes, not {}", text.len()));
    }
    // A control character in a log or a terminal could forge a line.
    if text.chars().any(char::is_control) {
        return refuse("a user id has no control characters");
    }
    Ok(())
}

fn check_token(text: &str) -> Result<(), NameError> {
    // A dot, `*` or `>` would change the structure of a subject.
    let plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-'
    };
    if text.is_empty() || text.len() > TOKEN_BYTES_MAX || !text.bytes().all(plain) {
        return refuse(format!(
            "a name has 1 to {TOKEN_BYTES_MAX} characters out of a-z, 0-9, _ and -"
        ));
    }
    Ok(())
}

fn check_file(text: &str) -> Result<(), NameError> {
    if text.is_empty() || text.len() > FILE_NAME_BYTES_MAX {
        return refuse(format!(
            "a file name has 1 to {FILE_NAME_BYTES_MAX} bytes, not {}",
            text.len()
        ));
    }
    // An absolute path, `..` and the like could lead out of the box.
    if text.starts_with('/') {
        return refuse("a file name is relative: it does not begin with /");
    }
    if text.chars().any(char::is_control) {
        return refuse("a file name has no NUL and no other control characters");
    }
    if text.split('/').count() > FILE_NAME_DEPTH_MAX {
        return refuse(format!("a file name has at most {FILE_NAME_DEPTH_MAX} components"));
    }
    // An empty component or `.` would give one file two names.
    if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return refuse("a file name has no empty component, no . and no ..");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_relative_paths_are_file_names() {
        for good in ["main.py", "src/lib/a.c", "ünïcode.txt", "a b.txt", "..data", "...", "a..b"]
        {
            assert!(FileName::from_str(good).is_ok(), "{good:?} was refused");
        }
    }

    #[test]
    fn paths_that_could_leave_the_box_are_refused() {
        let long = "x".repeat(FILE_NAME_BYTES_MAX + 1);
        for bad in [
            "",
            "/etc/passwd",
            "..",
            "a/../b",
            "a//b",
            "a/",
            ".",
            "a\0b",
            "a\nb",
            "a/b/c/d/e/f/g/h/i",
            &long,
        ] {
            assert!(FileName::from_str(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn tokens_cannot_carry_a_subject_separator_or_wildcard() {
        for bad in ["", "a.b", "*", ">", "A", "a b", &"x".repeat(TOKEN_BYTES_MAX + 1)] {
            assert!(PoolName::from_str(bad).is_err(), "{bad:?} was accepted");
        }
        assert_eq!(PoolName::from_str("core-2_x").unwrap().as_str(), "core-2_x");
    }

    #[test]
    fn a_user_id_is_bounded_and_printable() {
        for bad in ["", "a\nb", &"x".repeat(USER_ID_BYTES_MAX + 1)] {
            assert!(UserId::from_str(bad).is_err(), "{bad:?} was accepted");
        }
        assert_eq!(UserId::from_str("auth0|123").unwrap().as_str(), "auth0|123");
    }
}
