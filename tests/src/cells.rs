//! The containers of one world's executors, found by their label. A test looks at them; it makes
//! none.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bollard::models::ContainerSummary;
use bollard::query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder};
use bollard::{API_DEFAULT_VERSION, Docker};

/// The label by which an executor knows the containers of its installation.
const LABEL_HOST: &str = "runledger.host";
/// How often in a row no container may be found until the engine counts as finished, and the time
/// between two looks.
const QUIET_LOOKS: u32 = 5;
const LOOKS_MAX: u32 = 100;
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The label that names an executor's life.
const LABEL_BOOT: &str = "runledger.boot";
/// How long the engine may take to answer, in seconds.
const ANSWER_SECONDS: u64 = 30;
/// Enough of a world's id to tell worlds apart, and short enough for an executor's name.
const MARK_CHARS: usize = 24;

/// The containers of one world.
#[derive(Debug)]
pub struct Cells {
    docker: Docker,
    host: String,
    mark: String,
    is_clean: bool,
}

/// One container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The engine's id.
    pub id: String,
    /// The executor's life that made it.
    pub boot: String,
}

impl Cells {
    /// Makes a client of the engine, for the world with this id.
    pub fn connect(host: &str, world: &str) -> Result<Self> {
        let mark = world.chars().rev().take(MARK_CHARS).collect();
        let docker = Docker::connect_with_unix(host, ANSWER_SECONDS, API_DEFAULT_VERSION);
        Ok(Self {
            docker: docker.context("connect to the Docker engine")?,
            host: host.to_owned(),
            mark,
            is_clean: false,
        })
    }

    /// Returns what `EXECUTOR__HOST` has to be, so that two worlds never remove each other's
    /// containers.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Lists the world's containers, running or not.
    pub async fn list(&self) -> Result<Vec<Container>> {
        let docker = self.engine().await?;
        let filters =
            HashMap::from([("label".to_owned(), vec![format!("{LABEL_HOST}={}", self.mark)])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let listed = docker.list_containers(Some(options)).await.context("list containers")?;
        Ok(listed.into_iter().filter_map(container).collect())
    }

    /// An older engine answers nothing before a version is agreed on.
    async fn engine(&self) -> Result<Docker> {
        self.docker.clone().negotiate_version().await.context("ask the Docker engine")
    }

    /// Notes that every executor has ended well, so that there is nothing to remove.
    pub fn are_clean(&mut self) {
        self.is_clean = true;
    }

    /// Removes every container, and those that the engine was still making for an executor that was
    /// killed.
    async fn remove_all(&self) -> Result<()> {
        let docker = self.engine().await?;
        let force = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let mut quiet = 0;
        for _ in 0..LOOKS_MAX {
            let found = self.list().await?;
            quiet = if found.is_empty() { quiet + 1 } else { 0 };
            if quiet == QUIET_LOOKS {
                return Ok(());
            }
            for Container { id, boot: _ } in found {
                // The engine refuses to remove a container twice at once; the next look shows
                // whether it is gone.
                drop(docker.remove_container(&id, Some(force.clone())).await);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!("containers of {} are still there", self.mark)
    }
}

fn container(summary: ContainerSummary) -> Option<Container> {
    let boot =
        summary.labels.and_then(|labels| labels.get(LABEL_BOOT).cloned()).unwrap_or_default();
    Some(Container { id: summary.id?, boot })
}

impl Drop for Cells {
    /// Removes what a failed test has left. It runs on a thread of its own, because a runtime
    /// cannot wait inside another.
    fn drop(&mut self) {
        if self.is_clean {
            return;
        }
        let (host, mark) = (self.host.clone(), self.mark.clone());
        let sweep = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let docker = Docker::connect_with_unix(&host, ANSWER_SECONDS, API_DEFAULT_VERSION);
            if let (Ok(runtime), Ok(docker)) = (runtime, docker) {
                let cells = Self { docker, host, mark, is_clean: true };
                // If this fails, the next executor with this label removes them.
                drop(runtime.block_on(cells.remove_all()));
            }
        });
        drop(sweep.join());
    }
}
