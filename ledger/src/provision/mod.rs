//! Makes streams and buckets with the settings of `streams`, on servers that sync before they
//! acknowledge.

pub(crate) mod durability;
mod room;
mod streams;

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{Context, CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::Config;
use backon::Retryable as _;
use events::subject::LEDGER_STREAM;
use events::{IdSource, LedgerId};
use tokio::time::Instant;

use crate::error::{Fault, ProvisionError};
use crate::retry::{PATIENT, until};

pub use streams::StreamSettings;
pub(crate) use streams::ledger_id;

/// How long to wait for a server that is starting, or for a cluster without a leader.
const DEADLINE: Duration = Duration::from_secs(30);
/// Since 2.11 an expected sequence can be held against a filter.
const SERVER_VERSION_MIN: (i64, i64, i64) = (2, 11, 0);

/// See [`crate::Connection::provision`].
pub(crate) async fn provision(
    context: &Context,
    settings: &StreamSettings,
    ids: &dyn IdSource,
) -> Result<(), ProvisionError> {
    // First: on a server that can lose what it acknowledged, not even a stream must be made.
    durability::check(&settings.monitor_urls).await?;
    // In force only if the stream is made here: one that exists keeps the id that it has.
    let wanted = streams::wanted(settings, LedgerId::new(ids.new_id()));
    // Before the first one is made: a server that is full half-way tells less.
    room::check(context, &wanted, &settings.monitor_urls).await?;
    for config in wanted {
        ensure(context, &config).await?;
    }
    // Last, since the server has introduced itself by now.
    check_version(&context.client())
}

/// See [`crate::Connection::check_ledger_is_not_gone`].
pub(crate) async fn check_ledger_is_not_gone(
    context: &Context,
    mut was_there: bool,
) -> Result<(), ProvisionError> {
    // Asked before the ledger: a provisioner that is at work meanwhile makes the ledger before them.
    for stream in streams::made_after_the_ledger() {
        was_there = was_there || patiently(&stream, || exists(context, &stream)).await?;
    }
    if was_there && !patiently(LEDGER_STREAM, || exists(context, LEDGER_STREAM)).await? {
        return Err(ProvisionError::LedgerGone);
    }
    Ok(())
}

async fn exists(context: &Context, stream: &str) -> Result<bool, Trouble> {
    match context.get_stream(stream).await {
        Ok(_) => Ok(true),
        Err(error) if is_absent(&error.kind()) => Ok(false),
        Err(error) => Err(Trouble::Passing(error.into())),
    }
}

/// See [`crate::Connection::check_durability`].
pub(crate) async fn check_durability(
    client: &Client,
    monitor_urls: &[String],
) -> Result<(), ProvisionError> {
    durability::check(monitor_urls).await?;
    check_version(client)
}

/// Refuses servers that would ignore [`crate::store::Expected::LastMatching`].
fn check_version(client: &Client) -> Result<(), ProvisionError> {
    let (major, minor, patch) = SERVER_VERSION_MIN;
    match client.try_server_info() {
        Some(info) if !client.is_server_compatible(major, minor, patch) => {
            Err(ProvisionError::TooOld { found: info.version, min: "2.11" })
        }
        Some(_) | None => Ok(()),
    }
}

/// Finds the stream as it must be, or makes it, or says how it differs.
async fn ensure(context: &Context, wanted: &Config) -> Result<(), ProvisionError> {
    patiently(&wanted.name, || ensure_once(context, wanted)).await
}

/// Repeats what is done for a stream until another try is of no use, or the deadline has come.
async fn patiently<T, F>(stream: &str, one_try: impl FnMut() -> F) -> Result<T, ProvisionError>
where
    F: Future<Output = Result<T, Trouble>>,
{
    let done = one_try
        .retry(PATIENT)
        .when(|trouble| matches!(trouble, Trouble::Passing(_)))
        .adjust(until(Instant::now() + DEADLINE));
    done.await.map_err(|trouble| match trouble {
        Trouble::Lasting(error) => error,
        Trouble::Passing(source) => ProvisionError::Create { stream: stream.to_owned(), source },
    })
}

enum Trouble {
    /// Another try may mend it.
    Passing(Fault),
    /// Only a person can mend it.
    Lasting(ProvisionError),
}

async fn ensure_once(context: &Context, wanted: &Config) -> Result<(), Trouble> {
    let found = match context.get_stream(&wanted.name).await {
        Ok(stream) => stream.cached_info().config.clone(),
        Err(error) if is_absent(&error.kind()) => return create(context, wanted).await,
        Err(error) => return Err(Trouble::Passing(error.into())),
    };
    if wanted.name == LEDGER_STREAM && streams::ledger_id(&found).is_none() {
        return Err(Trouble::Lasting(ProvisionError::NoLedgerId));
    }
    let adjusted = streams::adjusted(&found, wanted);
    let differences = streams::differences(&adjusted, wanted);
    if !differences.is_empty() {
        let differences = differences.join(", ");
        let stream = wanted.name.clone();
        return Err(Trouble::Lasting(ProvisionError::Different { stream, differences }));
    }
    if adjusted != found {
        context.update_stream(adjusted).await.map_err(|error| Trouble::Passing(error.into()))?;
    }
    Ok(())
}

async fn create(context: &Context, wanted: &Config) -> Result<(), Trouble> {
    let Err(error) = context.create_stream(wanted).await else {
        tracing::info!(stream.name = wanted.name, "made a stream");
        return Ok(());
    };
    let passing = match error.kind() {
        // Another service was first, and the next try compares; or the cluster has no leader yet.
        CreateStreamErrorKind::JetStream(answer) => {
            answer.error_code() == ErrorCode::STREAM_NAME_EXIST || answer.code() == 503
        }
        // The stream may exist by now, so the next try begins with a lookup.
        CreateStreamErrorKind::TimedOut
        | CreateStreamErrorKind::Response
        | CreateStreamErrorKind::ResponseParse => true,
        _ => false,
    };
    if passing {
        return Err(Trouble::Passing(error.into()));
    }
    let (stream, source) = (wanted.name.clone(), error.into());
    Err(Trouble::Lasting(ProvisionError::Create { stream, source }))
}

fn is_absent(kind: &GetStreamErrorKind) -> bool {
    matches!(kind, GetStreamErrorKind::JetStream(error)
        if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}
