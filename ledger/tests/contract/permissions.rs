//! What each user of NATS may do, and what it may not, tried on the deployed file.

use std::future::ready;
use std::time::Duration;

use async_nats::jetstream::{self, consumer, stream};
use async_nats::{Client, ConnectErrorKind, Event};
use bytes::Bytes;
use events::subject::{LEDGER_STREAM, LEDGER_SUBJECTS};
use events::{BootId, Lane, ObjectBucket, QueueName};
use futures::StreamExt as _;
use ledger::{FloorOf, Held, KnownOffers, LanguageOffer, durable_name};
use serde_json::json;
use servers::nats::USERS;
use servers::testing::NatsServer;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use crate::common::{
    client_of, clock, connect, fresh_id, fresh_uuid, open_as, pool, provisioner, queue_name,
    request_cancellation, start, submit, tester, writer,
};

const PATIENCE: Duration = Duration::from_secs(10);
const ACK_WAIT: Duration = Duration::from_secs(30);

/// A client that hears what the server refuses.
struct ForeignClient {
    client: Client,
    refusals: UnboundedReceiver<String>,
}

impl ForeignClient {
    async fn connect(server: &NatsServer, user: &str) -> Self {
        let (tell, refusals) = unbounded_channel();
        let options = client_of(user).event_callback(move |event| {
            if let Event::ServerError(refusal) = event {
                drop(tell.send(refusal.to_string()));
            }
            ready(())
        });
        Self { client: options.connect(server.url()).await.unwrap(), refusals }
    }

    /// Publishes, and waits until the server has said no.
    async fn may_not_publish(&mut self, user: &str, subject: &str, payload: Bytes) {
        self.client.publish(subject.to_owned(), payload).await.unwrap();
        self.is_refused(user, "publish", subject).await;
    }

    /// Subscribes, and waits until the server has said no.
    async fn may_not_subscribe(&mut self, user: &str, subject: &str) {
        let _subscriber = self.client.subscribe(subject.to_owned()).await.unwrap();
        self.is_refused(user, "subscription", subject).await;
    }

    async fn is_refused(&mut self, user: &str, what: &str, subject: &str) {
        let refusal = timeout(PATIENCE, self.refusals.recv()).await;
        let refusal = refusal.unwrap_or_else(|_| panic!("{user} may {what} {subject}")).unwrap();
        let wanted = format!("permissions violation for {what} to \"{subject}\"").to_lowercase();
        assert!(refusal.to_lowercase().contains(&wanted), "{user}, {what} {subject}: {refusal}");
    }
}

fn durables() -> Vec<String> {
    QueueName::of_pool(&pool()).iter().map(durable_name).collect()
}

/// Subjects that do harm, each with the users that have to publish there.
const PUBLICATIONS: [(&str, &[&str]); 48] = [
    ("ledger.oops", &[]),
    ("ledger.submission.run.normal.core.x.x", &["command-api"]),
    ("ledger.outcome.run.normal.core.x.x", &["command-api", "executor"]),
    ("object.SOURCES.x", &["command-api"]),
    ("object.TESTS.x", &["command-api"]),
    ("object.OUTPUTS.x", &["executor"]),
    ("$KV.OFFERS.x", &["executor"]),
    ("$KV.QUEUE_FLOORS.run-normal-core", &["executor"]),
    ("$KV.LEADERS.settler.core", &["executor"]),
    ("$KV.LEADERS.projector.results", &["projector"]),
    ("$KV.LEADERS.sweeper", &["sweeper"]),
    ("$KV.LEADERS.other", &[]),
    ("runledger.cancel.run.core", &["command-api"]),
    ("runledger.executor.x.holds", &["executor"]),
    ("_INBOX.x", &[]),
    ("_INBOX_provisioner.x", &[]),
    ("_INBOX_command-api.x", &[]),
    ("_INBOX_executor.x", &["executor"]),
    ("_INBOX_query-api.x", &[]),
    ("$JS.API.STREAM.CREATE.LEDGER", &["provisioner"]),
    ("$JS.API.STREAM.CREATE.OTHER", &["provisioner"]),
    ("$JS.API.STREAM.UPDATE.LEDGER", &["provisioner"]),
    ("$JS.API.STREAM.UPDATE.OBJ_OUTPUTS", &["provisioner"]),
    ("$JS.API.STREAM.DELETE.LEDGER", &[]),
    ("$JS.API.STREAM.DELETE.KV_QUEUE_FLOORS", &[]),
    ("$JS.API.STREAM.PURGE.LEDGER", &[]),
    ("$JS.API.STREAM.PURGE.KV_LEADERS", &[]),
    ("$JS.API.STREAM.PURGE.OBJ_SOURCES", &[]),
    ("$JS.API.STREAM.MSG.DELETE.LEDGER", &[]),
    ("$JS.API.STREAM.MSG.DELETE.OBJ_SOURCES", &["sweeper"]),
    ("$JS.API.STREAM.MSG.DELETE.OBJ_OUTPUTS", &[]),
    ("$JS.API.STREAM.RESTORE.LEDGER", &[]),
    ("$JS.API.STREAM.SNAPSHOT.LEDGER", &[]),
    ("$JS.API.STREAM.PEER.REMOVE.LEDGER", &[]),
    ("$JS.API.STREAM.LEADER.STEPDOWN.LEDGER", &[]),
    ("$JS.API.ACCOUNT.PURGE.G", &[]),
    // The name would stand in the body, where no permission sees it.
    ("$JS.API.CONSUMER.CREATE.LEDGER", &[]),
    ("$JS.view.API.CONSUMER.CREATE.LEDGER", &[]),
    // No reader's consumer has a filter, and no person makes one of any stream.
    ("$JS.API.CONSUMER.CREATE.LEDGER.x.ledger.submission.>", &["provisioner"]),
    ("$JS.API.CONSUMER.CREATE.OBJ_SOURCES.x", &[]),
    ("$JS.view.API.CONSUMER.CREATE.LEDGER.x", &[]),
    ("$JS.view.API.CONSUMER.CREATE.OBJ_SOURCES.x", &[]),
    ("$JS.view.API.CONSUMER.DELETE.LEDGER.x", &[]),
    ("$JS.view.API.CONSUMER.MSG.NEXT.LEDGER.x", &[]),
    // Objects are for those who need their content.
    ("$JS.API.STREAM.MSG.GET.OBJ_SOURCES", &["executor", "sweeper"]),
    ("$JS.API.DIRECT.GET.OBJ_SOURCES.x", &["executor"]),
    ("$JS.API.STREAM.MSG.GET.OBJ_OUTPUTS", &["query-api"]),
    ("$JS.API.DIRECT.GET.OBJ_OUTPUTS.x", &["query-api"]),
];

/// The same for the durable of each queue.
const PUBLICATIONS_OF_DURABLES: [(&str, &[&str]); 12] = [
    ("$JS.API.CONSUMER.CREATE.LEDGER.{}", &["provisioner"]),
    ("$JS.API.CONSUMER.CREATE.LEDGER.{}.ledger.submission.>", &["provisioner"]),
    ("$JS.API.CONSUMER.DURABLE.CREATE.LEDGER.{}", &[]),
    ("$JS.API.CONSUMER.DELETE.LEDGER.{}", &["provisioner"]),
    ("$JS.API.CONSUMER.PAUSE.LEDGER.{}", &[]),
    ("$JS.API.CONSUMER.RESET.LEDGER.{}", &[]),
    ("$JS.API.CONSUMER.LEADER.STEPDOWN.LEDGER.{}", &[]),
    ("$JS.API.CONSUMER.MSG.NEXT.LEDGER.{}", &["executor"]),
    ("$JS.ACK.LEDGER.{}.1.1.1.1.0", &["executor"]),
    ("$JS.view.API.CONSUMER.CREATE.LEDGER.{}", &[]),
    ("$JS.view.API.CONSUMER.DELETE.LEDGER.{}", &[]),
    ("$JS.view.API.CONSUMER.MSG.NEXT.LEDGER.{}", &[]),
];

fn publications() -> Vec<(String, &'static [&'static str])> {
    let fixed = PUBLICATIONS.map(|(subject, users)| (subject.to_owned(), users));
    let named = durables().into_iter().flat_map(|durable| {
        PUBLICATIONS_OF_DURABLES.map(|(subject, users)| (subject.replace("{}", &durable), users))
    });
    fixed.into_iter().chain(named).collect()
}

/// What a user must not hear, with the users that may.
const SUBSCRIPTIONS: [(&str, &[&str]); 12] = [
    (">", &[]),
    ("_INBOX.>", &[]),
    ("_INBOX_provisioner.>", &["provisioner"]),
    ("_INBOX_command-api.>", &["command-api"]),
    ("_INBOX_executor.>", &["executor"]),
    ("_INBOX_query-api.>", &["query-api"]),
    ("_INBOX_viewer.>", &["viewer"]),
    ("ledger.>", &["viewer"]),
    ("runledger.executor.*.holds", &["executor"]),
    ("runledger.cancel.*.*", &["executor"]),
    ("$JS.ACK.>", &[]),
    ("$KV.>", &[]),
];

/// Everything about the ledger and its queues that a user could have changed.
async fn state(server: &NatsServer) -> (stream::Config, u64, Vec<consumer::Config>) {
    let client = tester(server).await;
    let stream = jetstream::new(client).get_stream(LEDGER_STREAM).await.unwrap();
    let mut queues = Vec::new();
    for durable in durables() {
        queues.push(stream.consumer_info(durable).await.unwrap().config);
    }
    let info = stream.cached_info();
    (info.config.clone(), info.state.messages, queues)
}

/// A server on which everything is there, and one submission.
async fn given() -> NatsServer {
    let server = NatsServer::start().await;
    submit(&connect(&server).await.ledger(clock())).await;
    for queue in QueueName::of_pool(&pool()) {
        provisioner(&server).await.queue().provision(&queue, ACK_WAIT).await.unwrap();
    }
    server
}

#[tokio::test]
async fn no_user_may_do_what_is_anothers() {
    let server = given().await;
    let before = state(&server).await;
    for user in USERS {
        let mut client = ForeignClient::connect(&server, user).await;
        for (subject, may) in publications() {
            if !may.contains(&user) {
                client.may_not_publish(user, &subject, Bytes::new()).await;
            }
        }
        for (subject, may) in SUBSCRIPTIONS {
            if !may.contains(&user) {
                client.may_not_subscribe(user, subject).await;
            }
        }
    }
    assert_eq!(state(&server).await, before);
}

#[tokio::test]
async fn nobody_connects_without_a_name_and_its_password() {
    let server = NatsServer::start().await;
    let nameless = async_nats::connect(server.url()).await.unwrap_err();
    assert_eq!(nameless.kind(), ConnectErrorKind::AuthorizationViolation);
    for (user, password) in [("executor", ""), ("executor", "password-of-viewer"), ("admin", "x")] {
        let options =
            async_nats::ConnectOptions::with_user_and_password(user.into(), password.into());
        let refused = options.connect(server.url()).await.unwrap_err();
        assert_eq!(refused.kind(), ConnectErrorKind::AuthorizationViolation, "{user} {password}");
    }
}

/// What services do, each as its own user; the server logs whatever it refuses.
#[tokio::test]
async fn every_service_may_do_its_work() {
    let server = given().await;
    let url = server.url();
    let (command_api, executor) =
        (open_as(&url, "command-api").await, open_as(&url, "executor").await);

    // command-api takes a submission in.
    let source = command_api.objects().put(ObjectBucket::Sources, b"source".to_vec()).await;
    command_api.objects().put(ObjectBucket::Tests, b"tests".to_vec()).await.unwrap();
    for &bucket in ObjectBucket::ALL {
        command_api.objects().usage(bucket).await.unwrap();
    }
    let ledger = command_api.ledger(clock());
    let aggregate = submit(&ledger).await;
    assert!(ledger.load(aggregate.id()).await.unwrap().is_some());
    assert!(command_api.queue().status(&queue_name(Lane::Run)).await.unwrap().is_some());

    // An executor takes it over and runs it.
    let mut worker = executor.queue().consumer(&queue_name(Lane::Run)).await.unwrap();
    let jobs = worker.fetch(2, PATIENCE).await.unwrap();
    let mut job = jobs.into_iter().find(|job| job.aggregate.id() == aggregate.id()).unwrap();
    job.receipt.in_progress().await.unwrap();
    assert_eq!(executor.objects().get(&source.unwrap()).await.unwrap(), b"source");
    let (ledger, me) = (executor.ledger(clock()), writer("executor"));
    ledger.execute(&mut job.aggregate, start(1, me.instance), &me).await.unwrap();
    let output = executor.objects().put(ObjectBucket::Outputs, b"output".to_vec()).await.unwrap();
    let floors = executor.queue().floors();
    floors.store(FloorOf::Queue(&queue_name(Lane::Run)), 1).await.unwrap();
    let floor = floors.load(FloorOf::Queue(&queue_name(Lane::Run))).await.unwrap();
    assert_eq!(floor.map(|floor| floor.sequence), Some(1));
    assert!(executor.leadership("settler.core".to_owned(), "me".to_owned()).hold().await.unwrap());

    // Executors hear each other, and command-api.
    let presence = executor.presence();
    let mut cancellations = presence.cancellations(Lane::Run, &pool()).await.unwrap();
    let answering = presence.answer(me.instance, |_| true).await.unwrap();
    let other = open_as(&url, "executor").await;
    let asking = async {
        assert_eq!(other.presence().ask(me.instance, fresh_id()).await.unwrap(), Held::Yes);
        command_api.presence().announce_cancellation(&aggregate.subject).await.unwrap();
        assert_eq!(cancellations.next().await, Some(aggregate.id()));
    };
    tokio::select! {
        () = answering => panic!("it stopped answering"),
        done = timeout(PATIENCE, asking) => done.unwrap(),
    }
    let mut asked = aggregate.clone();
    let ledger_of_api = command_api.ledger(clock());
    ledger_of_api.execute(&mut asked, request_cancellation(), &writer("api")).await.unwrap();
    job.receipt.ack().await.unwrap();
    worker.close().await;

    // Offers are put by one and seen by the other.
    let known = KnownOffers::new(clock());
    let version = "3.11".to_owned();
    let python = LanguageOffer { slug: "python".parse().unwrap(), version, pool: pool() };
    let (putting, watching) = (executor.offers(), command_api.offers());
    tokio::select! {
        never = putting.keep_putting(BootId::new(fresh_uuid()), vec![python.clone()]) => match never {},
        never = watching.watch(&known) => match never {},
        seen = timeout(PATIENCE, seen(&known, &python)) => seen.unwrap(),
    }

    // Everybody reads the ledger, and those who need them the objects.
    for user in ["command-api", "executor", "projector", "query-api", "sweeper"] {
        let ledger = open_as(&url, user).await.ledger(clock());
        let last = usize::try_from(ledger.last_sequence().await.unwrap()).unwrap();
        let all = ledger.follow(None).take(last).collect::<Vec<_>>();
        assert_eq!(timeout(PATIENCE, all).await.expect(user).len(), last);
        assert_eq!(ledger.history(aggregate.id()).await.unwrap().len(), 3, "{user}");
    }
    let query_api = open_as(&url, "query-api").await.objects();
    assert_eq!(query_api.get(&output).await.unwrap(), b"output");

    assert!(!server.log().contains("Violation"), "{}", server.log());
}

/// What the NATS CLI does: lists, looks, reads what a filter matches, and listens.
#[tokio::test]
async fn a_viewer_sees_everything() {
    let server = given().await;
    let mut viewer = ForeignClient::connect(&server, "viewer").await;
    let context = jetstream::with_domain(viewer.client.clone(), "view");
    let streams: Vec<_> = context.stream_names().collect().await;
    assert_eq!(streams.len(), 7, "{streams:?}");
    let stream = context.get_stream(LEDGER_STREAM).await.unwrap();
    assert_eq!(stream.consumer_names().count().await, durables().len());
    let inbox = viewer.client.new_inbox();
    let mut answers = viewer.client.subscribe(inbox.clone()).await.unwrap();
    let ask = json!({ "batch": 10, "next_by_subj": LEDGER_SUBJECTS[0] }).to_string();
    let subject = "$JS.view.API.DIRECT.GET.LEDGER";
    viewer.client.publish_with_reply(subject, inbox, ask.into()).await.unwrap();
    let first = timeout(PATIENCE, answers.next()).await.unwrap().unwrap();
    let mut live = viewer.client.subscribe("ledger.>").await.unwrap();
    viewer.client.flush().await.unwrap();
    submit(&open_as(&server.url(), "command-api").await.ledger(clock())).await;
    let second = timeout(PATIENCE, live.next()).await.unwrap().unwrap();
    let headers = first.headers.unwrap();
    let first = headers.get("Nats-Subject").unwrap();
    assert!(first.as_str().starts_with("ledger.submission."), "{first:?}");
    assert_ne!(first.as_str(), second.subject.as_str());
    viewer.refusals.try_recv().unwrap_err();
}

/// NATS answers wherever a request says, and an empty answer that reaches the right subject deletes
/// a stream.
#[tokio::test]
async fn a_viewer_who_forges_the_address_of_an_answer_reaches_nothing() {
    let server = given().await;
    let tester = tester(&server).await;
    let context = jetstream::new(tester.clone());
    let scratch = stream::Config { name: "SCRATCH".to_owned(), ..Default::default() };
    context.create_stream(scratch).await.unwrap();
    let before = state(&server).await;
    let viewer = ForeignClient::connect(&server, "viewer").await.client;
    let absent = Bytes::from_static(br#"{"seq":1000000}"#);
    for prefix in ["$JS.API", "$JS.view.API"] {
        for deed in ["STREAM.DELETE.LEDGER", "STREAM.PURGE.LEDGER"] {
            let ask = "$JS.view.API.DIRECT.GET.LEDGER";
            let reply = format!("{prefix}.{deed}");
            viewer.publish_with_reply(ask, reply, absent.clone()).await.unwrap();
        }
        for durable in durables() {
            let ask = "$JS.view.API.DIRECT.GET.LEDGER";
            let reply = format!("{prefix}.CONSUMER.DELETE.LEDGER.{durable}");
            viewer.publish_with_reply(ask, reply, absent.clone()).await.unwrap();
        }
    }
    viewer.flush().await.unwrap();
    // The same by one who may: once it has worked, what came before has had its time.
    let (ask, reply) = ("$JS.API.DIRECT.GET.LEDGER", "$JS.API.STREAM.DELETE.SCRATCH");
    tester.publish_with_reply(ask, reply, absent).await.unwrap();
    let deleted = async { while context.get_stream("SCRATCH").await.is_ok() {} };
    timeout(PATIENCE, deleted).await.unwrap();
    assert_eq!(state(&server).await, before);
}

/// A consumer's messages go wherever its maker says in the body of the request. If that is a subject
/// of the ledger, and somebody listens to that very subject, the ledger stores them.
#[tokio::test]
async fn a_viewer_cannot_have_the_server_write_to_the_ledger() {
    let server = given().await;
    let objects = open_as(&server.url(), "command-api").await.objects();
    objects.put(ObjectBucket::Sources, b"source".to_vec()).await.unwrap();
    let before = state(&server).await;
    let mut viewer = ForeignClient::connect(&server, "viewer").await;
    let target = "ledger.outcome.run.normal.core.x.x";
    let _listener = viewer.client.subscribe(target).await.unwrap();
    let config = json!({
        "name": "copier", "deliver_subject": target, "deliver_policy": "all", "ack_policy": "none"
    });
    let request = json!({ "stream_name": "OBJ_SOURCES", "config": config }).to_string();
    let request = Bytes::from(request);
    let subject = "$JS.view.API.CONSUMER.CREATE.OBJ_SOURCES.copier";
    viewer.may_not_publish("viewer", subject, request.clone()).await;
    assert_eq!(state(&server).await, before);
    // The same request by a user who may does it.
    let tester = tester(&server).await;
    tester.request("$JS.API.CONSUMER.CREATE.OBJ_SOURCES.copier", request).await.unwrap();
    let written = async { while state(&server).await.1 == before.1 {} };
    timeout(PATIENCE, written).await.unwrap();
}

async fn seen(known: &KnownOffers, offer: &LanguageOffer) {
    while known.last_had(offer).is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
