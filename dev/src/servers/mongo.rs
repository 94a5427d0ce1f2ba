//! mongod: the progress views. One node, yet a replica set, because transactions and majority
//! writes need one.

use std::fmt::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::options::ClientOptions;
use rustix::process::Signal;

use super::{ASK_PATIENCE, Part, Site, block_on};
use crate::process::Spec;
use crate::{interrupt, paths};

/// The replica set's name.
pub(crate) const REPLICA_SET: &str = "rs0";

/// A lone node elects itself within a second or two.
const ELECTION_PATIENCE: Duration = Duration::from_mins(1);

const ELECTION_POLL: Duration = Duration::from_millis(50);

/// The progress store.
pub(crate) struct Mongo;

impl Part for Mongo {
    fn name(&self) -> &'static str {
        "mongo"
    }

    fn prepare(&self, site: &Site) -> Result<Spec> {
        let data = site.layout.data("mongo");
        paths::make_private(&data)?;
        let conf = site.layout.conf("mongod.conf");
        let mut text = String::from("# Written by `cargo dev`.\n");
        let port = site.ports.of("mongo")?;
        let cache = "wiredTiger: {engineConfig: {cacheSizeGB: 0.25}}";
        writeln!(text, "storage: {{dbPath: \"{}\", {cache}}}", data.display())?;
        writeln!(
            text,
            "net: {{bindIp: 127.0.0.1, port: {port}, unixDomainSocket: {{enabled: false}}}}"
        )?;
        writeln!(text, "replication: {{replSetName: {REPLICA_SET}, oplogSizeMB: 256}}")?;
        paths::write_whole(&conf, text.as_bytes(), 0o644)?;
        Ok(Spec::new(&site.tools.mongod).args(["--config".as_ref(), conf.as_os_str()]).file(conf))
    }

    fn check(&self, site: &Site) -> Result<()> {
        let hello = run(site, doc! { "hello": 1 })?;
        // Before the first start is settled there is no replica set; then being there is enough.
        let member = hello.contains_key("setName");
        if member && !hello.get_bool("isWritablePrimary").unwrap_or(false) {
            bail!("the node is not the primary yet");
        }
        Ok(())
    }

    fn settle(&self, site: &Site) -> Result<()> {
        let address = site.ports.address("mongo")?;
        match run(site, doc! { "replSetGetConfig": 1 }) {
            Ok(answer) => correct_address(site, &answer, &address)?,
            Err(_) => initiate(site, &address)?,
        }
        wait_for_primary(site)
    }

    fn stopping(&self) -> (Signal, Duration) {
        (Signal::TERM, Duration::from_secs(30))
    }
}

fn initiate(site: &Site, address: &str) -> Result<()> {
    let config = doc! { "_id": REPLICA_SET, "members": [{ "_id": 0, "host": address }] };
    run(site, doc! { "replSetInitiate": config }).context("initiate the replica set").map(drop)
}

/// The set's configuration holds the address, which changes when another port had to be chosen.
fn correct_address(site: &Site, answer: &Document, address: &str) -> Result<()> {
    let mut config = answer.get_document("config").context("no configuration")?.clone();
    let members = config.get_array_mut("members").context("no members")?;
    let member = members.first_mut().and_then(|m| m.as_document_mut()).context("no member")?;
    if member.get_str("host").is_ok_and(|host| host == address) {
        return Ok(());
    }
    member.insert("host", address);
    let version = config.get_i32("version").unwrap_or(1);
    config.insert("version", version + 1);
    let command = doc! { "replSetReconfig": config, "force": true };
    run(site, command).context("correct the replica set's address").map(drop)
}

fn wait_for_primary(site: &Site) -> Result<()> {
    let until = Instant::now() + ELECTION_PATIENCE;
    loop {
        let hello = run(site, doc! { "hello": 1 })?;
        if hello.get_bool("isWritablePrimary").unwrap_or(false) {
            return Ok(());
        }
        interrupt::check()?;
        if Instant::now() >= until {
            bail!("the replica set has no primary after {} s", ELECTION_PATIENCE.as_secs());
        }
        interrupt::pause(ELECTION_POLL);
    }
}

fn run(site: &Site, command: Document) -> Result<Document> {
    let url = format!("mongodb://{}/?directConnection=true", site.ports.address("mongo")?);
    block_on(async move {
        let mut options = ClientOptions::parse(url).await?;
        options.server_selection_timeout = Some(ASK_PATIENCE);
        options.connect_timeout = Some(ASK_PATIENCE);
        let client = Client::with_options(options)?;
        let answer = client.database("admin").run_command(command).await;
        client.shutdown().await;
        Ok(answer?)
    })
}
