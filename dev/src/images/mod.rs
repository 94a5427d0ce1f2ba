//! The image that cells run from: Debian, the compilers and interpreters, and cell-init. The slow
//! layers are kept outside of the clone, so that only the last one is built again.

mod archive;
mod base;
mod sources;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::command::{output, shown_run};
use crate::failure::failure;
use crate::parts::EngineChoice;
use crate::steps::{StepValue, loud_step, step};
use crate::{environment, paths, programs};

/// What executors run.
pub(crate) const TAG: &str = "runledger/core:dev";

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// How the layers are made; a change makes every kept archive void.
const RECIPE: &str = "core 1";

/// Builds the image on an engine, or finds that it is there.
pub(crate) fn ensure(root: &Path, engine: &EngineChoice) -> Result<()> {
    let cell_init = loud_step("build cell-init, static", || build_cell_init(root))?;
    let folder = root.join("sandbox/images/core");
    let slow = slow_key(&folder)?;
    let whole = whole_key(&slow, &cell_init)?;
    // The label tells without a build what the image was made from.
    if label(engine, TAG) == Some(whole.clone()) {
        return step(&format!("image {TAG} is up to date"), || Ok(()));
    }
    let kept = format!("runledger/core-layers:{slow}");
    if !exists(engine, &kept) {
        archive::restore(engine, &slow)?;
    }
    let fresh = !exists(engine, &kept);
    if fresh {
        base::ensure(engine)?;
    }
    let files = [folder.join("Dockerfile"), folder.join("packages.txt"), cell_init];
    step(&format!("build image {TAG}"), || build(engine, &files, &whole, &kept))?;
    if fresh {
        output(engine.docker().args(["tag", TAG, &kept]))?;
        // Together with the base, by whose name the Dockerfile begins.
        archive::keep(engine, &slow, &[base::TAG, &kept])?;
    }
    Ok(())
}

impl StepValue for PathBuf {}

/// Statically linked, because nothing in the image may be needed to start it.
fn build_cell_init(root: &Path) -> Result<PathBuf> {
    let mut cargo = Command::new(environment::cargo());
    cargo.current_dir(root).env("RUSTFLAGS", "-C target-feature=+crt-static");
    cargo.args(["build", "--quiet", "--profile", "cell", "--package", "sandbox"]);
    // The target is named, though it is the machine's: without one the flags would also be for
    // macros and build scripts, which cannot be linked statically.
    cargo.args(["--bin", "cell-init", "--target", TARGET]);
    shown_run(&mut cargo)?;
    Ok(programs::target_dir(root)?.join(TARGET).join("cell/cell-init"))
}

fn build(engine: &EngineChoice, files: &[PathBuf], key: &str, from: &str) -> Result<()> {
    // A folder of its own, since docker sends all that lies beside the Dockerfile to the engine.
    let context = tempfile::tempdir().context("directory for the image build")?;
    for file in files {
        let name = file.file_name().unwrap_or_default();
        fs::copy(file, context.path().join(name))
            .with_context(|| format!("copy {}", file.display()))?;
    }
    let mut docker = engine.docker();
    // The private engine has no bridge, so a build uses the machine's network.
    docker.args(["build", "--network", "host", "--tag", TAG, "--cache-from", from]);
    docker.args(["--build-arg", &format!("BASE={}", base::TAG)]);
    docker.args(["--label", &format!("runledger.key={key}")]);
    // A build sees no variable that is not passed as an argument. Docker knows these, and keeps
    // them out of the image.
    for name in environment::PROXIES {
        if let Some(value) = environment::text(name) {
            docker.args(["--build-arg", &format!("{name}={value}")]);
        }
    }
    output(docker.arg(context.path())).map(drop).map_err(|error| {
        let advice = "see which command of sandbox/images/core/Dockerfile failed, and why";
        failure(format!("{error:#}"), advice)
    })
}

/// Changes when the layers with packages have to be built again.
fn slow_key(folder: &Path) -> Result<String> {
    let dockerfile = fs::read(folder.join("Dockerfile")).context("read the image's Dockerfile")?;
    let packages =
        fs::read(folder.join("packages.txt")).context("read the image's packages.txt")?;
    Ok(key(&[RECIPE.as_bytes(), base::RECIPE.as_bytes(), &dockerfile, &packages]))
}

/// Changes when anything in the image does.
fn whole_key(slow: &str, cell_init: &Path) -> Result<String> {
    let program = fs::read(cell_init).with_context(|| format!("read {}", cell_init.display()))?;
    Ok(key(&[slow.as_bytes(), &program]))
}

fn key(inputs: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for input in inputs {
        // Without lengths, a byte could move from one input to the next and leave the key the same.
        hash.update(input.len().to_le_bytes());
        hash.update(input);
    }
    hex::encode(hash.finalize()).chars().take(24).collect()
}

fn exists(engine: &EngineChoice, tag: &str) -> bool {
    output(engine.docker().args(["image", "inspect", "--format", "{{.Id}}", tag])).is_ok()
}

fn label(engine: &EngineChoice, tag: &str) -> Option<String> {
    let format = r#"{{index .Config.Labels "runledger.key"}}"#;
    let answer =
        output(engine.docker().args(["image", "inspect", "--format", format, tag])).ok()?;
    Some(answer.trim().to_owned())
}

/// Where image archives are kept.
fn archives() -> PathBuf {
    paths::cache("images")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(dockerfile: &str, packages: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("Dockerfile"), dockerfile).unwrap();
        fs::write(dir.path().join("packages.txt"), packages).unwrap();
        dir
    }

    #[test]
    fn the_slow_key_follows_dockerfile_and_packages() {
        let first = slow_key(folder("FROM a", "gcc").path()).unwrap();

        assert_eq!(first, slow_key(folder("FROM a", "gcc").path()).unwrap());
        assert_ne!(first, slow_key(folder("FROM b", "gcc").path()).unwrap());
        assert_ne!(first, slow_key(folder("FROM a", "g++").path()).unwrap());
    }

    #[test]
    fn the_whole_key_follows_the_program_too() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("cell-init");
        fs::write(&program, "one").unwrap();
        let first = whole_key("slow", &program).unwrap();

        fs::write(&program, "two").unwrap();

        assert_ne!(first, whole_key("slow", &program).unwrap());
    }

    #[test]
    fn inputs_cannot_be_shifted_between_each_other() {
        assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
    }
}
