//! Makes streams and buckets with the settings of `streams`, on servers that sync before they
//! acknowledge.

mod durability;
mod streams;

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{Context, CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::Config;
use backon::Retryable as _;
use tokio::time::Instant;

use crate::error::{Fault, ProvisionError};
use crate::retry::{PATIENT, until};

pub use streams::StreamSettings;

/// How long to wait for a server that is starting, or for a cluster without a leader.
const DEADLINE: Duration = Duration::from_secs(30);
/// Since 2.11 an expected sequence can be held against a filter.
const SERVER_VERSION_MIN: (i64, i64, i64) = (2, 11, 0);

/// See [`crate::Connection::provision`].
pub(crate) async fn provision(
    context: &Context,
    settings: &StreamSettings,
) -> Result<(), ProvisionError> {
    // First: on a server that can lose what it acknowledged, not even a stream must be made.
    durability::check(&settings.monitor_urls).await?;
    for config in streams::wanted(settings) {
        ensure(context, &config).await?;
    }
    // Last, since the server has introduced itself by now.
    check_version(&context.client())
}

/// Refuses servers that would ignore [`crate::store::Expected::NoneMatching`].
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
    let ensured = (|| ensure_once(context, wanted))
        .retry(PATIENT)
        .when(|trouble| matches!(trouble, Trouble::Passing(_)))
        .adjust(until(Instant::now() + DEADLINE));
    ensured.await.map_err(|trouble| match trouble {
        Trouble::Lasting(error) => error,
        Trouble::Passing(source) => ProvisionError::Create { stream: wanted.name.clone(), source },
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
    let differences = streams::differences(&found, wanted);
    if !differences.is_empty() {
        let differences = differences.join(", ");
        let stream = wanted.name.clone();
        return Err(Trouble::Lasting(ProvisionError::Different { stream, differences }));
    }
    // Only ever more: a limit below what is stored would refuse every outcome at once.
    if found.max_bytes < wanted.max_bytes {
        // On top of what was found, so that settings which we do not compare stay an operator's.
        let larger = Config { max_bytes: wanted.max_bytes, ..found };
        context.update_stream(larger).await.map_err(|error| Trouble::Passing(error.into()))?;
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
