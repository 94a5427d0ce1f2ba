//! Several nats-servers that keep the same streams.

use super::server::{NatsServer, ServerOptions, free_ports};
use crate::monitor;

/// A cluster on loopback. Every server syncs always.
#[derive(Debug)]
pub struct NatsCluster {
    /// The servers.
    pub servers: Vec<NatsServer>,
}

impl NatsCluster {
    /// Starts `size` servers and waits until they have a leader.
    pub async fn start(size: usize) -> Self {
        let routes: Vec<u16> = (0..size).map(|_| free_ports::<1>()).map(|[port]| port).collect();
        let all: Vec<String> =
            routes.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
        let all = all.join(", ");
        let mut servers: Vec<NatsServer> = routes
            .iter()
            .enumerate()
            .map(|(index, route)| {
                let more = format!(
                    "cluster {{\n  name: test\n  listen: 127.0.0.1:{route}\n  routes: [{all}]\n}}"
                );
                let options = ServerOptions { more, ..ServerOptions::default() };
                NatsServer::configured(&format!("n{index}"), free_ports(), &options)
            })
            .collect();
        for server in &mut servers {
            server.launch();
        }
        for server in &mut servers {
            server.wait().await;
        }
        Self { servers }
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
    pub async fn leader_of(&self, stream: &str) -> Option<usize> {
        for server in &self.servers {
            let Ok(answer) = monitor::get(&server.monitor_url(), "/jsz?streams=true").await else {
                continue;
            };
            let details = answer["account_details"][0]["stream_detail"].as_array();
            let found = details.into_iter().flatten().find(|detail| detail["name"] == stream);
            let leader = found.and_then(|detail| detail["cluster"]["leader"].as_str());
            if let Some(leader) = leader {
                return self.servers.iter().position(|server| server.name() == leader);
            }
        }
        None
    }
}
