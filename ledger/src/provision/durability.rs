//! Whether a server syncs before it acknowledges. A client's own connection does not tell (2.15.1:
//! neither the account's information nor anything else that an ordinary account may ask), so the
//! monitoring address is asked.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::time::Duration;

use backon::Retryable as _;
use futures::future::join_all;
use serde_json::Value;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};

use crate::error::{Fault, ProvisionError};
use crate::monitor;
use crate::retry::{PATIENT, until};

/// How long to wait for servers that are just starting.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// What a server says about its JetStream.
const PATH: &str = "/jsz";

/// Refuses unless every server of the deployment syncs always.
pub(crate) async fn check(monitor_urls: &[String]) -> Result<(), ProvisionError> {
    if monitor_urls.is_empty() {
        return Err(ProvisionError::NoMonitor);
    }
    let mut asked = HashSet::new();
    let (mut servers, mut unknown) = (1, None);
    let answers = join_all(monitor_urls.iter().map(|url| ask_patiently(url))).await;
    for (monitor_url, answer) in monitor_urls.iter().zip(answers) {
        // A server that says no counts more than one that says nothing.
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                unknown = Some(error);
                continue;
            }
        };
        // An absent member counts as false, since a wrong "true" would lose events.
        if answer["config"]["sync_always"] != Value::Bool(true) {
            return Err(ProvisionError::NotDurable { monitor_url: monitor_url.clone() });
        }
        // Counted by id, since two addresses may lead to the same server.
        asked.insert(answer["server_id"].to_string());
        let cluster = answer["meta_cluster"]["cluster_size"].as_u64().unwrap_or(1);
        // One server that does not sync is enough: it may be the leader of the stream tomorrow.
        servers = servers.max(usize::try_from(cluster).unwrap_or(usize::MAX));
    }
    if let Some(unknown) = unknown {
        return Err(unknown);
    }
    let asked = asked.len();
    if asked < servers {
        return Err(ProvisionError::NotAllMonitored { servers, asked });
    }
    Ok(())
}

/// Asks a server for what it says of its JetStream, and waits for one that is just starting.
pub(super) async fn ask_patiently(monitor_url: &str) -> Result<Value, ProvisionError> {
    let ask = || async {
        let answer = timeout(ANSWER_TIMEOUT, monitor::get(monitor_url, PATH)).await;
        answer.unwrap_or_else(|late| Err(late.into()))
    };
    let answer = ask.retry(PATIENT).when(may_be_starting).adjust(until(Instant::now() + DEADLINE));
    answer.await.map_err(|source| {
        let monitor_url = monitor_url.to_owned();
        ProvisionError::Monitor { monitor_url, source }
    })
}

/// A server that is not there yet may come. A program that answers something else is not a NATS
/// server's monitoring, and waiting does not change that.
fn may_be_starting(fault: &Fault) -> bool {
    match fault.downcast_ref::<std::io::Error>() {
        Some(error) => error.kind() != ErrorKind::ConnectionReset,
        None => fault.is::<Elapsed>(),
    }
}
