//! Submissions whose language this executor lacks: another executor may have it, so they go back to
//! the queue and cost no cell. "Not here" becomes "never" only after hours.

use std::time::Duration;

use events::event::FailureClass;
use ledger::{LanguageOffer, redelivery_delay};
use metrics::counter;
use tracing::info;

use super::running_attempt::AttemptError;
use super::submission_work::{QueueAnswer, SubmissionWork};
use crate::metrics::SUBMISSIONS_NOT_HERE;
use crate::run::plan::{NotHere, Plan, PlanError};

/// When a submission is delivered again that was handed back for the first time; while a deploy
/// rolls, the next delivery may reach an executor that has its language. Each further time doubles
/// it.
const FIRST_DELAY: Duration = Duration::from_secs(2);
/// The longest delay.
const DELAY_MAX: Duration = Duration::from_mins(1);

impl SubmissionWork<'_> {
    /// Plans the run with what this executor has.
    pub(super) fn plan(&self) -> Result<Plan, PlanError> {
        let (context, accepted) = (self.context, &self.aggregate.accepted);
        let newer_may_run = || {
            let after = context.settings.newer_version_after;
            let offer = LanguageOffer::of(&accepted.language, &accepted.pool);
            let missing_for = context.offers.missing_for(&offer);
            after.zip(missing_for).is_some_and(|(after, missing_for)| missing_for >= after)
        };
        Plan::for_submission(accepted, &context.catalog, newer_may_run)
    }

    /// Hands the submission back for an executor that has its language, or gives it up if it has
    /// waited too long for one.
    pub(super) async fn hand_on_or_give_up(
        &mut self,
        number: u32,
        lack: NotHere,
    ) -> Result<Option<QueueAnswer>, AttemptError> {
        let accepted_at = self.aggregate.submission.accepted_at;
        let waited = self.context.clock.now().signed_duration_since(accepted_at);
        // One from a clock that is ahead of ours has not waited.
        let waited = waited.to_std().unwrap_or_default();
        if waited > self.context.settings.not_here_max {
            let reason = format!("{lack}, and no executor that has it came in time");
            self.attempt(number).fail(FailureClass::Unrunnable, reason).await?;
            return Ok(None);
        }
        counter!(SUBMISSIONS_NOT_HERE).increment(1);
        let delay = redelivery_delay(self.delivered, FIRST_DELAY, DELAY_MAX);
        let lack = &lack as &dyn std::error::Error;
        info!(lack, delay_s = delay.as_secs(), "handed on to an executor that has the language");
        Ok(Some(QueueAnswer::RetryAfter(delay)))
    }
}
