//! The Debian that the image is built on: pulled where a registry answers, else made from the
//! packages that this machine can install.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};

use super::archive::pipe;
use super::sources::{self, PackageSource};
use crate::command::{clean, find, output, output_within};
use crate::failure::failure;
use crate::install::apt::{self, Need};
use crate::parts::EngineChoice;
use crate::steps::step;

/// Our name for it, wherever it came from.
pub(super) const TAG: &str = "runledger/base:bookworm";

/// How it is made; a change makes every kept archive void.
pub(super) const RECIPE: &str = "bookworm 1";

const SUITE: &str = "bookworm";

const PUBLISHED: &str = "debian:bookworm-slim";

/// A registry that can be reached delivers 30 MB in this time.
const PULL_PATIENCE: Duration = Duration::from_mins(2);

/// Where authorities that the machine trusts are listed.
const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";

/// Makes sure that the engine has the base image.
pub(super) fn ensure(engine: &EngineChoice) -> Result<()> {
    if super::exists(engine, TAG) {
        return Ok(());
    }
    if step("ask a registry for the base image", || Ok(pull(engine)))? {
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        return Err(failure(
            format!("no registry answers, and only root can make {TAG} from packages"),
            "run the command as root once",
        ));
    }
    apt::ensure(&[Need { package: "debootstrap", met: || find("debootstrap").is_some() }])?;
    step("make the base image from Debian's packages (about a minute)", || bootstrap(engine))
}

impl crate::steps::StepValue for bool {
    fn shown(&self) -> String {
        if *self { "pulled".to_owned() } else { "none answers".to_owned() }
    }
}

fn pull(engine: &EngineChoice) -> bool {
    output_within(engine.docker().args(["pull", "--quiet", PUBLISHED]), PULL_PATIENCE).is_ok()
        && output(engine.docker().args(["tag", PUBLISHED, TAG])).is_ok()
}

fn bootstrap(engine: &EngineChoice) -> Result<()> {
    let found = sources::of_machine().context("ask apt where packages come from")?;
    let mirror = sources::mirror(&found, SUITE).ok_or_else(|| {
        failure(
            "the machine's package sources name no Debian archive",
            "look at /etc/apt/sources.list.d",
        )
    })?;
    let work = tempfile::tempdir().context("directory for the base image")?;
    let tree = work.path().join("tree");
    let mut debootstrap = clean("debootstrap");
    debootstrap.arg("--variant=minbase");
    // Without authorities apt inside could not read such an archive, not even to install them.
    if sources::lines(&found, SUITE, &mirror).contains("https://") {
        debootstrap.arg("--include=ca-certificates");
    }
    debootstrap.arg(SUITE);
    debootstrap.arg(&tree).arg(&mirror);
    output(&mut debootstrap).map_err(|error| {
        failure(format!("{error:#}"), "see whether `apt-get update` works on this machine")
    })?;
    configure(&tree, &found, &mirror)?;
    import(engine, &tree)
}

/// Lets packages be installed inside as on this machine: same mirrors, same way to reach them.
fn configure(tree: &Path, found: &[PackageSource], mirror: &str) -> Result<()> {
    let lists = sources::lines(found, SUITE, mirror);
    fs::write(tree.join("etc/apt/sources.list"), lists).context("write the sources")?;
    let dump = output(clean("apt-config").args(["dump", "Acquire"]))?;
    fs::write(tree.join("etc/apt/apt.conf.d/90machine"), sources::access_settings(&dump))
        .context("write the settings of apt")?;
    // A proxy of this machine may sign with an authority that no package brings.
    let authorities = Path::new("/").join(AUTHORITIES);
    let inside = tree.join(AUTHORITIES);
    if authorities.is_file() && inside.is_file() {
        fs::copy(authorities, inside).context("copy the authorities")?;
    }
    Ok(())
}

fn import(engine: &EngineChoice, tree: &Path) -> Result<()> {
    let mut tar = clean("tar");
    tar.arg("--directory").arg(tree).args(["--create", "--file=-", "--one-file-system"]);
    // Device nodes cannot be unpacked on every engine, and each container gets its own.
    tar.args(["--exclude=./var/cache/apt/archives/*.deb", "--exclude=./dev/*", "."]);
    let mut docker = engine.docker();
    docker.args(["import", "--change", "CMD [\"bash\"]", "-", TAG]).stdout(Stdio::null());
    pipe(&mut tar, &mut docker)
}
