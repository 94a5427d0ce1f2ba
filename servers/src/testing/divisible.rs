//! A cluster of nats-servers of which one can be cut off from the others, while its clients still
//! reach it.

use std::net::SocketAddr;

use super::{NatsCluster, Proxy};

/// A cluster, with a proxy on each way from one server to another.
#[derive(Debug)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct DivisibleCluster {
    pub cluster: NatsCluster,
    ways: Vec<Way>,
}

/// A way from one server to another, each by its number.
#[derive(Debug)]
struct Way {
    from: usize,
    to: usize,
    proxy: Proxy,
}

impl DivisibleCluster {
    /// Starts `size` servers and waits until they have a leader.
    pub async fn start(size: usize) -> Self {
        let routes = NatsCluster::claim_routes(size);
        let mut ways = Vec::new();
        for from in 0..size {
            for (to, route) in routes.iter().enumerate().filter(|(to, _)| *to != from) {
                let target: SocketAddr = route.address().parse().expect("host and port");
                let proxy = Proxy::closed(target).await;
                proxy.open();
                ways.push(Way { from, to, proxy });
            }
        }
        let ways_of = |server: usize| {
            let ways = ways.iter().filter(|way| way.from == server);
            ways.map(|way| way.proxy.address.to_string()).collect()
        };
        // Servers tell each other where they listen, and would go there past the proxies. At this
        // address no server is.
        let nowhere = "  advertise: \"127.0.0.1:1\"\n";
        let cluster = NatsCluster::start_on(routes, ways_of, nowhere).await;
        Self { cluster, ways }
    }

    /// Cuts a server off from the others.
    pub fn isolate(&self, server: usize) {
        let its = self.ways.iter().filter(|way| way.from == server || way.to == server);
        its.for_each(|way| way.proxy.close());
    }

    /// Lets every server reach every other again.
    pub fn unite(&self) {
        self.ways.iter().for_each(|way| way.proxy.open());
    }
}
