//! The end of a service: one token that says stop, and one tracker that knows every task that still
//! runs. The only place that spawns tasks.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::FutureExt;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span, error, info};

/// Why a service did not end cleanly.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ShutdownError {
    /// Tasks were still running at the deadline; they end with the process.
    #[error("{tasks} tasks still ran {} ms after the stop", deadline.as_millis())]
    Unfinished {
        /// How many there were.
        tasks: usize,
        /// How long they were given.
        deadline: Duration,
    },
    /// A task that has to run for the service's whole life ended by itself.
    #[error("the task {name} ended by itself")]
    VitalTaskEnded {
        /// The task's name.
        name: &'static str,
    },
}

/// A handle on the service's end; clones are the same shutdown.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tasks: TaskTracker,
    ended_by_itself: Arc<OnceLock<&'static str>>,
}

impl Shutdown {
    /// Makes a shutdown that nothing has triggered yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Triggers the shutdown at the first SIGTERM or SIGINT.
    pub fn on_signals(&self) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        self.spawn(async move {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
                () = shutdown.token.cancelled() => return,
            };
            info!(signal = name, "stopping");
            shutdown.trigger();
        });
        Ok(())
    }

    /// Runs a task that [`finish`](Self::finish) waits for. A task that would not end by itself has
    /// to watch [`cancelled`](Self::cancelled).
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tasks.spawn(task.instrument(Span::current()))
    }

    /// Runs a task without which the service is of no use: when it returns or panics before the
    /// stop, the service stops and [`finish`](Self::finish) names it.
    pub fn spawn_vital<F>(&self, name: &'static str, task: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let shutdown = self.clone();
        self.spawn(async move {
            // A panic would otherwise end the task only, and the service would go on without it.
            let panicked = AssertUnwindSafe(task).catch_unwind().await.is_err();
            if panicked || !shutdown.is_triggered() {
                error!(task.name = name, task.panicked = panicked, "a vital task ended by itself");
                shutdown.ended_by_itself.get_or_init(|| name);
                shutdown.trigger();
            }
        })
    }

    /// Tells every task to stop.
    pub fn trigger(&self) {
        self.token.cancel();
    }

    /// Returns whether the tasks were told to stop.
    pub fn is_triggered(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until the tasks are told to stop.
    pub async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// Returns the token, for code that takes one.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Tells every task to stop and waits for them, at most until the deadline.
    pub async fn finish(&self, deadline: Duration) -> Result<(), ShutdownError> {
        self.trigger();
        // As long as the tracker is open it waits for tasks that may still come.
        self.tasks.close();
        if tokio::time::timeout(deadline, self.tasks.wait()).await.is_err() {
            return Err(ShutdownError::Unfinished { tasks: self.tasks.len(), deadline });
        }
        self.ended_by_itself
            .get()
            .map_or(Ok(()), |name| Err(ShutdownError::VitalTaskEnded { name }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn finish_waits_for_what_a_task_does_after_the_stop() {
        let shutdown = Shutdown::new();
        let done = Arc::new(AtomicBool::new(false));
        let (watcher, flag) = (shutdown.clone(), done.clone());
        shutdown.spawn(async move {
            watcher.cancelled().await;
            tokio::task::yield_now().await;
            flag.store(true, Ordering::SeqCst);
        });
        assert!(!shutdown.is_triggered());
        shutdown.finish(SOON).await.unwrap();
        assert!(done.load(Ordering::SeqCst));
    }

    #[tokio::test(start_paused = true)]
    async fn finish_is_bounded_and_counts_what_is_left() {
        let shutdown = Shutdown::new();
        shutdown.spawn(std::future::pending::<()>());
        let deadline = Duration::from_millis(10);
        let left = shutdown.finish(deadline).await;
        assert_eq!(left, Err(ShutdownError::Unfinished { tasks: 1, deadline }));
    }

    #[tokio::test]
    async fn a_vital_task_that_panics_stops_the_service() {
        let shutdown = Shutdown::new();
        shutdown.spawn_vital("consumer", async { panic!("planted") });
        shutdown.cancelled().await;
        assert_eq!(
            shutdown.finish(SOON).await,
            Err(ShutdownError::VitalTaskEnded { name: "consumer" })
        );
    }

    #[tokio::test]
    async fn a_vital_task_that_ends_at_the_stop_is_no_fault() {
        let shutdown = Shutdown::new();
        let watcher = shutdown.clone();
        shutdown.spawn_vital("consumer", async move { watcher.cancelled().await });
        assert_eq!(shutdown.finish(SOON).await, Ok(()));
    }

    #[tokio::test]
    async fn a_sigterm_triggers_the_stop() {
        let shutdown = Shutdown::new();
        shutdown.on_signals().unwrap();
        let pid = std::process::id().to_string();
        let sent = tokio::process::Command::new("/bin/sh")
            .args(["-c", &format!("kill -TERM {pid}")])
            .status()
            .await;
        assert!(sent.unwrap().success());
        tokio::time::timeout(SOON, shutdown.cancelled()).await.unwrap();
    }
}
