//! The secrets of this topology, each made once and readable by its user alone: what tokens are
//! signed with, and the passwords of the users of NATS.

use std::fmt;
use std::fs;
use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, Result};
use servers::nats::NatsPasswords;

use crate::paths::{self, Layout};

const SECRET_BYTES: usize = 32;

/// What tokens are signed with.
const SIGNING: &str = "hs256";

/// A secret, as the services take it: text of 64 hexadecimal digits.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    /// What tokens of this topology are signed with, made at first use.
    pub(crate) fn ensure(layout: &Layout) -> Result<Self> {
        Self::named(layout, SIGNING)
    }

    fn named(layout: &Layout, name: &str) -> Result<Self> {
        let path = secret_file(layout, name);
        if path.is_file() {
            let text = fs::read_to_string(&path).with_context(|| format!("read secret {name}"))?;
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

/// The passwords of the users of NATS, made at first use. A file that is deleted is made anew,
/// which changes that password at the next `cargo dev up`.
pub(crate) fn nats_passwords(layout: &Layout) -> Result<NatsPasswords> {
    NatsPasswords::of_each(|user| Ok(Secret::named(layout, &format!("nats-{user}"))?.0))
}

/// Where the signing secret of this topology is kept.
pub(crate) fn file(layout: &Layout) -> PathBuf {
    secret_file(layout, SIGNING)
}

fn secret_file(layout: &Layout, name: &str) -> PathBuf {
    layout.dir.join("secrets").join(name)
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::fs::MetadataExt;

    use servers::nats::USERS;

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

    #[test]
    fn every_user_of_nats_has_a_password_of_its_own_that_lasts() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path(), dir.path());

        let first = nats_passwords(&layout).unwrap();
        let second = nats_passwords(&layout).unwrap();

        let of = |user: &str| first.of(user).unwrap().to_owned();
        let different: BTreeSet<String> = USERS.into_iter().map(of).collect();
        assert_eq!(different.len(), USERS.len());
        assert_eq!(second.of("executor").unwrap(), of("executor"));
        let mode = fs::metadata(dir.path().join("secrets/nats-executor")).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
