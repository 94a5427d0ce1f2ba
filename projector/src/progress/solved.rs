//! What a fact makes of the suite that it says is solved.

use views::progress::{SolvedKey, SolvedSuite};

use super::fact::Fact;

/// Folds a fact that says that the suite is solved; one that is folded already changes nothing.
pub(super) fn fold(before: Option<SolvedSuite>, key: SolvedKey, fact: &Fact) -> SolvedSuite {
    match before {
        None => SolvedSuite {
            key,
            last_seq: fact.sequence,
            count: 1,
            first_at: fact.at,
            first_seq: fact.sequence,
        },
        // After a crash an event comes again, and must not count twice.
        Some(solved) if solved.last_seq >= fact.sequence => solved,
        Some(solved) => SolvedSuite { last_seq: fact.sequence, count: solved.count + 1, ..solved },
    }
}
