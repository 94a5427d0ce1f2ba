//! What a fact makes of its user's progress.

use chrono::NaiveDate;
use events::Verdict;
use views::progress::{Streak, UserProgress};

use super::fact::{Change, Fact};
use super::recent;

/// Folds a fact of this user; one that is folded already changes nothing. `first_solution` tells
/// whether this fact is the first one that solves its suite.
pub fn fold_into_user(progress: &mut UserProgress, fact: &Fact, first_solution: bool) {
    // After a crash a batch comes again, and some of its documents were written already.
    if fact.sequence <= progress.last_seq {
        return;
    }
    progress.last_seq = fact.sequence;
    recent::fold(&mut progress.recent, fact);
    match fact.change {
        Change::Accepted => {
            *progress.submissions.get_mut(fact.lane) += 1;
            *progress.languages.entry(fact.language.clone()).or_default() += 1;
        }
        Change::Completed { verdict, points: _ } => {
            complete(progress, fact, verdict, first_solution);
        }
        Change::Failed => progress.failed += 1,
        Change::Cancelled => progress.cancelled += 1,
        Change::Running | Change::Cancelling => {}
    }
}

fn complete(progress: &mut UserProgress, fact: &Fact, verdict: Verdict, first_solution: bool) {
    *progress.verdicts.get_mut(fact.lane).get_mut(verdict) += 1;
    if makes_its_day_active(verdict) {
        progress.streak = Some(extended(progress.streak, fact.at.day()));
    }
    if verdict == Verdict::Accepted {
        progress.solved.submissions += 1;
        progress.solved.suites += u64::from(first_solution);
        progress.solved.last_at = Some(fact.at);
    }
}

/// Tells whether a program did what it should.
const fn makes_its_day_active(verdict: Verdict) -> bool {
    match verdict {
        // A program without expected output has no right answer: to finish is all that it should
        // do.
        Verdict::Accepted | Verdict::Finished => true,
        Verdict::WrongAnswer
        | Verdict::CompileError
        | Verdict::RuntimeError
        | Verdict::TimeLimit
        | Verdict::MemoryLimit
        | Verdict::OutputLimit => false,
    }
}

/// Adds an active day to a streak.
fn extended(before: Option<Streak>, day: NaiveDate) -> Streak {
    let Some(streak) = before else {
        return Streak { current: 1, longest: 1, last_active_day: day };
    };
    // The server that leads the stream sets the time, and the clock of the next leader may be
    // behind. An earlier day must not break the streak.
    if day <= streak.last_active_day {
        return streak;
    }
    let follows = streak.last_active_day.succ_opt() == Some(day);
    let current = if follows { streak.current + 1 } else { 1 };
    Streak { current, longest: streak.longest.max(current), last_active_day: day }
}
