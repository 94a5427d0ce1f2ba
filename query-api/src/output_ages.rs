//! The age of outputs that lie beside the events: after it an answer tells their hash and length
//! only, whether or not the object store has removed them yet, so that every answer of one tag is
//! the same.

use std::time::Duration;

use events::{Submission, Timestamp};

use crate::body::OutputName;

/// Where the outputs of one submission stand at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OutputAges {
    pub(crate) expired: Vec<OutputName>,
    /// When the next one will.
    pub(crate) next_in: Option<Duration>,
    /// Whether an output that the store does not have may have aged away. It is stored before the
    /// event that names it, which has to wait while the ledger is away or full.
    pub(crate) may_be_gone: bool,
}

impl OutputAges {
    /// Looks at a submission's outputs, which are kept for `age`.
    // What stands in an event stays for as long as the event.
    pub(crate) fn of(submission: &Submission, age: Duration, now: Timestamp) -> Self {
        // No output is stored before its submission is accepted.
        let since_accepted = (now - submission.accepted_at).to_std().unwrap_or_default();
        let mut ages = Self { may_be_gone: since_accepted >= age, ..Self::default() };
        for name in OutputName::ALL {
            let Some((_, stored_at)) = name.object(submission) else { continue };
            // Our clock may be behind the server's.
            let passed = (now - stored_at).to_std().unwrap_or_default();
            match age.checked_sub(passed).filter(|left| !left.is_zero()) {
                Some(left) => {
                    ages.next_in = Some(ages.next_in.map_or(left, |first| first.min(left)));
                }
                None => ages.expired.push(name),
            }
        }
        ages
    }
}
