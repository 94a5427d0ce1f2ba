//! nats-server: the ledger's home.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

use crate::{Program, Server, files, http};

/// The users in `users.conf`, which stands beside the deployed configuration.
pub const USERS: [&str; 7] =
    ["provisioner", "command-api", "executor", "projector", "query-api", "sweeper", "viewer"];

/// The password of each user, shown to nobody.
#[derive(Clone)]
pub struct NatsPasswords(BTreeMap<&'static str, String>);

impl NatsPasswords {
    /// Takes each user's password from `password`.
    pub fn of_each(mut password: impl FnMut(&str) -> Result<String>) -> Result<Self> {
        let passwords = USERS.into_iter().map(|user| Ok((user, password(user)?)));
        Ok(Self(passwords.collect::<Result<_>>()?))
    }

    /// Returns the password of a user.
    pub fn of(&self, user: &str) -> Result<&str> {
        let password = self.0.get(user).map(String::as_str);
        password.with_context(|| format!("NATS has no user {user}"))
    }

    /// Returns them as the variables that the configuration names.
    fn variables(&self) -> impl Iterator<Item = (String, String)> {
        self.0.iter().map(|(user, password)| {
            let name = format!("NATS_{}_PASSWORD", user.to_uppercase().replace('-', "_"));
            // The server reads a variable's text as configuration: without quotes, digits would be
            // a number.
            (name, format!("\"{password}\""))
        })
    }
}

impl fmt::Debug for NatsPasswords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NatsPasswords(..)")
    }
}

/// One nats-server.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Nats {
    pub program: PathBuf,
    /// A configuration that takes the addresses, the directory and the passwords from variables, as
    /// the file in `deploy/nats` does. The users stand beside it, in `users.conf`.
    pub config: PathBuf,
    /// A name other than the configuration's.
    pub name: Option<String>,
    pub address: String,
    pub monitor_address: String,
    pub store: PathBuf,
    pub passwords: NatsPasswords,
}

impl Nats {
    /// Returns the address for clients.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Returns the address that tells how the server is.
    pub fn monitor_url(&self) -> String {
        format!("http://{}", self.monitor_address)
    }
}

impl Server for Nats {
    fn prepare(&self) -> Result<Program> {
        files::make_private(&self.store)?;
        // Where a server without accounts kept its streams: the server would begin a new ledger beside
        // them, and the views would not fit it.
        let older = self.store.join("jetstream/$G/streams/LEDGER");
        ensure!(
            !older.exists(),
            "{} is a ledger of an older form, which this version does not read: begin anew with \
             `cargo dev down --wipe`",
            older.display()
        );
        let name = self.name.iter().flat_map(|name| ["--name", name]);
        let mut program = Program::new(&self.program)
            .args(["--config".as_ref(), self.config.as_os_str()])
            .args(name)
            .file(&self.config)
            .file(self.config.with_file_name("users.conf"))
            .env("NATS_LISTEN", &self.address)
            .env("NATS_MONITOR", &self.monitor_address)
            // The server reads a variable's text as configuration, so a path has to be quoted.
            .env("NATS_STORE_DIR", format!("\"{}\"", self.store.display()))
            .stop_by(Signal::TERM, Duration::from_secs(20));
        program.env.extend(self.passwords.variables().map(|(name, text)| (name, text.into())));
        Ok(program)
    }

    fn check(&self) -> Result<()> {
        // Without its options, the question includes whether streams and consumers are recovered. A
        // test that starts before would find them absent.
        match http::get(&self.monitor_address, "/healthz")? {
            (200, _) => Ok(()),
            (status, body) => bail!("/healthz answers {status}: {}", body.trim()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_of_the_deployed_file_has_a_password_and_no_other_has() {
        let file = include_str!("../../deploy/nats/users.conf");
        let texts = |key: &str| -> Vec<String> {
            let lines = file.lines().filter_map(|line| line.trim().strip_prefix(key));
            lines.map(|text| text.trim().trim_matches(['"', '$']).to_owned()).collect()
        };
        let passwords = NatsPasswords::of_each(|user| Ok(format!("of {user}"))).unwrap();

        let mut variables: Vec<String> = passwords.variables().map(|(name, _)| name).collect();
        let mut named = texts("password:");
        variables.sort_unstable();
        named.sort_unstable();

        assert_eq!(texts("user:"), USERS);
        assert_eq!(named, variables);
        assert_eq!(passwords.of("viewer").unwrap(), "of viewer");
        passwords.of("nobody").unwrap_err();
        assert!(!format!("{passwords:?}").contains("of viewer"));
    }

    #[test]
    fn a_ledger_of_an_older_form_is_refused_with_the_way_to_begin_anew() {
        let dir = tempfile::tempdir().unwrap();
        let server = Nats {
            program: "nats-server".into(),
            config: "nats.conf".into(),
            name: None,
            address: "127.0.0.1:4222".to_owned(),
            monitor_address: "127.0.0.1:8222".to_owned(),
            store: dir.path().to_owned(),
            passwords: NatsPasswords::of_each(|_| Ok(String::new())).unwrap(),
        };
        server.prepare().unwrap();
        std::fs::create_dir_all(dir.path().join("jetstream/$G/streams/LEDGER")).unwrap();
        let refused = server.prepare().unwrap_err().to_string();
        assert!(refused.contains("begin anew with `cargo dev down --wipe`"), "{refused}");
    }
}
