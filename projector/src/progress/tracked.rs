//! What the projection remembers of each submission: outcome events do not name the user, and the
//! ledger's own rules have to be asked whether the next event is legal.

use events::event::Suite;
use events::submission::Lifecycle;
use events::{Event, Recorded};
use views::progress::{TrackedKey, TrackedSubmission};

/// Remembers the submission that an event begins; any other event begins none.
pub(super) fn begin(generation: i32, recorded: &Recorded) -> Option<TrackedSubmission> {
    let Event::Accepted(accepted) = &recorded.envelope.event else { return None };
    let Lifecycle { state, case_count, attempt, lost, compiled, results } =
        Lifecycle::begin(accepted);
    Some(TrackedSubmission {
        key: TrackedKey { generation, submission: recorded.envelope.submission },
        last_seq: recorded.sequence,
        principal: accepted.principal.clone(),
        lane: accepted.lane,
        language: accepted.language.slug.clone(),
        suite_sha256: accepted.suite.as_ref().map(Suite::sha256),
        case_count,
        state,
        attempt,
        lost,
        compiled,
        results,
        ended_at: None,
    })
}

/// Returns what the ledger's rules ask.
pub(super) fn lifecycle(tracked: &TrackedSubmission) -> Lifecycle {
    let &TrackedSubmission { state, case_count, attempt, lost, compiled, results, .. } = tracked;
    Lifecycle { state, case_count, attempt, lost, compiled, results }
}

/// Remembers where the submission is in its life.
pub(super) fn remember(before: TrackedSubmission, lifecycle: Lifecycle) -> TrackedSubmission {
    // Named one by one: a field that the rules get later must not compile until it is stored.
    let Lifecycle { state, case_count, attempt, lost, compiled, results } = lifecycle;
    TrackedSubmission { state, case_count, attempt, lost, compiled, results, ..before }
}
