//! Submissions from delivery to end, on a ledger in memory and with scripted cells.

mod cancellations;
mod deliveries;
mod losses;
mod not_here;
mod outcomes;

use std::sync::Arc;
use std::time::Duration;

use events::envelope::Writer;
use events::event::{Accepted, CancellationRequested, Completed, Event, Lost, LostReason, Started};
use events::testing::ManualClock;
use events::{BootId, Clock as _, Submission, SubmissionId};
use ledger::memory::{MemoryObjects, MemoryStore};
use ledger::{Accepting, Aggregate, Held, Job, KnownOffers, LanguageOffer, Ledger, Stored};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{AckWait, AttemptSettings, DeliveryHandler, ExecutorContext, HeldSubmissions};
use crate::peers::Peers;
use crate::testing::{Chorus, Memo, Said, Script, accepted, context};

const ACK_WAIT: Duration = Duration::from_secs(30);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const SECOND: Duration = Duration::from_secs(1);

fn id() -> SubmissionId {
    SubmissionId::new(Uuid::from_u128(0xabc))
}

fn boot(number: u128) -> BootId {
    BootId::new(Uuid::from_u128(number))
}

fn writer(name: &str, life: u128) -> Writer {
    Writer {
        source: format!("/{name}"),
        actor: name.to_owned(),
        instance: boot(life),
        traceparent: None,
    }
}

/// One executor, a ledger with one submission in it, and what its queue was told.
struct Stage {
    store: Arc<MemoryStore>,
    ledger: Ledger,
    objects: Arc<MemoryObjects>,
    deliveries: DeliveryHandler,
    accepted: Stored,
    clock: Arc<ManualClock>,
}

impl Stage {
    async fn with(accepted: Accepted) -> Self {
        Self::with_peers(accepted, Arc::new(Chorus(Held::Gone))).await
    }

    async fn with_peers(accepted: Accepted, peers: Arc<dyn Peers>) -> Self {
        let clock = Arc::new(ManualClock::at(events::testing::instant(0)));
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let ledger = Ledger::new(store.clone(), clock.clone());
        let accepting = ledger.accept(id(), accepted, &writer("command-api", 99)).await.unwrap();
        assert!(matches!(accepting, Accepting::New(_)));
        let stored = ledger.history(id()).await.unwrap().remove(0);
        let objects = Arc::new(MemoryObjects::default());
        let offers = KnownOffers::new(clock.clone());
        offers.all_is_read(clock.now());
        let context = ExecutorContext {
            objects: objects.clone(),
            peers,
            offers,
            clock: clock.clone(),
            settings: AttemptSettings {
                attempts_max: 3,
                not_here_max: DAY,
                newer_version_after: Some(HOUR),
            },
            ..context(&ledger, boot(1), Held::Gone)
        };
        let (held, hand_back) = (HeldSubmissions::default(), CancellationToken::new());
        let ack_wait = AckWait::new(ACK_WAIT);
        let deliveries = DeliveryHandler { context, ack_wait, held, hand_back };
        Self { store, ledger, objects, deliveries, accepted: stored, clock }
    }

    fn job(&self, delivered: u64) -> (Job, Arc<Memo>) {
        let memo = Arc::new(Memo::default());
        (Job::new(self.accepted.clone(), delivered, memo.clone()).unwrap(), memo)
    }

    /// Delivers the submission and waits until it is settled.
    async fn deliver(&self, delivered: u64, script: &Arc<Script>) -> Vec<Said> {
        let (job, memo) = self.job(delivered);
        self.deliveries.handle_delivery(job, &mut script.clone()).await;
        memo.said()
    }

    /// Delivers the submission as often as the queue is told to. Returns how long that took.
    async fn deliver_until_done(&self, script: &Arc<Script>) -> Duration {
        let began = tokio::time::Instant::now();
        for delivered in 2.. {
            match self.deliver(delivered, script).await.last() {
                Some(Said::Nak(delay)) => tokio::time::sleep(*delay).await,
                said => {
                    assert_eq!(said, Some(&Said::Ack));
                    break;
                }
            }
        }
        began.elapsed()
    }

    /// Delivers the submission and leaves it running.
    fn deliver_in_background(
        &self,
        script: &Arc<Script>,
    ) -> (tokio::task::JoinHandle<()>, Arc<Memo>) {
        let (job, memo) = self.job(1);
        let (deliveries, mut script) = (self.deliveries.clone(), script.clone());
        let tracker = tokio_util::task::TaskTracker::new();
        (tracker.spawn(async move { deliveries.handle_delivery(job, &mut script).await }), memo)
    }

    async fn events(&self) -> Vec<Event> {
        let history = self.ledger.history(id()).await.unwrap();
        history.into_iter().map(|stored| stored.recorded.envelope.event).collect()
    }

    async fn kinds(&self) -> Vec<String> {
        let short =
            |event: &Event| event.kind().split('.').next_back().unwrap_or_default().to_owned();
        self.events().await.iter().map(short).collect()
    }

    async fn aggregate(&self) -> Aggregate {
        let aggregate = self.ledger.load(id()).await.unwrap().unwrap();
        assert_eq!(aggregate.violations, 0);
        aggregate
    }

    async fn submission(&self) -> Submission {
        self.aggregate().await.submission
    }

    async fn completed(&self) -> Completed {
        match self.events().await.pop() {
            Some(Event::Completed(completed)) => *completed,
            other => panic!("the last event is {other:?}"),
        }
    }

    /// Another writer's event.
    async fn other(&self, life: u128, event: Event) {
        let mut aggregate = self.aggregate().await;
        self.ledger.execute(&mut aggregate, event, &writer("other", life)).await.unwrap();
    }

    async fn other_starts(&self, life: u128, attempt: u32) {
        self.other(life, Event::Started(started(life, attempt))).await;
    }

    async fn lose(&self, attempt: u32, reason: LostReason) {
        let observer = "other".parse().unwrap();
        self.other(7, Event::Lost(Lost { attempt, reason, observer })).await;
    }

    /// Lets time pass, at whose end this executor and others that have these versions of Python
    /// say so.
    async fn pass(&self, time: Duration, versions: &[&str]) {
        self.clock.advance(time);
        tokio::time::advance(time).await;
        let here = accepted("python").language.version;
        let offers = versions.iter().copied().chain([here.as_str()]).map(|version| LanguageOffer {
            slug: "python".parse().unwrap(),
            version: version.to_owned(),
            pool: "core".parse().unwrap(),
        });
        self.deliveries.context.offers.note(offers, self.clock.now());
    }

    async fn request_cancellation(&self) {
        let request = CancellationRequested { by: "user:u".to_owned(), reason: None };
        self.other(99, Event::CancellationRequested(request)).await;
    }
}

fn started(life: u128, attempt: u32) -> Started {
    Started { boot_id: boot(life), ..events::testing::started(attempt) }
}
