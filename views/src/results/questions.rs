//! Asks PostgreSQL one kind of question. Each kind has turns and a breaker of its own, so that no
//! kind can take the store from another, and no request waits for a store that is away.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::Semaphore;
use tokio::time::{error::Elapsed, timeout};
use tokio_util::task::TaskTracker;

use super::breaker::CircuitBreaker;
use crate::error::ViewError;

/// How long one question may take, connecting included.
pub(super) const QUESTION_TIME_MAX: Duration = Duration::from_secs(1);
/// How long PostgreSQL works on one statement.
// Less than a question may take, so that the server tells of a slow statement itself: that a
// statement is slow does not mean that the server is away.
pub(super) const STATEMENT_TIME_MAX: Duration = Duration::from_millis(800);
/// How long a question waits for its turn.
const TURN_TIME_MAX: Duration = Duration::from_secs(1);
/// The server's code of a statement that it has ended because it took too long.
const QUERY_CANCELED: &str = "57014";

/// The questions of one kind.
#[derive(Debug)]
pub(super) struct Questions {
    pool: PgPool,
    turns: Arc<Semaphore>,
    breaker: Arc<CircuitBreaker>,
    tasks: TaskTracker,
}

impl Questions {
    /// Lets so many questions be under way at once.
    pub(super) fn new(pool: PgPool, at_once_max: usize) -> Self {
        let (turns, breaker) = (Arc::new(Semaphore::new(at_once_max)), Arc::default());
        Self { pool, turns, breaker, tasks: TaskTracker::new() }
    }

    /// Asks one question, in its turn.
    pub(super) async fn ask<T, F>(&self, question: impl FnOnce(PgPool) -> F) -> Result<T, ViewError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, sqlx::Error>> + Send + 'static,
    {
        self.refuse_while_away()?;
        let turn = timeout(TURN_TIME_MAX, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.map_err(away)?.map_err(away)?;
        // Others may have found out while this question waited for its turn.
        self.refuse_while_away()?;
        let answer = timeout(QUESTION_TIME_MAX, question(self.pool.clone()));
        let breaker = Arc::clone(&self.breaker);
        // A task, which goes on if the asker gives up: a question that is dropped half-way would
        // leave a connection that is still to be made, or an answer that is still to be read.
        let asked = self.tasks.spawn(async move {
            let _turn = turn;
            noted(&breaker, answer.await)
        });
        asked.await.map_err(away)?
    }

    /// Waits for the questions that are under way.
    pub(super) async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Refuses a question while the store is known to be away, and sees to it that its return is
    /// noticed.
    fn refuse_while_away(&self) -> Result<(), ViewError> {
        if !self.breaker.is_open() {
            return Ok(());
        }
        // In the background, since a request that finds out for the others would wait for as long
        // as a question may take.
        if self.breaker.is_probe_due() {
            let (pool, breaker) = (self.pool.clone(), Arc::clone(&self.breaker));
            self.tasks.spawn(async move {
                let probe = sqlx::query("select 1").execute(&pool);
                if let Ok(Ok(_)) = timeout(QUESTION_TIME_MAX, probe).await {
                    breaker.close();
                }
            });
        }
        Err(away("it did not answer a moment ago"))
    }
}

/// Tells the breaker what an answer says about the store.
fn noted<T>(
    breaker: &CircuitBreaker,
    answer: Result<Result<T, sqlx::Error>, Elapsed>,
) -> Result<T, ViewError> {
    let error = match answer {
        Ok(Ok(answer)) => {
            breaker.close();
            return Ok(answer);
        }
        Ok(Err(error)) if is_slow_statement(&error) => return Err(away(error)),
        Ok(Err(error)) => away(error),
        Err(late) => away(late),
    };
    breaker.open();
    Err(error)
}

fn is_slow_statement(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.as_deref() == Some(QUERY_CANCELED)
}

/// The error of a store that has no answer.
pub(super) fn away(source: impl Into<Box<dyn Error + Send + Sync>>) -> ViewError {
    ViewError::Away { detail: "the results view does not answer", source: source.into() }
}
