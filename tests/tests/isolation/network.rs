//! A program reaches nothing over a network, and no other program.

use anyhow::{Context, Result, ensure};
use blackbox::programs::{expect, python};
use futures::future::try_join;
use serde_json::{Value, json};

use super::{play, report, reported};

/// A program that looks for a way out. Connecting a datagram socket asks the kernel for a route and
/// sends nothing, so the test would disturb no host even if there were a network. The addresses are
/// reserved for documentation.
const NETWORK: &str = r#"
import json, os, socket, sys

def attempt(action):
    try:
        return repr(action())
    except OSError as error:
        return None

def route(family, address):
    with socket.socket(family, socket.SOCK_DGRAM) as it:
        it.connect((address, 53))
        return it.getsockname()

def connect(port):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as it:
        return it.getpeername()

resolvers = [line.split()[1] for line in open("/etc/resolv.conf") if line.startswith("nameserver")]
print(json.dumps({
    "interfaces": sorted(os.listdir("/sys/class/net")),
    "devices": sorted(line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line),
    "routes": [line for line in open("/proc/net/route")][1:],
    "way_out": [attempt(lambda: route(socket.AF_INET, address)) for address in ["192.0.2.1", "198.51.100.1"]],
    "way_out_6": attempt(lambda: route(socket.AF_INET6, "2001:db8::1")),
    "resolvers": [attempt(lambda: route(socket.AF_INET, address)) for address in resolvers if not address.startswith("127.")],
    "host_services": [attempt(lambda: connect(int(port))) for port in sys.argv[1:]],
    "netlink": attempt(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)),
    "raw": attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
    "packet": attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
    "unix_sockets": [line for line in open("/proc/net/unix")][1:],
}))
"#;

#[tokio::test]
async fn there_is_no_network() -> Result<()> {
    play(async |user, world| {
        let services = [world.nats()?.url(), world.edge()?.url(), world.service("command-api")?.url()];
        let ports = services.iter().map(|url| url.rsplit(':').next().unwrap_or_default());
        let mut body = python(NETWORK);
        body["args"] = ports.collect();

        let report = reported(&user.run(&body).await?)?;

        expect(
            &report,
            &json!({
                "interfaces": ["lo"], "devices": ["lo"], "routes": [], "way_out": [null, null], "way_out_6": null,
                "host_services": [null, null, null], "raw": null, "packet": null, "netlink": null, "unix_sockets": [],
            }),
        )?;
        let resolvers = report["resolvers"].as_array().context("no resolvers")?;
        ensure!(resolvers.iter().all(Value::is_null), "a name server can be reached: {report}");
        Ok(())
    })
    .await
}

const LISTEN: &str = r#"
import json, socket
with socket.create_server(("127.0.0.1", 5000)) as server:
    server.settimeout(4)
    try:
        server.accept()
        print(json.dumps("visited"))
    except TimeoutError:
        print(json.dumps("alone"))
"#;

const VISIT: &str = r#"
import json, socket, time
end, met = time.monotonic() + 3, "nobody"
while time.monotonic() < end and met == "nobody":
    try:
        with socket.create_connection(("127.0.0.1", 5000), timeout=1):
            met = "somebody"
    except OSError:
        time.sleep(0.05)
print(json.dumps(met))
"#;

#[tokio::test]
async fn two_submissions_at_once_do_not_share_a_loopback() -> Result<()> {
    play(async |user, _| {
        let (listener, visitor) = try_join(report(user, LISTEN), report(user, VISIT)).await?;
        ensure!(listener == "alone" && visitor == "nobody", "{listener} {visitor}");
        Ok(())
    })
    .await
}
