//! The check of a history finds every way to tamper with it.

use std::sync::Arc;

use bytes::Bytes;
use events::{Digest, Recorded};
use ledger::memory::MemoryStore;
use ledger::verify::{ChainFault, verify_chain};
use ledger::{Ledger, Stored};

use crate::common::{complete, standing, start, submit, writer};

async fn history() -> Vec<Stored> {
    let store = MemoryStore::new(standing());
    let ledger = Ledger::new(Arc::new(store), standing());
    let mut aggregate = submit(&ledger).await;
    let executor = writer("executor");
    ledger.execute(&mut aggregate, start(1, executor.instance), &executor).await.unwrap();
    ledger.execute(&mut aggregate, complete(1), &executor).await.unwrap();
    ledger.history(aggregate.id()).await.unwrap()
}

fn with_payload(stored: &Stored, payload: String) -> Stored {
    let recorded =
        Recorded::decode(stored.recorded.sequence, stored.recorded.stored_at, payload.as_bytes());
    Stored { payload: Bytes::from(payload), recorded: recorded.unwrap(), ..stored.clone() }
}

#[tokio::test]
async fn an_honest_history_has_no_fault() {
    assert_eq!(verify_chain(&history().await), []);
    assert_eq!(verify_chain(&[]), []);
}

#[tokio::test]
async fn an_edited_event_breaks_the_link_to_it() {
    let mut history = history().await;
    let edited =
        String::from_utf8(history[1].payload.to_vec()).unwrap().replace("a processor", "a cray");
    history[1] = with_payload(&history[1], edited);
    let must = Some(history[1].recorded.digest);
    let faults = verify_chain(&history);
    let broken = matches!(&faults[..], [ChainFault::Previous { sequence: 3, must: found, .. }] if *found == must);
    assert!(broken, "{faults:?}");
}

#[tokio::test]
async fn bytes_that_were_swapped_under_a_digest_are_seen() {
    let mut history = history().await;
    history[2].payload = Bytes::from_static(b"{}");
    assert_eq!(verify_chain(&history), [ChainFault::Digest { sequence: 3 }]);
}

#[tokio::test]
async fn a_removed_event_is_seen() {
    let mut history = history().await;
    history.remove(1);
    let faults = verify_chain(&history);
    assert!(faults.contains(&ChainFault::Illegal { sequence: 3 }), "{faults:?}");
    assert!(faults.iter().any(|fault| matches!(fault, ChainFault::Previous { sequence: 3, .. })));
    assert!(faults.iter().any(|fault| matches!(fault, ChainFault::Causation { sequence: 3, .. })));
}

#[tokio::test]
async fn swapped_events_are_seen() {
    let mut history = history().await;
    history.swap(1, 2);
    assert!(verify_chain(&history).contains(&ChainFault::Order { sequence: 2, before: 3 }));
}

#[tokio::test]
async fn an_event_of_another_submission_is_seen() {
    let mut ours = history().await;
    ours[1] = history().await.remove(1);
    let faults = verify_chain(&ours);
    assert!(faults.contains(&ChainFault::Subject { sequence: 2 }), "{faults:?}");
    assert!(
        faults.iter().any(|fault| matches!(fault, ChainFault::Correlation { sequence: 2, .. }))
    );
}

#[tokio::test]
async fn every_fault_names_its_sequence_in_words() {
    let fault = ChainFault::Previous { sequence: 7, named: None, must: Some(Digest::of(b"x")) };
    assert!(fault.to_string().starts_with("sequence 7: "));
}
