//! A TCP proxy that can be cut, to take a server away and give it back.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The proxy. Connections to it are cut while it is closed.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    open: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts it, closed.
    #[expect(clippy::disallowed_methods, reason = "the proxy ends with its test")]
    pub async fn closed(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it listens");
        let open = watch::Sender::new(false);
        let gate = open.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, target, gate.subscribe()));
            }
        });
        Self { address, open, task }
    }

    /// Lets connections through.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Cuts every connection, and refuses new ones.
    pub fn close(&self) {
        self.open.send_replace(false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(mut client: TcpStream, target: SocketAddr, mut open: watch::Receiver<bool>) {
    if !*open.borrow() {
        return;
    }
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    tokio::select! {
        _ended = copy_bidirectional(&mut client, &mut server) => {}
        _cut = open.wait_for(|open| !open) => {}
    }
}
