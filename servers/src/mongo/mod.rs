//! mongod: the progress views. One node, yet a replica set, because transactions and majority
//! writes need one.

mod wire;

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bson::{Bson, Document, doc};
use rustix::process::Signal;

use crate::{Program, Server, files};

/// The replica set's name.
const REPLICA_SET: &str = "rs0";

/// One mongod.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub struct Mongo {
    pub program: PathBuf,
    /// Where the configuration is written.
    pub config: PathBuf,
    pub data: PathBuf,
    pub port: u16,
    pub oplog_mb: u32,
}

impl Mongo {
    /// Returns the address of the server.
    pub fn url(&self) -> String {
        format!("mongodb://{}/?replicaSet={REPLICA_SET}", self.address())
    }

    /// Returns how many bytes a database has on disk, with its indexes.
    pub fn database_bytes(&self, database: &str) -> Result<u64> {
        // Files grow with the next checkpoint only, which may be a minute away. One that is under way
        // for longer than an answer may take ends all the same.
        let _perhaps_late = self.run(doc! { "fsync": 1 });
        let stats = wire::run(&self.address(), database, doc! { "dbStats": 1 })?;
        let bytes = stats.get("totalSize").context("dbStats has no totalSize")?;
        match bytes {
            Bson::Int32(bytes) => Ok((*bytes).try_into()?),
            Bson::Int64(bytes) => Ok((*bytes).try_into()?),
            // A whole number all the same.
            bytes => Ok(bytes.to_string().trim_end_matches(".0").parse()?),
        }
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn run(&self, command: Document) -> Result<Document> {
        wire::run(&self.address(), "admin", command)
    }

    fn initiate(&self) -> Result<()> {
        let members = [doc! { "_id": 0, "host": self.address() }];
        let config = doc! { "_id": REPLICA_SET, "members": members.to_vec() };
        self.run(doc! { "replSetInitiate": config }).context("initiate the replica set")?;
        Ok(())
    }

    /// The set's configuration holds the address, which changes with the port.
    fn correct_address(&self, mut config: Document) -> Result<()> {
        let members = config.get_array_mut("members").context("no members")?;
        let member = members.first_mut().and_then(|m| m.as_document_mut()).context("no member")?;
        if member.get_str("host").is_ok_and(|host| host == self.address()) {
            return Ok(());
        }
        member.insert("host", self.address());
        let version = config.get_i32("version").unwrap_or(1);
        config.insert("version", version + 1);
        // By force: only a primary takes it otherwise, and a node that does not find its own
        // address in the configuration does not become one.
        let command = doc! { "replSetReconfig": config, "force": true };
        self.run(command).context("correct the replica set's address").map(drop)
    }
}

impl Server for Mongo {
    fn prepare(&self) -> Result<Program> {
        files::make_private(&self.data)?;
        let mut text = String::from("# Written at each start.\n");
        // By default the cache may take half of the machine's memory, which all topologies share.
        let cache = "wiredTiger: {engineConfig: {cacheSizeGB: 0.25}}";
        writeln!(text, "storage: {{dbPath: \"{}\", {cache}}}", self.data.display())?;
        // The socket would lie in /tmp, and stay there after a kill. All clients use the port.
        let sockets = "unixDomainSocket: {enabled: false}";
        writeln!(text, "net: {{bindIp: 127.0.0.1, port: {}, {sockets}}}", self.port)?;
        let set = format!("replSetName: {REPLICA_SET}, oplogSizeMB: {}", self.oplog_mb);
        writeln!(text, "replication: {{{set}}}")?;
        files::write_whole(&self.config, text.as_bytes(), 0o644)?;
        Ok(Program::new(&self.program)
            .args(["--config".as_ref(), self.config.as_os_str()])
            .file(&self.config)
            .stop_by(Signal::TERM, Duration::from_secs(30)))
    }

    fn check(&self) -> Result<()> {
        let hello = self.run(doc! { "hello": 1 })?;
        // A node that is not set up yet has no replica set; it is enough that it answers.
        if hello.contains_key("setName") && !is_primary(&hello) {
            bail!("the node is not the primary yet");
        }
        Ok(())
    }

    fn set_up(&self) -> Result<()> {
        match self.run(doc! { "replSetGetConfig": 1 }) {
            Ok(answer) => self.correct_address(answer.get_document("config")?.clone())?,
            // A node that has not read its configuration yet refuses this, too.
            Err(_) => self.initiate()?,
        }
        if !is_primary(&self.run(doc! { "hello": 1 })?) {
            bail!("the replica set has no primary yet");
        }
        Ok(())
    }
}

fn is_primary(hello: &Document) -> bool {
    hello.get_bool("isWritablePrimary").unwrap_or(false)
}
