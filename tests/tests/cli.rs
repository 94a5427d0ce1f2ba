//! `runledger` against a whole Runledger: the server answers as the CLI's own tests assume.

use std::process::Output;

use anyhow::{Context, Result, ensure};
use blackbox::audit::Audit;
use blackbox::client::{Submitted, TestClient};
use blackbox::tools::Tools;
use blackbox::world::{World, WorldBuilder};
use events::Digest;
use serde_json::Value;

/// A person at a shell, in a directory of their own.
struct Shell {
    dir: tempfile::TempDir,
    url: String,
    token: String,
}

impl Shell {
    fn of(world: &World) -> Result<Self> {
        let token = world.secret().token("student-17", "submit")?;
        Ok(Self { dir: tempfile::tempdir()?, url: world.edge()?.url(), token })
    }

    fn write(&self, name: &str, content: &str) -> Result<()> {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().context("a file lies in a directory")?)?;
        Ok(std::fs::write(path, content)?)
    }

    /// Runs the program, which has to end with this code.
    async fn run(&self, args: &[&str], code: i32) -> Result<String> {
        let output = self.output(args).await?;
        ensure!(output.status.code() == Some(code), "{args:?}: {output:?}");
        Ok(String::from_utf8(output.stdout)?)
    }

    async fn output(&self, args: &[&str]) -> Result<Output> {
        let mut command =
            tokio::process::Command::new(Tools::from_env()?.bin_dir.join("runledger"));
        command.args(args).current_dir(self.dir.path()).env_clear();
        command.env("RUNLEDGER_URL", &self.url).env("RUNLEDGER_TOKEN", &self.token);
        command.output().await.context("run runledger")
    }
}

async fn play(scenario: impl AsyncFnOnce(&Shell, &mut World) -> Result<()>) -> Result<()> {
    WorldBuilder::default()
        .edge()
        .play(async |world| {
            let shell = Shell::of(world)?;
            scenario(&shell, world).await
        })
        .await
}

#[tokio::test]
async fn a_program_is_submitted_watched_and_shown() -> Result<()> {
    play(async |shell, _| {
        shell.write("hello.py", "print('hello from', input())")?;
        let said = shell.run(&["submit", "hello.py", "--stdin", "me\\n", "--watch"], 0).await?;
        ensure!(said.starts_with("finished · python 3.11 · exit 0 · cpu "), "{said}");
        ensure!(said.ends_with("--- stdout (14 bytes)\nhello from me\n"), "{said}");

        shell.write("broken.cpp", "int main() { return nothing; }")?;
        let said = shell.run(&["submit", "broken.cpp", "--watch"], 1).await?;
        ensure!(
            said.starts_with("compile error · cpp 12.2") && said.contains("--- compiler ("),
            "{said}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn files_options_limits_and_cases_arrive() -> Result<()> {
    play(async |shell, _| {
        shell.write("src/main.c", "#include <stdio.h>\n#include \"lib/add.h\"\nint main(void) { int n; scanf(\"%d\", &n); printf(\"%d\\n\", add(n, STEP)); }")?;
        shell.write("src/lib/add.h", "static int add(int a, int b) { return a + b; }")?;
        shell.write("cases/1.in", "1\n")?;
        shell.write("cases/1.out", "3\n")?;
        shell.write("cases/10.in", "10\n")?;
        shell.write("cases/10.out", "0\n")?;
        let line = [
            "submit", "src/main.c", "src/lib/add.h", "--compiler-option", "-DSTEP=2", "--limit", "cpu_time_ms=1000",
            "--case", "5:7", "--cases-dir", "cases", "--checker", "tokens", "--watch",
        ];
        let said = shell.run(&line, 1).await?;
        ensure!(said.starts_with("wrong answer · 2/3 cases, 2/3 points · c 12.2"), "{said}");
        let rows: Vec<Vec<&str>> = said.lines().skip(2).take(3).map(|row| row.split_whitespace().collect()).collect();
        ensure!(rows[1][..3] == ["2", "1", "accepted"] && rows[2][..3] == ["3", "10", "wrong"], "{said}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_record_is_printed_byte_by_byte_and_its_chain_holds() -> Result<()> {
    play(async |shell, world| {
        shell.write("hello.sh", "echo hello")?;
        let answer: Value =
            serde_json::from_str(&shell.run(&["submit", "hello.sh", "--json"], 0).await?)?;
        let id = answer["id"].as_str().context("no id")?;
        shell.run(&["watch", id], 0).await?;

        let raw = shell.run(&["events", id, "--json"], 0).await?;
        let audit = Audit::read(world).await?;
        let stored: Vec<Digest> =
            audit.messages.iter().map(|message| message.recorded.digest).collect();
        ensure!(
            raw.lines().map(|line| Digest::of(line.as_bytes())).eq(stored),
            "other bytes than are stored: {raw}"
        );
        let table = shell.run(&["events", id], 0).await?;
        ensure!(
            table.contains("execution.completed") && table.ends_with("the hash chain holds\n"),
            "{table}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_cancellation_and_a_refusal_have_their_exit_codes() -> Result<()> {
    play(async |shell, _| {
        shell.write("sleep.js", "setTimeout(() => {}, 20000)")?;
        let answer: Value =
            serde_json::from_str(&shell.run(&["submit", "sleep.js", "--json"], 0).await?)?;
        let id = answer["id"].as_str().context("no id")?;
        shell.run(&["cancel", id, "--reason", "enough"], 0).await?;
        let said = shell.run(&["watch", id], 5).await?;
        ensure!(said.starts_with("cancelled · javascript 18.20"), "{said}");

        // Cancelling twice is a success; cancelling a program that has run to its end is not.
        shell.run(&["cancel", id], 0).await?;
        shell.write("ended.js", "1")?;
        let answer: Value = serde_json::from_str(
            &shell.run(&["submit", "ended.js", "--watch", "--json"], 0).await?,
        )?;
        let refused = shell.output(&["cancel", answer["id"].as_str().context("no id")?]).await?;
        ensure!(refused.status.code() == Some(3), "{refused:?}");
        let refused = shell
            .output(&["submit", "sleep.js", "--limit", "cpu_time_ms=1", "--language", "klingon"])
            .await?;
        let said = String::from_utf8(refused.stderr)?;
        ensure!(
            refused.status.code() == Some(3)
                && said.contains("/language:")
                && said.contains("/limits/cpu_time_ms:"),
            "{said}"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_submission_outlives_the_command_apis_absence_and_runs_once() -> Result<()> {
    play(async |shell, world| {
        shell.write("hello.py", "print('once')")?;
        world.kill("command-api")?;
        let submit = shell.run(&["submit", "hello.py", "--watch", "--json"], 0);
        let (said, ()) = futures::try_join!(submit, world.start("command-api"))?;
        let view: Value = serde_json::from_str(&said)?;
        let audit = Audit::read(world).await?;
        ensure!(view["stdout"] == "once\n" && audit.folds.len() == 1, "{view}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn languages_are_listed_and_a_minted_token_is_believed() -> Result<()> {
    play(async |shell, world| {
        let table = shell.run(&["languages"], 0).await?;
        ensure!(
            table.lines().any(|line| line.starts_with("python ") && line.contains("3.11")),
            "{table}"
        );

        shell.write("secret", world.secret().text())?;
        let mint = [
            "token",
            "mint",
            "--sub",
            "student-42",
            "--scope",
            "submit",
            "--ttl",
            "1h",
            "--secret-file",
            "secret",
        ];
        let token = shell.run(&mint, 0).await?;
        let stranger = TestClient::new(&world.edge()?.url(), Some(token.trim().to_owned()))?;
        let submitted: Submitted = stranger.submit(&blackbox::programs::python("print(1)")).await?;
        stranger.ended(&submitted).await.map(drop)
    })
    .await
}
