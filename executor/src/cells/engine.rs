//! The Docker engine, as far as cells need it: each call bounded in time, each failure typed.
//! Decides nothing.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error as DockerError;
use bollard::models::{ContainerCreateBody, ContainerSummaryStateEnum, ContainerUpdateBody};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use events::BootId;
use futures::{StreamExt, TryStreamExt};

use super::container_flags::{LABEL_BOOT, LABEL_HOST};
use super::pipes::{Chunk, Pipes};

/// How long one call may take. Under full load a start takes half a second, so this is for an
/// engine that hangs: without it a cell that is being made would hold its slot for ever.
const CALL_TIME_MAX: Duration = Duration::from_secs(30);

/// How the address of an engine on this machine begins.
const LOCAL: &str = "unix://";

/// What cells run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The release of its kernel.
    pub kernel: String,
    /// Its processors.
    pub processors: usize,
    /// Its memory, in bytes.
    pub memory_bytes: u64,
}

/// A container, by the engine's id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId(String);

impl ContainerId {
    /// Wraps an id that the engine gave.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A container that carries the mark of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct ListedContainer {
    pub id: ContainerId,
    /// The boot id of the executor that made it, if the label can be read.
    pub boot: Option<BootId>,
    pub running: bool,
    /// When it was made, in seconds since 1970.
    pub created_s: i64,
}

/// Why the engine did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum EngineError {
    /// The engine has no such image.
    #[error("there is no image {tag}: build the images first")]
    NoImage { tag: String },
    /// The engine refused, or could not be reached.
    #[error("the engine failed to {call}")]
    Call { call: &'static str, source: DockerError },
    /// The engine did not answer.
    #[error("the engine did not {call} within {} s", CALL_TIME_MAX.as_secs())]
    Late { call: &'static str },
}

impl EngineError {
    /// Tells whether the container is not there.
    pub(super) fn is_gone(&self) -> bool {
        let Self::Call { source, call: _ } = self else { return false };
        // Not 409, "removal is in progress": while the old container may still live, no other may
        // have its uids.
        status(source) == Some(404)
    }
}

fn status(error: &DockerError) -> Option<u16> {
    match error {
        DockerError::DockerResponseServerError { status_code, message: _ } => Some(*status_code),
        // The others are failures of the transport, and have no status.
        _ => None,
    }
}

/// A connection to the engine, made when it is first needed.
#[derive(Clone, Debug)]
pub struct DockerEngine {
    host: String,
    docker: Arc<OnceLock<Docker>>,
}

impl DockerEngine {
    /// Makes a client. The engine need not be there yet.
    pub fn new(host: impl Into<String>) -> Self {
        Self { host: host.into(), docker: Arc::default() }
    }

    fn docker(&self) -> Result<&Docker, EngineError> {
        if let Some(docker) = self.docker.get() {
            return Ok(docker);
        }
        let seconds = CALL_TIME_MAX.as_secs();
        let connected = if self.is_local() {
            // Fails while the socket is not there, which is why the connection is made late.
            Docker::connect_with_unix(&self.host, seconds, API_DEFAULT_VERSION)
        } else {
            Docker::connect_with_host(&self.host)
        };
        let docker = connected.map_err(|source| EngineError::Call { call: "connect", source })?;
        Ok(self.docker.get_or_init(|| docker))
    }

    /// Agrees on a version with the engine. An engine that is older than this client answers
    /// nothing else before.
    pub async fn negotiate(&self) -> Result<(), EngineError> {
        let negotiated = call("negotiate", self.docker()?.clone().negotiate_version()).await;
        negotiated.map(drop)
    }

    /// Asks for a sign of life.
    pub async fn ping(&self) -> Result<(), EngineError> {
        call("answer a ping", self.docker()?.ping()).await.map(drop)
    }

    /// Returns what cells run on.
    pub async fn machine(&self) -> Result<Machine, EngineError> {
        let info = call("tell of itself", self.docker()?.info()).await?;
        Ok(Machine {
            kernel: info.kernel_version.unwrap_or_else(|| "unknown".to_owned()),
            processors: info.ncpu.and_then(|count| usize::try_from(count).ok()).unwrap_or(1),
            // If the engine does not know, programs run one at a time.
            memory_bytes: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0),
        })
    }

    /// Tells whether the engine is on this machine.
    pub fn is_local(&self) -> bool {
        self.host.starts_with(LOCAL)
    }

    /// Returns the id of the image under a tag: the hash of its configuration and so of its
    /// content.
    pub async fn image_id(&self, tag: &str) -> Result<String, EngineError> {
        let no_image = || EngineError::NoImage { tag: tag.to_owned() };
        match call("inspect an image", self.docker()?.inspect_image(tag)).await {
            Ok(image) => image.id.ok_or_else(no_image),
            Err(EngineError::Call { source, call: _ }) if status(&source) == Some(404) => {
                Err(no_image())
            }
            Err(error) => Err(error),
        }
    }

    /// Makes a container.
    pub async fn create(
        &self,
        name: &str,
        spec: ContainerCreateBody,
    ) -> Result<ContainerId, EngineError> {
        let options = CreateContainerOptionsBuilder::default().name(name).build();
        let created =
            call("create a container", self.docker()?.create_container(Some(options), spec))
                .await?;
        Ok(ContainerId(created.id))
    }

    /// Attaches to a container's three streams. Attach before the start, or its first message is
    /// lost.
    pub async fn attach(&self, id: &ContainerId) -> Result<Pipes, EngineError> {
        let options = AttachContainerOptionsBuilder::default()
            .stdin(true)
            .stdout(true)
            .stderr(true)
            .stream(true)
            .build();
        let attached = self.docker()?.attach_container(id.as_str(), Some(options));
        let attached = call("attach to a container", attached).await?;
        let output = attached.output.map_ok(chunk_of).map_err(io::Error::other);
        Ok(Pipes { input: attached.input, output: output.boxed() })
    }

    /// Starts a container.
    pub async fn start(&self, id: &ContainerId) -> Result<(), EngineError> {
        call("start a container", self.docker()?.start_container(id.as_str(), None)).await
    }

    /// Changes a running container's memory limit; swap stays off.
    pub async fn limit_memory(&self, id: &ContainerId, bytes: u64) -> Result<(), EngineError> {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let update = ContainerUpdateBody {
            memory: Some(bytes),
            memory_swap: Some(bytes),
            ..ContainerUpdateBody::default()
        };
        call("update a container", self.docker()?.update_container(id.as_str(), update)).await
    }

    /// Ends a container and removes it with all that it had. It may be gone already.
    pub async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        // Forced: a container is removed while its program runs, and there is nothing to wait for.
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        match call(
            "remove a container",
            self.docker()?.remove_container(id.as_str(), Some(options)),
        )
        .await
        {
            // Removed twice, by the pool and the reaper, or by an operator: what was wanted is so.
            Err(error) if error.is_gone() => Ok(()),
            removed => removed,
        }
    }

    /// Tells whether the kernel ended something in a container for want of memory.
    pub async fn was_out_of_memory(&self, id: &ContainerId) -> Result<bool, EngineError> {
        let seen = call("inspect a container", self.docker()?.inspect_container(id.as_str(), None))
            .await?;
        Ok(seen.state.and_then(|state| state.oom_killed).unwrap_or(false))
    }

    /// Lists every container, running or not, that carries the mark of an installation.
    pub async fn list(&self, host: &str) -> Result<Vec<ListedContainer>, EngineError> {
        let filters = HashMap::from([("label".to_owned(), vec![format!("{LABEL_HOST}={host}")])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let listed = call("list containers", self.docker()?.list_containers(Some(options))).await?;
        let found = listed.into_iter().filter_map(|container| {
            let boot = container.labels.and_then(|labels| labels.get(LABEL_BOOT)?.parse().ok());
            let id = ContainerId(container.id?);
            let running = container.state == Some(ContainerSummaryStateEnum::RUNNING);
            Some(ListedContainer { id, boot, running, created_s: container.created.unwrap_or(0) })
        });
        Ok(found.collect())
    }
}

fn chunk_of(output: LogOutput) -> Chunk {
    match output {
        LogOutput::StdErr { message } => Chunk::Stderr(message),
        LogOutput::StdOut { message }
        | LogOutput::StdIn { message }
        | LogOutput::Console { message } => Chunk::Stdout(message),
    }
}

async fn call<T>(
    call: &'static str,
    answer: impl Future<Output = Result<T, DockerError>>,
) -> Result<T, EngineError> {
    match tokio::time::timeout(CALL_TIME_MAX, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(source)) => Err(EngineError::Call { call, source }),
        Err(_elapsed) => Err(EngineError::Late { call }),
    }
}
