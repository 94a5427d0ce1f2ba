//! Several nats-servers that keep the same streams.

use std::collections::BTreeSet;

use serde_json::Value;

use super::nats::{NatsServer, ServerOptions};
use crate::http;
use crate::port::ClaimedPort;

/// A cluster on loopback. Every server syncs always.
#[derive(Debug)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct NatsCluster {
    pub servers: Vec<NatsServer>,
    _routes: Vec<ClaimedPort>,
}

impl NatsCluster {
    /// Starts `size` servers and waits until they have a leader.
    pub async fn start(size: usize) -> Self {
        let routes = Self::claim_routes(size);
        let all: Vec<String> = routes.iter().map(ClaimedPort::address).collect();
        Self::start_on(routes, |_| all.clone(), "").await
    }

    /// Claims the ports on which the servers of a cluster meet.
    // All before the first start: the configuration of each server names the routes of all.
    pub(super) fn claim_routes(size: usize) -> Vec<ClaimedPort> {
        (0..size).map(|_| ClaimedPort::any().expect("a port")).collect()
    }

    /// Starts a server on each route. `ways` gives the addresses at which a server finds the
    /// others.
    pub(super) async fn start_on(
        routes: Vec<ClaimedPort>,
        ways: impl Fn(usize) -> Vec<String>,
        more: &str,
    ) -> Self {
        let configured = |(index, route): (usize, &ClaimedPort)| {
            let ways: Vec<String> =
                ways(index).iter().map(|address| format!("nats://{address}")).collect();
            let (listen, ways) = (route.address(), ways.join(", "));
            let more = format!(
                "cluster {{\n  name: test\n  listen: {listen}\n  routes: [{ways}]\n{more}}}"
            );
            let options = ServerOptions { more, ..ServerOptions::default() };
            NatsServer::configured(&format!("n{index}"), &options)
        };
        let mut servers: Vec<NatsServer> = routes.iter().enumerate().map(configured).collect();
        // All before the first is waited for: a single server has no majority, and is never ready.
        servers.iter_mut().for_each(NatsServer::launch);
        for server in &servers {
            server.wait().await;
        }
        Self { servers, _routes: routes }
    }

    /// Returns the URLs of all servers, for a client that finds its way around a dead one.
    pub fn urls(&self) -> String {
        let urls: Vec<String> = self.servers.iter().map(NatsServer::url).collect();
        urls.join(",")
    }

    /// Returns the monitoring addresses of all servers.
    pub fn monitor_urls(&self) -> Vec<String> {
        self.servers.iter().map(NatsServer::monitor_url).collect()
    }

    /// Returns the index of the server that leads `stream`.
    pub fn leader_of(&self, stream: &str) -> Option<usize> {
        // Any server knows the leader, so one that the test has killed is passed over.
        let leader = self.servers.iter().find_map(|server| {
            let known = jetstream_of(server)?;
            let found = streams_of(&known).find(|detail| detail["name"] == stream)?;
            Some(found["cluster"]["leader"].as_str()?.to_owned())
        })?;
        self.servers.iter().position(|server| server.name() == leader)
    }

    /// Tells whether all servers name the same leaders, and every copy has what its leader has. A
    /// server that was away may bring on elections until then.
    pub fn is_whole(&self) -> bool {
        let known: Vec<Value> = self.servers.iter().filter_map(jetstream_of).collect();
        let groups = || {
            self.servers.iter().zip(&known).flat_map(|(server, known)| {
                groups_of(known).map(move |(name, group)| (server.name(), name, group))
            })
        };
        let leaders: BTreeSet<(String, String)> =
            groups().map(|(_, name, group)| (name, group["leader"].to_string())).collect();
        let names: BTreeSet<&String> = leaders.iter().map(|(name, _)| name).collect();
        // Only a leader knows how far the copies are.
        let mut led = groups().filter(|(server, _, group)| group["leader"] == *server);
        known.len() == self.servers.len()
            && leaders.len() == names.len()
            && leaders.iter().all(|(_, leader)| leader != "null")
            && led.all(|(.., group)| listed(&group["replicas"]).all(|copy| copy["current"] == true))
    }
}

/// Returns what a server knows about JetStream, or nothing if it does not answer.
fn jetstream_of(server: &NatsServer) -> Option<Value> {
    let (_, body) = http::get(server.monitor_address(), "/jsz?consumers=true").ok()?;
    serde_json::from_str(&body).ok()
}

fn streams_of(known: &Value) -> impl Iterator<Item = &Value> {
    listed(&known["account_details"][0]["stream_detail"])
}

/// Returns every group of servers that has a leader, by its name: that of all servers, and that of
/// each stream and consumer.
fn groups_of(known: &Value) -> impl Iterator<Item = (String, &Value)> {
    let streams = streams_of(known).flat_map(|stream| {
        let consumers = listed(&stream["consumer_detail"]);
        let named = move |consumer: &Value| format!("{}/{}", stream["name"], consumer["name"]);
        let consumers = consumers.map(move |consumer| (named(consumer), &consumer["cluster"]));
        consumers.chain([(stream["name"].to_string(), &stream["cluster"])])
    });
    streams.chain([("all".to_owned(), &known["meta_cluster"])])
}

fn listed(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
