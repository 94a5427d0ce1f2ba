//! The secret that this topology's tokens are signed with: made once, readable by its user alone.

use std::fmt;
use std::fs;
use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::paths::{self, Layout};

const SECRET_BYTES: usize = 32;

/// A signing secret, as the services take it: text of 64 hexadecimal digits.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    /// The secret of this topology, made at first use.
    pub(crate) fn ensure(layout: &Layout) -> Result<Self> {
        let path = file(layout);
        if path.is_file() {
            let text = fs::read_to_string(&path).context("read the signing secret")?;
            return Ok(Self(text.trim().to_owned()));
        }
        paths::make_private(path.parent().context("directory of secrets")?)?;
        // From the kernel's file, so that this tool needs no crate for it.
        let mut bytes = [0_u8; SECRET_BYTES];
        let random =
            fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
        random.context("read /dev/urandom")?;
        let text = hex::encode(bytes);
        paths::write_whole(&path, text.as_bytes(), 0o600)?;
        Ok(Self(text))
    }

    /// The secret itself.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

/// Where the secret of this topology is kept.
pub(crate) fn file(layout: &Layout) -> PathBuf {
    layout.dir.join("secrets/hs256")
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn the_secret_is_made_once_and_for_one_user() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path(), dir.path());

        let first = Secret::ensure(&layout).unwrap();
        let second = Secret::ensure(&layout).unwrap();

        assert_eq!(first.text(), second.text());
        assert_eq!(first.text().len(), 2 * SECRET_BYTES);
        let mode = fs::metadata(dir.path().join("secrets/hs256")).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{first:?}").contains(first.text()));
    }
}
