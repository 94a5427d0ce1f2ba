//! How much a reader holds at once: bounded by bytes, whatever others write, and never so that a
//! message cannot pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use events::Family;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use ledger::memory::MemoryStore;
use ledger::store::{Ack, Message, Publication, PublishError};
use ledger::{EventStore, Fault, Ledger, LedgerExtent, StorageUsage};
use servers::testing::NatsServer;
use tokio::time::timeout;

use crate::common::{clock, connect, standing, submit, tester};
use crate::follow::{ledger_stream, soft_stream};

const SOON: Duration = Duration::from_secs(30);
const MIB: usize = 1024 * 1024;
/// A subject on which no submission has its outcome.
const NOBODYS: &str = "ledger.outcome.run.normal.core.x.x";

/// The bytes of all messages that are held, now and at the most.
#[derive(Debug, Default)]
struct Scales {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// A payload that is weighed for as long as it is held.
struct WeighedPayload {
    bytes: Bytes,
    scales: Arc<Scales>,
}

impl WeighedPayload {
    fn put(bytes: Bytes, scales: &Arc<Scales>) -> Bytes {
        let now = scales.now.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
        scales.most.fetch_max(now, Ordering::Relaxed);
        Bytes::from_owner(Self { bytes, scales: Arc::clone(scales) })
    }
}

impl AsRef<[u8]> for WeighedPayload {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for WeighedPayload {
    fn drop(&mut self) {
        self.scales.now.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

/// A store that weighs what it gives out.
#[derive(Debug)]
struct WeighingStore {
    store: Arc<MemoryStore>,
    scales: Arc<Scales>,
}

impl WeighingStore {
    fn weigh(&self, found: Option<Message>) -> Option<Message> {
        let found = found?;
        let payload = WeighedPayload::put(found.payload, &self.scales);
        Some(Message { payload, ..found })
    }
}

#[async_trait]
impl EventStore for WeighingStore {
    async fn publish(&self, publication: &Publication) -> Result<Ack, PublishError> {
        self.store.publish(publication).await
    }

    async fn last(&self, filter: &str) -> Result<Option<Message>, Fault> {
        Ok(self.weigh(self.store.last(filter).await?))
    }

    async fn next(&self, filter: &str, from: u64) -> Result<Option<Message>, Fault> {
        Ok(self.weigh(self.store.next(filter, from).await?))
    }

    async fn get(&self, sequence: u64) -> Result<Option<Message>, Fault> {
        Ok(self.weigh(self.store.get(sequence).await?))
    }

    async fn usage(&self) -> Result<StorageUsage, Fault> {
        self.store.usage().await
    }

    async fn extent(&self) -> Result<LedgerExtent, Fault> {
        self.store.extent().await
    }

    fn follow(&self, from: u64) -> BoxStream<'static, Result<Message, Fault>> {
        self.store.follow(from)
    }
}

#[tokio::test]
async fn a_fold_holds_two_messages_at_once_however_many_there_are() {
    let store = Arc::new(MemoryStore::new(standing()));
    let scales = Arc::<Scales>::default();
    let weighing = WeighingStore { store: Arc::clone(&store), scales: Arc::clone(&scales) };
    let ledger = Ledger::new(Arc::new(weighing), standing());
    let aggregate = submit(&ledger).await;
    let outcome = aggregate.subject.in_family(Family::Outcome).to_string();
    for _ in 0..20 {
        store.put_raw(&outcome, vec![b'x'; MIB]);
    }
    let loaded = ledger.load(aggregate.id()).await.unwrap().unwrap();
    assert_eq!(loaded.violations, 20);
    assert_eq!(ledger.history(aggregate.id()).await.unwrap().len(), 1);
    let most = scales.most.load(Ordering::Relaxed);
    assert!((2 * MIB..3 * MIB).contains(&most), "{most}");
    assert_eq!(scales.now.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_follower_that_is_not_read_is_sent_a_few_mib_ahead() {
    let server = NatsServer::start().await;
    let ledger = connect(&server).await.ledger(clock());
    submit(&ledger).await;
    let client = tester(&server).await;
    for _ in 0..40 {
        client.request(NOBODYS, vec![b'x'; MIB].into()).await.unwrap();
    }
    let mut following = ledger.follow(None);
    timeout(SOON, following.next()).await.unwrap().unwrap().unwrap();
    // Until the server has sent all that it was asked for.
    let stream = ledger_stream(&server).await;
    let asked = async {
        loop {
            let found: Vec<_> = stream.consumers().try_collect().await.unwrap();
            if found[0].num_waiting == 0 || found[0].num_pending == 0 {
                return found[0].num_pending;
            }
        }
    };
    let unsent = timeout(SOON, asked).await.unwrap();
    assert!(unsent > 25, "{unsent}");
    for _ in 0..40 {
        timeout(SOON, following.next()).await.unwrap().unwrap().unwrap();
    }
}

#[tokio::test]
async fn the_largest_message_that_a_server_takes_passes() {
    let server = NatsServer::start().await;
    // Without a bound of its own, as ledgers had before.
    let (_stream, ledger) = soft_stream(&server).await;
    let client = tester(&server).await;
    let largest = client.server_info().max_payload;
    assert_eq!(largest, 8 * MIB);
    for _ in 0..3 {
        client.request(NOBODYS, vec![b'x'; largest].into()).await.unwrap();
    }
    let mut following = ledger.follow(None);
    for sequence in 1..=3 {
        let followed = timeout(SOON, following.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(followed.position.sequence, sequence);
    }
}
