//! The ledger as an auditor sees it: with a NATS client and the documents, and with none of our
//! code.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{DiscardPolicy, RetentionPolicy, StorageType, Stream};
use async_nats::jetstream::{self};
use blackbox::audit::Audit;
use blackbox::client::Submitted;
use blackbox::programs::{c, expect, python};
use blackbox::world::{World, WorldBuilder};
use events::Digest;
use futures::StreamExt as _;
use serde_json::{Value, json};

/// The events that a submission may have, by stored type.
const FIRST: &str = "submission.accepted";

async fn open(world: &World) -> Result<Stream> {
    Ok(world.viewer().await?.get_stream("LEDGER").await?)
}

async fn read(stream: &Stream) -> Result<Vec<StreamMessage>> {
    let mut messages = Vec::new();
    for sequence in 1..=stream.cached_info().state.last_sequence {
        messages.push(
            stream
                .get_raw_message(sequence)
                .await
                .with_context(|| format!("sequence {sequence}"))?,
        );
    }
    Ok(messages)
}

/// A run, a run that does not compile, a judged submission, and a cancelled one: all that can
/// happen without a fault.
async fn lives(world: &World) -> Result<BTreeMap<&'static str, Submitted>> {
    let user = world.user("student-17")?;
    let mut judged = python("print(int(input()) + 1)");
    judged["cases"] = (0..20)
        .map(|n| json!({ "stdin": n.to_string(), "expected": (n + 1).to_string() }))
        .collect();
    let mut submitted = BTreeMap::new();
    for (name, body) in
        [("run", python("print(1)")), ("broken", c("int main(")), ("judged", judged)]
    {
        let one = user.submit(&body).await?;
        user.ended(&one).await?;
        submitted.insert(name, one);
    }
    let endless = user.submit(&python("import time\ntime.sleep(20)")).await?;
    let cancel = format!("/v1/submissions/{}/cancel", endless.id);
    user.post(&cancel, &json!({ "reason": "enough" })).await?.submitted()?;
    let ended = user.ended(&endless).await?;
    expect(&ended, &json!({ "state": "cancelled", "verdict": null }))?;
    submitted.insert("cancelled", endless);
    Ok(submitted)
}

fn header<'a>(message: &'a StreamMessage, name: &str) -> Option<&'a str> {
    message.headers.get(name).map(async_nats::HeaderValue::as_str)
}

/// Checks one message against the CloudEvents specification and our additions to it.
fn check_message(message: &StreamMessage, previous: Option<&StreamMessage>) -> Result<Value> {
    let event: Value = serde_json::from_slice(&message.payload).context("the payload is JSON")?;
    let text = |name: &str| event[name].as_str().with_context(|| format!("no {name}: {event}"));
    let tokens: Vec<&str> = message.subject.split('.').collect();
    let kind = text("type")?;

    expect(&event, &json!({ "specversion": "1.0", "datacontenttype": "application/json" }))?;
    let schema = text("dataschema")?.strip_prefix(&format!("urn:runledger:{kind}:"));
    ensure!(schema.is_some_and(|form| form.parse::<u16>().is_ok()), "{event}");
    let family = if kind == FIRST { "submission" } else { "outcome" };
    ensure!(tokens.get(..2) == Some(&["ledger", family]), "{} has {kind}", message.subject);
    ensure!(
        tokens.len() == 7 && tokens[6] == text("subject")? && tokens[6].ends_with(tokens[5]),
        "{} is not of {event}",
        message.subject
    );
    ensure!(["run", "submit"].contains(&tokens[2]), "{}", message.subject);
    ensure!(tokens[3..5] == ["normal", "core"], "{}", message.subject);
    ensure!(text("source")?.starts_with('/') && text("actor")?.contains(':'), "{event}");
    ensure!(event["attempt"].is_u64() && event["data"].is_object(), "{event}");
    ensure!(text("time")?.ends_with('Z'), "{event}");

    ensure!(
        header(message, "Nats-Msg-Id") == Some(text("id")?),
        "the message id is not the event's"
    );
    ensure!(header(message, "Ledger-Type") == Some(kind), "the type is not in the headers");
    let hash = previous.map(|previous| Digest::of(&previous.payload).to_string());
    ensure!(event["previous"].as_str() == hash.as_deref(), "the chain is broken: {event}");
    Ok(event)
}

#[tokio::test]
async fn every_step_is_a_readable_cloud_event_under_the_subjects_of_the_design() -> Result<()> {
    WorldBuilder::default()
        .edge()
        .play(async |world| {
            let submitted = lives(world).await?;
            let messages = read(&open(world).await?).await?;

            let mut types: BTreeMap<String, Vec<String>> = BTreeMap::new();
            let mut heads: BTreeMap<String, &StreamMessage> = BTreeMap::new();
            for (message, sequence) in messages.iter().zip(1..) {
                ensure!(message.sequence == sequence, "the sequences have a hole before {sequence}");
                let id = message.subject.rsplit('.').next().unwrap_or_default().to_owned();
                let event = check_message(message, heads.insert(id.clone(), message))?;
                let kind = event["type"].as_str().unwrap_or_default();
                types.entry(id).or_default().push(kind.to_owned());
            }

            let life = |name: &str| types[&submitted[name].id].join(" ");
            ensure!(types.len() == submitted.len(), "{types:?}");
            ensure!(life("run") == "submission.accepted execution.started execution.completed", "{types:?}");
            ensure!(life("broken") == "submission.accepted execution.started execution.compiled execution.completed", "{types:?}");
            ensure!(life("judged").starts_with("submission.accepted execution.started"), "{types:?}");
            ensure!(life("judged").ends_with("execution.completed"), "{types:?}");
            ensure!(life("cancelled").ends_with("cancellation.requested submission.cancelled"), "{types:?}");
            let all: Vec<Submitted> = submitted.into_values().collect();
            Audit::settled(world, &all).await.map(drop)
        })
        .await
}

#[tokio::test]
async fn one_filter_shows_a_submissions_whole_life() -> Result<()> {
    WorldBuilder::default()
        .edge()
        .play(async |world| {
            let user = world.user("student-17")?;
            let (one, other) =
                (user.submit(&python("print(1)")).await?, user.submit(&python("print(2)")).await?);
            user.ended(&one).await?;
            user.ended(&other).await?;

            let client = world.nats_client("viewer").await?;
            let inbox = client.new_inbox();
            let mut messages = client.subscribe(inbox.clone()).await?;
            let filter = format!("ledger.*.*.*.*.*.{}", one.id);
            let ask = json!({ "batch": 512, "next_by_subj": filter }).to_string();
            let subject = "$JS.view.API.DIRECT.GET.LEDGER";
            client.publish_with_reply(subject, inbox, ask.into()).await?;
            let expected = [FIRST, "execution.started", "execution.completed"];
            for kind in expected {
                let message =
                    tokio::time::timeout(Duration::from_secs(10), messages.next()).await?;
                let message = message.context("the stream of messages ended")?;
                let event: Value = serde_json::from_slice(&message.payload)?;
                expect(&event, &json!({ "type": kind, "subject": one.id }))?;
            }
            Ok(())
        })
        .await
}

#[tokio::test]
async fn what_is_stored_cannot_be_removed_and_the_stream_is_as_designed() -> Result<()> {
    WorldBuilder::default()
        .edge()
        .play(async |world| {
            let user = world.user("student-17")?;
            user.run(&python("print(1)")).await?;
            let stream = open(world).await?;

            let config = &stream.cached_info().config;
            let subjects = ["ledger.submission.*.*.*.*.*", "ledger.outcome.*.*.*.*.*"];
            ensure!(config.subjects == subjects, "{config:?}");
            ensure!(
                config.storage == StorageType::File && config.retention == RetentionPolicy::Limits,
                "{config:?}"
            );
            ensure!(
                config.discard == DiscardPolicy::New && config.discard_new_per_subject,
                "{config:?}"
            );
            ensure!(
                config.max_messages_per_subject == 512 && config.max_age.is_zero(),
                "{config:?}"
            );
            ensure!(
                config.deny_delete
                    // It could never be allowed again, and an archive has to purge.
                    && !config.deny_purge
                    && !config.allow_rollup
                    && config.allow_direct,
                "{config:?}"
            );
            ensure!(config.duplicate_window == Duration::from_mins(2), "{config:?}");

            // The user with the most rights.
            let provisioner = jetstream::new(world.nats_client("provisioner").await?);
            let stream = provisioner.get_stream("LEDGER").await?;
            let before = stream.cached_info().state.clone();
            ensure!(stream.delete_message(1).await.is_err(), "a message was deleted");
            let after = open(world).await?.cached_info().state.clone();
            ensure!(
                (before.messages, before.last_sequence) == (after.messages, after.last_sequence),
                "{after:?}"
            );
            Ok(())
        })
        .await
}

#[tokio::test]
async fn the_events_endpoint_serves_the_stored_bytes() -> Result<()> {
    WorldBuilder::default()
        .edge()
        .play(async |world| {
            let user = world.user("student-17")?;
            let submitted = user.submit(&python("print('é')")).await?;
            user.ended(&submitted).await?;
            let stored = read(&open(world).await?).await?;

            let served = user.get(&format!("/v1/submissions/{}/events", submitted.id)).await?.ok()?;
            let served = served.as_array().context("no list")?.clone();
            ensure!(served.len() == stored.len(), "{served:?}");
            for (served, stored) in served.iter().zip(&stored) {
                let event: Value = serde_json::from_slice(&stored.payload)?;
                expect(served, &json!({ "sequence": stored.sequence, "subject": stored.subject.as_str(), "event": event }))?;
            }
            Ok(())
        })
        .await
}
