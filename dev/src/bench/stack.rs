//! A Runledger to measure: one commit, built for release and started by that commit's own
//! `cargo dev`, which may be older than this one. It shares nothing with the topology of `up`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use client::Client;

use crate::command::{output, shown_run};
use crate::failure::failure;
use crate::paths::Layout;
use crate::steps::loud_step;
use crate::{dev_env, environment, interrupt, programs};

/// How many letters of a commit's hash its name has.
const SHORT_HASH: usize = 10;

/// A commit that can be started and stopped.
pub(super) struct Stack {
    /// What the report calls it.
    pub(super) name: String,
    root: PathBuf,
    state: PathBuf,
    /// The program and arguments that are its `cargo dev`.
    dev: Vec<OsString>,
    own_engine: bool,
}

impl Stack {
    /// The commit that is checked out here, changes included.
    pub(super) fn here(layout: &Layout, own_engine: bool) -> Result<Self> {
        let state = layout.dir.join("bench");
        let program = std::env::current_exe().context("the path of `cargo dev`")?;
        let dev = vec![program.into(), "--state".into(), state.clone().into()];
        Ok(Self { name: "here".to_owned(), root: layout.root.clone(), state, dev, own_engine })
    }

    /// Another commit, checked out into a clone of its own. The clone stays, so that its next build
    /// is short.
    pub(super) fn of_commit(layout: &Layout, rev: &str) -> Result<Self> {
        let root = layout.dir.join("against");
        // Peeled to a commit: git would also find a file's hash, which cannot be checked out.
        let commit = format!("{rev}^{{commit}}");
        let found = git(&layout.root, &["rev-parse", "--verify", "--end-of-options", &commit]);
        let hash = found.map_err(|error| {
            failure(format!("{error:#}"), format!("name a commit that this clone has, not {rev:?}"))
        })?;
        let hash = hash.trim();
        if !root.join(".git").exists() {
            let from = layout.root.display().to_string();
            // Shared objects: the clone finds every commit that we have, later ones too.
            let to = root.display().to_string();
            git(&layout.root, &["clone", "--quiet", "--shared", "--no-checkout", &from, &to])?;
        }
        // By force: a build of the last commit may have changed a file, such as Cargo.lock.
        git(&root, &["checkout", "--quiet", "--force", "--detach", hash])?;
        // A state of its own comes with the folder: every `cargo dev` keeps it in `.runledger`.
        let name = hash.chars().take(SHORT_HASH).collect();
        let state = root.join(".runledger");
        let dev = vec![environment::cargo(), "dev".into()];
        Ok(Self { name, root, state, dev, own_engine: true })
    }

    /// Builds and starts it, and returns a client of its edge.
    pub(super) fn up(&self) -> Result<Client> {
        loud_step(&format!("build and start {}", self.name), || {
            shown_run(self.call().args(["up", "--detach"]))
        })?;
        let (url, token) = dev_env::read(&self.state.join("dev.env"))?;
        Ok(Client::new(&url, Some(&token.into()))?)
    }

    /// Stops it and deletes its data, which another commit may be unable to read.
    pub(super) fn down(&self) -> Result<()> {
        // The Ctrl-C that ended the measurement would also end the command that stops the servers.
        interrupt::take();
        loud_step(&format!("stop {}", self.name), || {
            shown_run(self.call().args(["down", "--wipe"]))
        })
    }

    /// Stops one part of it.
    pub(super) fn stop(&self, part: &str) -> Result<()> {
        loud_step(&format!("stop {part}"), || shown_run(self.call().args(["stop", part])))
    }

    fn call(&self) -> Command {
        let (program, args) = self.dev.split_first().expect("a command has a program");
        let mut command = Command::new(program);
        // A target folder of the caller's would mix the builds of both commits.
        command.args(args).current_dir(&self.root).env_remove("CARGO_TARGET_DIR");
        // Debug builds of two commits may differ where their releases do not.
        command.env(programs::PROFILE, "release");
        if self.own_engine {
            // On one engine the commits would take each other's image, since it has the same tag in
            // both.
            command.env("RUNLEDGER_DEV_OWN_ENGINE", "1");
        }
        command
    }
}

fn git(dir: &Path, args: &[&str]) -> Result<String> {
    output(Command::new("git").arg("-C").arg(dir).args(args))
}
