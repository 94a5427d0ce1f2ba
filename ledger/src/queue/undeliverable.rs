//! Messages that the client cannot take as deliveries. Each breaks the connection, loses what was
//! on its way with it, and would do so again after every ack wait.

use async_nats::jetstream::context::Context;
use events::QueueName;
use events::subject::LEDGER_STREAM;
use tracing::error;

use super::consumer::{QueueStatus, durable_name, find};
use crate::error::Fault;
use crate::jetstream::raw::{self, MessageQuery};
use crate::metrics;

/// How many messages are looked at before the next request for jobs.
const LOOKED_AT_MAX: usize = 1_000;

/// Looks for them among the deliveries of a queue that are under way.
#[derive(Debug, Default)]
pub(super) struct UndeliverableSearch {
    /// Everything up to this sequence was looked at.
    looked_at: u64,
}

impl UndeliverableSearch {
    /// Ends those that it finds. False when there are more messages to look at.
    pub(super) async fn go_on(
        &mut self,
        context: &Context,
        name: &QueueName,
    ) -> Result<bool, Fault> {
        let status = QueueStatus::of(find(context, name).await?.cached_info());
        let filter = name.filter();
        self.looked_at = self.looked_at.max(status.acknowledged);
        for _ in 0..LOOKED_AT_MAX {
            let query = MessageQuery::next(&filter, self.looked_at + 1);
            let found = raw::read(context, query).await?;
            let found = found.filter(|found| found.seq <= status.delivered);
            let Some(found) = found else { return Ok(true) };
            if !found.is_deliverable()? {
                error!(ledger.sequence = found.seq, "a delivery that breaks connections is ended");
                metrics::terminated();
                terminate(context, name, found.seq).await?;
            }
            self.looked_at = found.seq;
        }
        Ok(false)
    }
}

async fn terminate(context: &Context, name: &QueueName, sequence: u64) -> Result<(), Fault> {
    // As the delivery's own reply would be spelled. Of its numbers (how often it was delivered, the
    // message, its place among the deliveries, the time, what is pending) the server needs only
    // the message's.
    let durable = durable_name(name);
    let subject = format!("$JS.ACK.{LEDGER_STREAM}.{durable}.1.{sequence}.1.0.0");
    // Confirmed, since it is not looked at again.
    context.client().request(subject, "+TERM".into()).await?;
    Ok(())
}
