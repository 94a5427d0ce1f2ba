//! JSON pointers (RFC 6901), built as a body is walked.

use std::fmt;

use serde_path_to_error::{Path, Segment};

/// A place in a JSON text. The root is the empty string.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JsonPointer(String);

impl JsonPointer {
    /// Returns the place of the whole text.
    pub fn root() -> Self {
        Self::default()
    }

    /// Returns the place of an object's member.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        // `~` goes first: the `~1` that stands for a slash must not be escaped again.
        Self(format!("{}/{}", self.0, key.replace('~', "~0").replace('/', "~1")))
    }

    /// Returns the place of an array's element.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}/{index}", self.0))
    }
}

impl From<&Path> for JsonPointer {
    fn from(path: &Path) -> Self {
        path.iter().fold(Self::root(), |at, segment| match segment {
            Segment::Seq { index } => at.index(*index),
            Segment::Map { key } => at.key(key),
            Segment::Enum { variant } => at.key(variant),
            Segment::Unknown => at,
        })
    }
}

impl fmt::Display for JsonPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
