//! The loop that keeps one projection level with the ledger, while its store or the ledger may go
//! away and come back.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use ledger::{HistoryDiffers, LEADERSHIP_TIME, Leadership, Ledger};
use platform::telemetry::error_chain;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::batch::EventBatch;
use crate::metrics;
use crate::projection::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX, BATCH_TIME_MAX, Projection};
use crate::reader::{BatchLimits, Reader, ReaderError};
use crate::status::{Phase, Status};
use views::error::WriteError;
use views::generation::{Audience, Position};

/// The waits for a store or a ledger that is away: each is twice the one before, up to two seconds.
const WAITS: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(50))
    .with_max_delay(Duration::from_secs(2))
    // A projection never gives up: an outage of a day must end without a person.
    .without_max_times();
/// The wait before an impossible event or row is read again.
// Long, since only a person can mend it, and not for ever, since a rebuild in another process may
// have been the cure.
const WAIT_STOPPED: Duration = Duration::from_secs(30);
/// The wait after another process has folded.
// Two processes would otherwise chase each other event by event.
const WAIT_MOVED: Duration = Duration::from_millis(50);
/// The wait while a rebuild is about to switch.
const WAIT_HELD: Duration = Duration::from_millis(10);
/// How long one batch may take. A store that does not answer for longer counts as away.
const FOLD_TIME_MAX: Duration = Duration::from_mins(1);
/// How long a projection may be stopped in the process that leads, before another one may try.
// As long as a process that was killed keeps the lead.
const STOPPED_LEADING_MAX: Duration = LEADERSHIP_TIME;
/// How long a process leaves the lead to others after that. Those that wait try every second.
const STEP_BACK: Duration = Duration::from_secs(3);
/// How long it takes at most to gain a lead that is free.
const GAIN_TIME_MAX: Duration = Duration::from_millis(500);

const LIMITS: BatchLimits = BatchLimits {
    events_max: BATCH_EVENTS_MAX,
    bytes_max: BATCH_BYTES_MAX,
    time_max: BATCH_TIME_MAX,
};

/// Runs one projection.
pub struct ProjectionRunner {
    ledger: Ledger,
    projection: Arc<dyn Projection>,
    status: Status,
}

/// Why the loop has to begin again.
#[derive(Debug, thiserror::Error)]
enum Interruption {
    #[error("the view cannot be written")]
    View(#[from] WriteError),
    #[error("a batch was not written within {} s", FOLD_TIME_MAX.as_secs())]
    Silent,
    #[error("the ledger cannot be read after event {after}")]
    Broken { after: u64, source: ReaderError },
    #[error(
        "the view stands at event {stands}, and that is not in the ledger any more; `projector rebuild` folds the \
         ledger as it is"
    )]
    Differs { stands: u64, source: HistoryDiffers },
}

impl Interruption {
    /// Returns how long to wait before the next try; `None` for [`WAITS`].
    fn fixed_wait(&self) -> Option<Duration> {
        match self {
            Self::Broken { .. } | Self::Differs { .. } => Some(WAIT_STOPPED),
            Self::Silent => None,
            Self::View(error) => match error {
                WriteError::Moved => Some(WAIT_MOVED),
                WriteError::Held => Some(WAIT_HELD),
                WriteError::Impossible(_)
                | WriteError::TooLarge(_)
                | WriteError::Encoding(_)
                | WriteError::Hole { .. } => Some(WAIT_STOPPED),
                // A missing schema, too: `projector migrate` may be running at this moment.
                WriteError::Missing(_)
                | WriteError::Postgres(_)
                | WriteError::Mongo(_)
                | WriteError::Refused { .. } => None,
            },
        }
    }

    /// Tells whether this happens in normal operation: another process folded, or a rebuild
    /// switches.
    fn is_ordinary(&self) -> bool {
        matches!(self, Self::View(WriteError::Moved | WriteError::Held))
    }
}

impl ProjectionRunner {
    /// Makes a runner that tells `status` how it goes.
    pub fn new(ledger: Ledger, projection: Arc<dyn Projection>, status: Status) -> Self {
        Self { ledger, projection, status }
    }

    /// Folds every event into the view, until the stop. A batch that has begun is finished.
    pub async fn run(&self, stop: &CancellationToken) {
        let mut waits = WAITS.build();
        while !stop.is_cancelled() {
            let before = self.status.position();
            let Err(interruption) = self.follow(stop).await else { return };
            // Something was folded in between, so this is a new fault and not the last one again.
            if self.status.position() != before {
                waits = WAITS.build();
            }
            self.report(&interruption);
            let wait = interruption.fixed_wait().or_else(|| waits.next()).unwrap_or_default();
            if stop.run_until_cancelled(sleep(wait)).await.is_none() {
                return;
            }
        }
    }

    /// Folds while this process leads, until the stop, so that of two processes one does not undo
    /// the work of the other. The view is safe all the same: each batch is guarded.
    pub async fn run_while_leading(&self, leadership: &Leadership, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            if stop.run_until_cancelled(self.gain(leadership)).await.is_none() {
                return;
            }
            info!(projection.name = self.name(), "this process leads");
            if self.lead(leadership, stop).await {
                // In a rolling upgrade the newer version can, and must not wait for the end of
                // this one.
                warn!(projection.name = self.name(), "another process may lead");
                leadership.release().await;
                stop.run_until_cancelled(sleep(STEP_BACK)).await;
            }
        }
        leadership.release().await;
    }

    /// Waits until this process leads. What has stopped says so until another process is seen to
    /// lead: that none folds must not look well.
    async fn gain(&self, leadership: &Leadership) {
        let has_stopped = matches!(self.status.phase(), Phase::Stopped(_));
        if has_stopped && timeout(GAIN_TIME_MAX, leadership.gain()).await.is_ok() {
            return;
        }
        self.status.wait();
        leadership.gain().await;
    }

    /// Folds until the stop, or until another process leads or should. True if one should, since
    /// this one cannot fold.
    async fn lead(&self, leadership: &Leadership, stop: &CancellationToken) -> bool {
        self.status.lead();
        let leading = stop.child_token();
        let ending = async {
            let cannot_fold = tokio::select! {
                () = leadership.keep() => false,
                () = self.status.stopped_for(STOPPED_LEADING_MAX) => true,
                () = stop.cancelled() => false,
            };
            leading.cancel();
            cannot_fold
        };
        tokio::join!(ending, self.run(&leading)).0
    }

    /// Reads the position and folds from there on. Without an error it ends only at the stop.
    async fn follow(&self, stop: &CancellationToken) -> Result<(), Interruption> {
        let Some(begun) = stop.run_until_cancelled(self.begin()).await else { return Ok(()) };
        let mut position = begun?;
        let mut reader = Reader::after(&self.ledger, position.last, LIMITS);
        // The stop cuts off the wait for events and never a fold: a fold that was begun would have
        // to be done again at the next start.
        while let Some(batch) = stop.run_until_cancelled(reader.next()).await {
            let after = position.sequence();
            let batch = batch.map_err(|source| Interruption::Broken { after, source })?;
            position = self.fold(position, &batch, stop).await?;
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.projection.store().name()
    }

    async fn begin(&self) -> Result<Position, Interruption> {
        let known = self.status.position();
        let position = self.projection.store().position().await?;
        // Before anything is compared: the lag of a view that is ahead is an alarm.
        self.status.stand(position);
        // What was seen, and not only the checkpoint: documents of a batch that was cut off may
        // hold events that are not in the ledger any more. The reader would say the same of the
        // checkpoint, but only after this has said that all is well.
        let seen = self.projection.store().seen().await?;
        let confirmed = self.ledger.confirm(seen).await;
        let stands = position.sequence();
        confirmed.map_err(|source| Interruption::Differs {
            stands: seen.map_or(stands, |seen| seen.sequence),
            source,
        })?;
        // Not after each fault: a store that comes and goes would fill the log with this line.
        if known.map(|before| before.generation) != Some(position.generation) {
            let name = self.name();
            info!(
                projection.name = name,
                projection.generation = position.generation,
                projection.sequence = stands,
                "following the ledger"
            );
        }
        self.moved(position);
        Ok(position)
    }

    async fn fold(
        &self,
        at: Position,
        batch: &EventBatch,
        stop: &CancellationToken,
    ) -> Result<Position, Interruption> {
        loop {
            let begun = Instant::now();
            let folded =
                timeout(FOLD_TIME_MAX, self.projection.fold(Audience::Readers, at, batch)).await;
            // A fold that was cut off may be committed or not, so it is not tried again here: the
            // runner reads the position from the store first.
            match folded.map_err(|_elapsed| Interruption::Silent)? {
                Ok(next) => {
                    metrics::folded(self.name(), batch, begun.elapsed());
                    self.moved(next);
                    return Ok(next);
                }
                // A hold lasts for seconds at most and moves nothing by itself, so the batch in
                // hand is kept. At the stop it is let go: the service must not wait for a rebuild.
                Err(WriteError::Held) if !stop.is_cancelled() => sleep(WAIT_HELD).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn moved(&self, position: Position) {
        self.status.follow(position);
        metrics::stands(self.name(), position.generation, position.sequence());
    }

    fn report(&self, interruption: &Interruption) {
        // Not counted as a fault, and still ready: each rebuild would set off an alarm.
        if interruption.is_ordinary() {
            return;
        }
        metrics::fault(self.name());
        let why = error_chain(interruption);
        if matches!(interruption, Interruption::Differs { .. }) {
            self.status.stop_for_all(why);
        } else {
            self.status.stop(why);
        }
        let projection = self.name();
        let error = interruption as &dyn Error;
        // An error is for a person. A store that is away comes back by itself, which is a warning.
        if interruption.fixed_wait().is_some() {
            error!(error, projection.name = projection, "the projection has stopped");
        } else {
            warn!(error, projection.name = projection, "the projection is interrupted");
        }
    }
}

impl std::fmt::Debug for ProjectionRunner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProjectionRunner").field("status", &self.status).finish_non_exhaustive()
    }
}
