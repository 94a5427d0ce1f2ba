//! A caller that has been believed: a subject and its scopes.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Something that a token may allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// To submit programs and cancel one's own.
    Submit,
    /// To read what others submitted.
    ReadAny,
    /// To run the service.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Submit, Self::ReadAny, Self::Admin];

    /// Returns the scope's name in a token.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::ReadAny => "read:any",
            Self::Admin => "admin",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Submit => 1,
            Self::ReadAny => 2,
            Self::Admin => 4,
        }
    }
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Reads a token's space-separated list; names that mean nothing here are other services' business.
    pub fn parse(list: &str) -> Self {
        let known = list
            .split(' ')
            .filter_map(|name| Scope::ALL.into_iter().find(|scope| scope.as_str() == name));
        Self(known.fold(0, |bits, scope| bits | scope.bit()))
    }

    /// Returns whether the set has the scope.
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }
}

/// The caller's name: 1 to 128 bytes, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subject(String);

/// A text that cannot be a caller's name.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SubjectError {
    /// There is nothing.
    #[error("the subject is empty")]
    Empty,
    /// There is too much.
    #[error("the subject has {bytes} bytes, more than {}", Subject::BYTES_MAX)]
    TooLong {
        /// How many.
        bytes: usize,
    },
    /// There is something that cannot be shown.
    #[error("the subject has a control character")]
    ControlCharacter,
}

impl Subject {
    /// The longest subject, in bytes, as of a user in events.
    pub const BYTES_MAX: usize = 128;

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Subject {
    type Error = SubjectError;

    fn try_from(text: String) -> Result<Self, SubjectError> {
        if text.is_empty() {
            return Err(SubjectError::Empty);
        }
        if text.len() > Self::BYTES_MAX {
            return Err(SubjectError::TooLong { bytes: text.len() });
        }
        if text.chars().any(char::is_control) {
            return Err(SubjectError::ControlCharacter);
        }
        Ok(Self(text))
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A caller that has been believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The caller's name.
    pub subject: Subject,
    /// What the caller may do.
    pub scopes: Scopes,
}

impl Principal {
    /// Returns whether the caller has the scope.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_scopes_are_ignored_and_none_is_a_part_of_another() {
        let scopes = Scopes::parse("submit read:anything  openid admin");
        assert!(scopes.contains(Scope::Submit) && scopes.contains(Scope::Admin));
        assert!(!scopes.contains(Scope::ReadAny));
        assert_eq!(Scopes::parse(""), Scopes::default());
        assert_eq!(Scopes::parse("Submit"), Scopes::default());
    }

    #[test]
    fn a_subject_is_bounded_and_printable() {
        let subject = |text: &str| Subject::try_from(text.to_owned());
        subject(&"ü".repeat(64)).unwrap();
        assert_eq!(subject(&"ü".repeat(65)), Err(SubjectError::TooLong { bytes: 130 }));
        assert_eq!(subject(""), Err(SubjectError::Empty));
        assert_eq!(subject(&"a".repeat(129)), Err(SubjectError::TooLong { bytes: 129 }));
        assert_eq!(subject("a\nb"), Err(SubjectError::ControlCharacter));
        assert_eq!(subject("a\0"), Err(SubjectError::ControlCharacter));
    }
}
