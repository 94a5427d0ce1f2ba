//! What tests on the real engine share: an installation of their own, so that tests never touch
//! each other's containers, and programs for cells.

use std::sync::Arc;

use events::{BootId, IdSource, Limits};
use executor::cells::container_flags::{Allowance, Owner};
use executor::cells::engine::DockerEngine;
use executor::cells::maker::DockerMaker;
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
        let size = PoolSize { busy_max: 4, warm_min: warm, warm_max: warm, refillers: 2 };
        let image = Image { name: CORE.to_owned(), tag: TAG.to_owned() };
        Pool::start(Arc::new(self.maker()), vec![image], size)
    }

    /// How many containers of this installation the engine has.
    pub(crate) async fn containers(&self) -> usize {
        self.engine.list(&self.owner.host).await.unwrap().len()
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
