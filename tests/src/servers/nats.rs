//! A world's nats-server: the deployed configuration, which a test may change, and a store that a
//! test may set back, or fill if it lies on a disk of its own.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use servers::ClaimedPort;
use servers::files;
use servers::nats::Nats;
use servers::testing::{DivisibleCluster, NatsServer, TestServer, test_passwords, workspace_root};

use crate::tools::Tools;
use crate::world::World;

/// Takes up what is left of a disk.
const FILLER: &str = "filler";
/// How much of the disk is filled at once.
const FILLING_BYTES: usize = 64 * 1024;
/// Runs nats-server where a file is mounted as its store. The mount is in a namespace of its own, so
/// that nothing is left of it, however the server ends.
const ON_DISK: &str = r#"#!/bin/sh
exec unshare --mount sh -c 'mount -o loop "$0" "$1" && shift && exec "$@"' DISK STORE SERVER "$@"
"#;

/// Servers of a cluster.
pub const CLUSTER_SERVERS: usize = 3;

/// The NATS servers of a world.
#[derive(Debug)]
pub enum LedgerServers {
    /// One, which a test may stop, and whose store it may change.
    // Boxed, since it is many times as large as the other.
    One(Box<TestServer<Nats>>),
    /// Three, of which one can be cut off from the others.
    Cluster(DivisibleCluster),
}

impl LedgerServers {
    /// Starts one with its data below `dir`; with `disk_mib`, on a disk of that size.
    pub(crate) fn one(tools: &Tools, dir: &Path, disk_mib: Option<u32>) -> Result<Self> {
        let mut server = nats(tools, dir, disk_mib)?;
        server.process.start()?;
        Ok(Self::One(Box::new(server)))
    }

    /// Starts a cluster.
    pub(crate) async fn cluster() -> Self {
        Self::Cluster(DivisibleCluster::start(CLUSTER_SERVERS).await)
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&self) -> Result<()> {
        match self {
            Self::One(server) => server.ready().await,
            // It is ready when it has started.
            Self::Cluster(_) => Ok(()),
        }
    }

    /// Returns where clients connect.
    pub(crate) fn urls(&self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one.server.url()],
            Self::Cluster(divisible) => {
                divisible.cluster.servers.iter().map(NatsServer::url).collect()
            }
        }
    }

    /// Returns where the servers tell of themselves.
    pub(crate) fn monitor_urls(&self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one.server.monitor_url()],
            Self::Cluster(divisible) => divisible.cluster.monitor_urls(),
        }
    }

    /// Returns the server that is alone.
    pub(crate) fn single(&self) -> Option<&TestServer<Nats>> {
        if let Self::One(server) = self { Some(server) } else { None }
    }

    /// The same, to stop and start it.
    pub(crate) fn single_mut(&mut self) -> Option<&mut TestServer<Nats>> {
        if let Self::One(server) = self { Some(server) } else { None }
    }

    /// Returns the cluster.
    pub(crate) fn divisible(&self) -> Option<&DivisibleCluster> {
        if let Self::Cluster(divisible) = self { Some(divisible) } else { None }
    }
}

/// Prepares a private nats-server with its data below `dir`; with `disk_mib`, on a disk of that
/// size.
fn nats(tools: &Tools, dir: &Path, disk_mib: Option<u32>) -> Result<TestServer<Nats>> {
    let ports = [ClaimedPort::any()?, ClaimedPort::any()?];
    let [address, monitor_address] = ports.each_ref().map(ClaimedPort::address);
    let (conf, store) = (dir.join("nats-conf"), dir.join("nats"));
    files::copy_tree(&workspace_root().join("deploy/nats"), &conf)?;
    let program = match disk_mib {
        None => tools.nats_server.clone(),
        Some(mib) => {
            let disk = make_disk(dir, mib)?;
            let words = [("DISK", &disk), ("STORE", &store), ("SERVER", &tools.nats_server)];
            let script = words.into_iter().fold(ON_DISK.to_owned(), |script, (word, path)| {
                script.replace(word, &format!("'{}'", path.display()))
            });
            let program = dir.join("nats-on-disk");
            fs::write(&program, script)?;
            fs::set_permissions(&program, fs::Permissions::from_mode(0o700))?;
            program
        }
    };
    let config = conf.join("nats.conf");
    let passwords = test_passwords();
    let server = Nats { program, config, name: None, address, monitor_address, store, passwords };
    TestServer::new("nats", server, ports.into(), dir)
}

fn disk(dir: &Path) -> PathBuf {
    dir.join("nats-disk/image")
}

fn make_disk(dir: &Path, mib: u32) -> Result<PathBuf> {
    let disk = disk(dir);
    fs::create_dir(disk.parent().context("the disk has no directory")?)?;
    fs::File::create(&disk)?.set_len(u64::from(mib) << 20)?;
    let made = Command::new("mkfs.ext4").arg("-q").arg(&disk).output().context("run mkfs.ext4")?;
    ensure!(made.status.success(), "mkfs.ext4: {}", String::from_utf8_lossy(&made.stderr));
    Ok(disk)
}

/// What may befall the store of a world's NATS.
impl World {
    /// Puts a copy of the store aside. NATS stands still meanwhile.
    pub async fn save_store(&mut self) -> Result<()> {
        self.stop("nats").await?;
        let store = self.store()?;
        files::remove_tree(&saved(&store))?;
        files::copy_tree(&store, &saved(&store))?;
        self.start("nats").await
    }

    /// Puts the copy in place of the store, as one does who restores a backup.
    pub async fn set_store_back(&mut self) -> Result<()> {
        self.stop("nats").await?;
        let store = self.store()?;
        files::remove_tree(&store)?;
        files::copy_tree(&saved(&store), &store)?;
        self.start("nats").await
    }

    /// Leaves no byte on the disk of the store.
    pub fn fill_disk(&mut self) -> Result<()> {
        let mut filler = fs::File::create(self.filler()?)?;
        // What is left of a block, too.
        for length in [FILLING_BYTES, 1] {
            let piece = vec![0; length];
            let full = loop {
                if let Err(error) = filler.write_all(&piece) {
                    break error;
                }
            };
            ensure!(full.kind() == ErrorKind::StorageFull, "{full}");
        }
        Ok(())
    }

    /// Gives the disk its room back.
    pub fn free_disk(&mut self) -> Result<()> {
        Ok(fs::remove_file(self.filler()?)?)
    }

    /// Returns where NATS keeps its data, be it the directory or the disk that is mounted there.
    fn store(&self) -> Result<PathBuf> {
        let (disk, nats) = (disk(self.dir()), self.nats()?);
        Ok(disk.parent().filter(|dir| dir.exists()).unwrap_or(&nats.store).to_owned())
    }

    /// Returns the path of the filler, as one sees it from here.
    fn filler(&mut self) -> Result<PathBuf> {
        let pid = self.process("nats")?.identity()?.pid;
        let store = self.nats()?.store.display().to_string();
        Ok(PathBuf::from(format!("/proc/{pid}/root{store}/{FILLER}")))
    }
}

fn saved(store: &Path) -> PathBuf {
    store.with_extension("saved")
}
