//! What tests on the real engine share: an installation of their own, so that tests never touch
//! each other's containers, and programs for cells.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use events::{BootId, IdSource, Lane, Limits, PoolName};
use executor::cells::container_flags::{Allowance, Owner};
use executor::cells::engine::DockerEngine;
use executor::cells::maker::DockerMaker;
use executor::cells::places::PlaceLimits;
use executor::cells::pool::Pool;
use executor::cells::warm_cells::{Image, PoolSize};
use platform::ids::RandomIds;
use sandbox::protocol::{CellFile, Prepare, Stage, StageLimits};

/// The image under test.
pub(crate) const TAG: &str = "runledger/core:dev";
/// Its name in languages.toml.
pub(crate) const CORE: &str = "core";
/// The memory of a usual submission.
pub(crate) const MEMORY: u64 = 256 * 1024 * 1024;

/// What a program may take on a machine that is busy.
pub(crate) const PATIENT_WALL_TIME_MS: u32 = 240_000;

/// Where the engine is.
pub(crate) fn docker_host() -> String {
    let host = std::env::var_os("DOCKER_HOST").and_then(|host| host.into_string().ok());
    host.unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned())
}

/// One installation with one executor's life.
pub(crate) struct Installation {
    pub(crate) engine: DockerEngine,
    pub(crate) owner: Owner,
}

impl Installation {
    pub(crate) async fn new() -> Self {
        let engine = DockerEngine::new(docker_host());
        engine.negotiate().await.expect("a Docker engine, by DOCKER_HOST");
        let (host, boot) =
            (format!("test-{}", RandomIds.new_id()), BootId::new(RandomIds.new_id()));
        Self { engine, owner: Owner { host, executor: "test".parse().unwrap(), boot } }
    }

    /// Another life in the same installation.
    pub(crate) fn reborn(&self) -> Self {
        let boot = BootId::new(RandomIds.new_id());
        Self { engine: self.engine.clone(), owner: Owner { boot, ..self.owner.clone() } }
    }

    pub(crate) fn maker(&self) -> DockerMaker {
        DockerMaker::new(self.engine.clone(), allowance(), self.owner.clone())
    }

    pub(crate) fn pool(&self, warm: usize) -> Pool {
        self.pool_of(self.maker(), warm)
    }

    /// A pool whose cells may use so many bytes together.
    pub(crate) fn pool_on(&self, host: &SmallHost, warm: usize) -> Pool {
        let allowance = Allowance { cgroup_parent: Some(format!("/{}", host.name)), ..allowance() };
        self.pool_of(DockerMaker::new(self.engine.clone(), allowance, self.owner.clone()), warm)
    }

    fn pool_of(&self, maker: DockerMaker, warm: usize) -> Pool {
        let size = PoolSize { warm_min: warm, warm_max: warm, refillers: 2 };
        let image = Image { name: CORE.to_owned(), tag: TAG.to_owned() };
        Pool::start(Arc::new(maker), vec![image], size, &places())
    }

    /// How many containers of this installation the engine has.
    pub(crate) async fn containers(&self) -> usize {
        self.engine.list(&self.owner.host).await.unwrap().len()
    }
}

/// The lane of every test.
pub(crate) fn lane() -> (Lane, PoolName) {
    (Lane::Run, "core".parse().unwrap())
}

/// More places than any test needs.
pub(crate) fn places() -> PlaceLimits {
    PlaceLimits { lanes: vec![lane()], processors: 4, busy_max: 4, memory_bytes: 16 << 30 }
}

/// A control group that has little memory for all cells in it, as a small host would.
pub(crate) struct SmallHost {
    name: String,
    directory: PathBuf,
}

impl SmallHost {
    pub(crate) fn with_memory(bytes: u64) -> Self {
        let name = format!("runledger-test-{}", RandomIds.new_id());
        let root = Path::new("/sys/fs/cgroup");
        let v1 = root.join("memory");
        let (memory, limits) = if v1.exists() {
            (v1, ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"])
        } else {
            (root.to_owned(), ["memory.max", "memory.swap.max"])
        };
        let directory = memory.join(&name);
        fs::create_dir(&directory).expect("control groups can be made");
        for file in limits {
            // With swap, version 1 takes both together, and version 2 the swap alone.
            let limit = if file == "memory.swap.max" { 0 } else { bytes };
            fs::write(directory.join(file), limit.to_string()).expect("a limit can be set");
        }
        Self { name, directory }
    }
}

impl Drop for SmallHost {
    fn drop(&mut self) {
        // Best effort: it may hold cells that are not gone yet.
        drop(fs::remove_dir(&self.directory));
    }
}

/// What cells get here.
pub(crate) fn allowance() -> Allowance {
    Allowance {
        memory_bytes: MEMORY,
        overhead_bytes: 32 * 1024 * 1024,
        nano_cpus: 1_000_000_000,
        processes: 160,
        box_kib: 131_072,
        tmp_kib: 65_536,
        files: 16_384,
        runtime: None,
        cgroup_parent: None,
    }
}

/// The usual limits, with more time: a test must not fail because the machine is busy.
pub(crate) fn limits() -> StageLimits {
    let Limits {
        cpu_time_ms,
        wall_time_ms: _,
        memory_kib,
        stack_kib,
        output_bytes,
        file_size_kib,
        processes,
    } = events::LimitPolicy::default().default;
    StageLimits {
        cpu_time_ms,
        wall_time_ms: PATIENT_WALL_TIME_MS,
        memory_kib,
        stack_kib,
        output_bytes,
        file_size_kib,
        processes,
    }
}

/// A file to be written.
pub(crate) fn file(path: &str, content: &str) -> Prepare {
    let file = CellFile { path: path.to_owned(), content: content.as_bytes().to_vec() };
    Prepare { files: vec![file], compile: None }
}

/// A program to be run.
pub(crate) fn stage(argv: &[&str]) -> Stage {
    let argv = argv.iter().map(|argument| (*argument).to_owned()).collect();
    Stage { argv, stdin: Vec::new(), limits: limits() }
}
