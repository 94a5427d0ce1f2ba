//! Cells on a real Docker engine: the pool, the policy as the engine applies it, death, and removal
//! of orphans.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{
    CORE, Installation, MEMORY, SmallHost, TAG, docker_host, file, lane, limits, places, stage,
};
use async_trait::async_trait;
use bollard::Docker;
use bollard::models::{ContainerInspectResponse, HostConfigCgroupnsModeEnum};
use events::{BootId, Clock, SubmissionId};
use executor::cells::cell::CellError;
use executor::cells::engine::ContainerId;
use executor::cells::lease::Lease;
use executor::cells::maker::Maker;
use executor::cells::pool::Pool;
use executor::cells::reaper::Reaper;
use executor::cells::slot::{Slot, Slots};
use executor::cells::source::LeasedCell;
use executor::cells::warm_cells::{Image, PoolSize};
use executor::peers::Peers;
use ledger::Held;
use platform::clock::SystemClock;
use sandbox::protocol::{ExceededLimit, Prepare, Stage, StageExit, StageLimits, StageReport};

async fn take(pool: &Pool) -> Lease {
    let mut reserved = pool.reserve(&lane(), &[CORE.to_owned()]).await.unwrap();
    reserved.lease(CORE, MEMORY).await.unwrap()
}

async fn bash(lease: &mut Lease, script: &str) -> String {
    let report = lease.run_program(stage(&["bash", "-c", script]), MEMORY).await.unwrap();
    String::from_utf8_lossy(&report.stdout.bytes).trim_end().to_owned()
}

/// A connection of the test's own, to look at what the executor did.
async fn docker() -> Docker {
    let docker = Docker::connect_with_host(&docker_host()).unwrap();
    docker.negotiate_version().await.unwrap()
}

async fn inspect(docker: &Docker, id: &str) -> ContainerInspectResponse {
    docker.inspect_container(id, None).await.unwrap()
}

#[tokio::test]
async fn a_warm_cell_runs_a_program_and_nothing_is_left_when_the_pool_is_closed() {
    let here = Installation::new().await;
    let pool = here.pool(2);
    let mut lease = take(&pool).await;
    assert!(lease.provenance().image_digest.starts_with("sha256:"));
    lease.prepare(file("main.py", "print(input() * 2)"), MEMORY).await.unwrap();
    for word in ["ab", "cd"] {
        let program = Stage { stdin: word.as_bytes().to_vec(), ..stage(&["python3", "main.py"]) };
        let report = lease.run_program(program, MEMORY).await.unwrap();
        assert_eq!(report.exit, StageExit::Code(0), "{report:?}");
        assert_eq!(report.stdout.bytes, format!("{word}{word}\n").into_bytes());
    }
    drop(lease);
    pool.close().await;
    assert_eq!(here.containers().await, 0);
}

#[tokio::test]
async fn every_cell_is_used_once() {
    let here = Installation::new().await;
    let pool = here.pool(1);
    let mut first = take(&pool).await;
    bash(&mut first, "echo mark > /tmp/mark").await;
    drop(first);
    let mut second = take(&pool).await;
    assert_eq!(bash(&mut second, "ls -A /tmp /box").await, "/box:\n\n/tmp:");
    drop(second);
    pool.close().await;
}

#[tokio::test]
async fn the_engine_applies_every_restriction() {
    let here = Installation::new().await;
    let maker = here.maker();
    let mut slot = Slots::default().take().unwrap();
    let made = maker.make(TAG, &mut slot).await.unwrap();
    let docker = docker().await;
    let seen = inspect(&docker, made.id.as_str()).await;
    let host = seen.host_config.unwrap();
    let holder = slot.holder.clone().unwrap();
    assert_eq!(host.network_mode, Some(format!("container:{}", holder.as_str())));
    assert_eq!(host.readonly_rootfs, Some(true));
    assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
    assert_eq!(host.ipc_mode.as_deref(), Some("none"));
    assert_eq!(host.cgroupns_mode, Some(HostConfigCgroupnsModeEnum::PRIVATE));
    assert_eq!((host.memory, host.memory_swap), (Some(301_989_888), Some(301_989_888)));
    assert_eq!((host.nano_cpus, host.pids_limit), (Some(1_000_000_000), Some(160)));
    assert_eq!(host.log_config.unwrap().typ.as_deref(), Some("none"));
    assert_eq!(host.oom_score_adj, Some(500));
    let holder_seen = inspect(&docker, holder.as_str()).await;
    assert_eq!(holder_seen.host_config.unwrap().network_mode.as_deref(), Some("none"));
    maker.remove(&made.id).await.unwrap();
    maker.remove(&holder).await.unwrap();
    assert_eq!(here.containers().await, 0);
}

#[tokio::test]
async fn a_program_finds_itself_confined() {
    let here = Installation::new().await;
    let pool = here.pool(1);
    let mut lease = take(&pool).await;
    let status =
        bash(&mut lease, "grep -E '^(Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status")
            .await;
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!((field("NoNewPrivs"), field("Seccomp")), ("1".to_owned(), "2".to_owned()));
    assert_eq!(field("CapEff"), "0000000000000000");
    assert!(field("Uid").parse::<u32>().unwrap() >= 0x4000_0000);
    assert_eq!(bash(&mut lease, "ls /sys/class/net").await, "lo");
    // No process but its own and init's.
    let owners = "for p in /proc/[0-9]*; do stat -c '%u %n' $p 2>/dev/null; done | grep -v \" $(id -u) \" | grep -v ^$(id -u)";
    assert_eq!(bash(&mut lease, owners).await, "0 /proc/1");
    for forbidden in [
        "touch /etc/x",
        "touch /root/x",
        "touch /x",
        "touch /dev/x",
        "touch /dev/mqueue/x",
        "touch /dev/shm/x",
        "touch /sys/fs/cgroup/x",
        "echo 1 > /proc/sys/kernel/printk",
        "mount -t tmpfs none /mnt",
        "kill -9 1",
        "cat /proc/1/environ",
        "exec 3<>/dev/tcp/127.0.0.1/22",
        "exec 3<>/dev/tcp/192.0.2.1/80",
        "ls /var/run/docker.sock",
    ] {
        let attempt = format!("({forbidden}) >/dev/null 2>&1 && echo done || echo refused");
        assert_eq!(bash(&mut lease, &attempt).await, "refused", "{forbidden}");
    }
    for allowed in ["touch /box/x", "touch /tmp/x"] {
        assert_eq!(bash(&mut lease, &format!("{allowed} && echo done")).await, "done", "{allowed}");
    }
    let environment =
        bash(&mut lease, "env -0 | tr '\\0' '\\n' | cut -d= -f1 | sort | tr '\\n' ' '").await;
    for name in environment.split_whitespace() {
        assert!(["HOME", "LANG", "PATH", "PWD", "SHLVL", "TMPDIR", "_"].contains(&name), "{name}");
    }
    drop(lease);
    pool.close().await;
}

#[tokio::test]
async fn two_cells_share_neither_uids_nor_a_loopback() {
    let here = Installation::new().await;
    let pool = here.pool(2);
    let (mut one, mut other) = (take(&pool).await, take(&pool).await);
    let script =
        "id -u; readlink /proc/self/ns/net /proc/self/ns/ipc /proc/self/ns/pid /proc/self/ns/mnt";
    let (one_s, other_s) = (bash(&mut one, script).await, bash(&mut other, script).await);
    for (mine, theirs) in one_s.lines().zip(other_s.lines()) {
        assert_ne!(mine, theirs);
    }
    assert_eq!(one_s.lines().count(), 5);
    drop((one, other));
    pool.close().await;
}

#[tokio::test]
async fn the_container_s_memory_follows_the_stage() {
    let here = Installation::new().await;
    let pool = here.pool(1);
    let mut lease = take(&pool).await;
    let limit =
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null";
    for mib in [256, 512, 64, 256_u64] {
        let report =
            lease.run_program(stage(&["bash", "-c", limit]), mib * 1024 * 1024).await.unwrap();
        let bytes: u64 = String::from_utf8_lossy(&report.stdout.bytes).trim().parse().unwrap();
        assert_eq!(bytes, (mib + 32) * 1024 * 1024);
    }
    drop(lease);
    pool.close().await;
}

#[tokio::test]
async fn what_a_compiler_left_behind_does_not_cost_the_cell() {
    let here = Installation::new().await;
    let pool = here.pool(1);
    let mut lease = take(&pool).await;
    let limits = StageLimits { file_size_kib: 131_072, ..limits() };
    let fill = Stage { limits, ..stage(&["bash", "-c", "head -c 100000000 /dev/zero > big"]) };
    let compile = Prepare { files: Vec::new(), compile: Some(fill) };
    let report = lease.prepare(compile, 2 * MEMORY).await.unwrap().compile.unwrap();
    assert_eq!(report.exit, StageExit::Code(0), "{report:?}");
    // Far less than lies in /box now.
    let report = lease.run_program(stage(&["wc", "-c", "big"]), 16 << 20).await.unwrap();
    assert_eq!(report.stdout.bytes, b"100000000 big\n", "{report:?}");
    drop(lease);
    pool.close().await;
}

#[tokio::test]
async fn a_program_that_takes_all_memory_is_stopped_and_the_cell_lives_on() {
    let here = Installation::new().await;
    let pool = here.pool(1);
    let mut lease = take(&pool).await;
    let eat = "x = bytearray(1 << 20)\nwhile True: x = x + x";
    let report = lease.run_program(stage(&["python3", "-c", eat]), MEMORY).await.unwrap();
    assert_eq!(report.stopped, Some(ExceededLimit::Memory), "{report:?}");
    assert_eq!(bash(&mut lease, "echo alive").await, "alive");
    drop(lease);
    pool.close().await;
}

#[tokio::test]
async fn a_cell_that_is_killed_under_a_program_is_reported_dead_and_replaced() {
    let here = Installation::new().await;
    let pool = here.pool(1);
    let mut lease = take(&pool).await;
    let killing = async {
        wait_until(async || busy_cell(&here).await.is_some()).await;
        here.engine.remove(&busy_cell(&here).await.unwrap()).await.unwrap();
    };
    let (ended, ()) =
        tokio::join!(lease.run_program(stage(&["bash", "-c", "sleep 200"]), MEMORY), killing);
    assert!(matches!(ended, Err(CellError::Died { oom_killed: false, .. })), "{ended:?}");
    drop(lease);
    let mut next = take(&pool).await;
    assert_eq!(bash(&mut next, "echo alive").await, "alive");
    drop(next);
    pool.close().await;
    assert_eq!(here.containers().await, 0);
}

/// The cell that runs `sleep`, if one does.
async fn busy_cell(here: &Installation) -> Option<ContainerId> {
    let docker = docker().await;
    for container in here.engine.list(&here.owner.host).await.unwrap() {
        // A container that is just being made or removed has no processes to list.
        let top = docker.top_processes(container.id.as_str(), None).await;
        let lines = top.ok().and_then(|top| top.processes).unwrap_or_default();
        if lines.iter().any(|line| line.join(" ").contains("sleep 200")) {
            return Some(container.id);
        }
    }
    None
}

/// Looks again and again, for some minutes at most.
async fn wait_until(condition: impl AsyncFn() -> bool) {
    let looking = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(4), looking).await.expect("it never came to be");
}

#[tokio::test]
async fn a_warm_cell_that_died_on_its_shelf_is_never_handed_out() {
    let here = Installation::new().await;
    let pool = here.pool(1);
    let mut reserved = pool.reserve(&lane(), &[CORE.to_owned()]).await.unwrap();
    for container in here.engine.list(&here.owner.host).await.unwrap() {
        here.engine.remove(&container.id).await.unwrap();
    }
    let mut lease = reserved.lease(CORE, MEMORY).await.unwrap();
    assert_eq!(bash(&mut lease, "echo alive").await, "alive");
    drop(lease);
    pool.close().await;
    assert_eq!(here.containers().await, 0);
}

#[tokio::test]
async fn a_missing_image_is_said_and_costs_nothing_else() {
    let here = Installation::new().await;
    let size = PoolSize { warm_min: 1, warm_max: 1, refillers: 1 };
    let image = Image { name: CORE.to_owned(), tag: "runledger/nowhere:0".to_owned() };
    let pool = Pool::start(Arc::new(here.maker()), vec![image], size, &places());
    wait_until(async || pool.failure().is_some()).await;
    let trouble = pool.failure().unwrap();
    assert!(trouble.contains("there is no image runledger/nowhere:0"), "{trouble}");
    pool.close().await;
    assert_eq!(here.containers().await, 0);
}

#[tokio::test]
async fn a_lease_that_is_dropped_in_the_middle_of_a_run_ends_the_run() {
    let here = Installation::new().await;
    let pool = here.pool(1);
    let mut lease = take(&pool).await;
    let endless = stage(&["sleep", "200"]);
    let run = lease.run_program(endless, MEMORY);
    tokio::time::timeout(Duration::from_millis(300), run).await.expect_err("the program sleeps");
    drop(lease);
    let closing = tokio::time::timeout(Duration::from_secs(150), pool.close()).await;
    closing.expect("the cell was removed without waiting for the program");
    assert_eq!(here.containers().await, 0);
}

/// Executors that all give the same answer.
#[derive(Debug)]
struct Everyone(Held);

#[async_trait]
impl Peers for Everyone {
    async fn ask_holder(&self, _boot: BootId, _id: SubmissionId) -> Held {
        self.0
    }
}

#[tokio::test]
async fn what_a_dead_executor_left_is_removed_and_nothing_else() {
    let (dead, elsewhere) = (Installation::new().await, Installation::new().await);
    let mut slot: Slot = Slots::default().take().unwrap();
    let mut other_slot: Slot = Slots::default().take().unwrap();
    let orphan = dead.maker().make(TAG, &mut slot).await.unwrap();
    let neighbour = elsewhere.maker().make(TAG, &mut other_slot).await.unwrap();
    // The life ends: nobody holds the pipe any more.
    drop(orphan);
    let heir = dead.reborn();
    let mut reaper = Reaper::new(heir.engine.clone(), heir.owner.host.clone(), heir.owner.boot);
    let later = SystemClock.now().timestamp() + 60;
    // An executor that is silent is not taken for gone.
    for alive in [Held::Yes, Held::No, Held::Silent] {
        assert_eq!(reaper.remove_orphans(later, &Everyone(alive)).await.unwrap(), 0);
    }
    assert_eq!(dead.containers().await, 2);
    assert_eq!(
        reaper.remove_orphans(later - 60, &Everyone(Held::Gone)).await.unwrap(),
        0,
        "too young to tell"
    );
    // Nobody answering once is not death, nor is it if somebody answers in between.
    assert_eq!(reaper.remove_orphans(later, &Everyone(Held::Gone)).await.unwrap(), 0);
    assert_eq!(reaper.remove_orphans(later + 7, &Everyone(Held::Silent)).await.unwrap(), 0);
    assert_eq!(reaper.remove_orphans(later + 15, &Everyone(Held::Gone)).await.unwrap(), 0);
    assert_eq!(reaper.remove_orphans(later + 30, &Everyone(Held::Gone)).await.unwrap(), 2);
    assert_eq!(dead.containers().await, 0);
    assert_eq!(elsewhere.containers().await, 2);
    elsewhere.engine.remove(&neighbour.id).await.unwrap();
    elsewhere.engine.remove(&other_slot.holder.unwrap()).await.unwrap();
}

#[tokio::test]
async fn an_orphaned_cell_ends_by_itself() {
    let here = Installation::new().await;
    let mut slot = Slots::default().take().unwrap();
    let orphan = here.maker().make(TAG, &mut slot).await.unwrap();
    let id = orphan.id.clone();
    drop(orphan);
    let docker = docker().await;
    wait_until(async || inspect(&docker, id.as_str()).await.state.unwrap().running == Some(false))
        .await;
    here.engine.remove(&id).await.unwrap();
    here.engine.remove(&slot.holder.unwrap()).await.unwrap();
}

/// Takes 150 MiB for five seconds.
async fn hold_memory(lease: &mut Lease) -> Result<StageReport, CellError> {
    let program = "import time\na = bytearray(150 << 20)\nfor i in range(0, len(a), 4096): a[i] = 1\ntime.sleep(5)";
    lease.run_program(stage(&["python3", "-c", program]), MEMORY).await
}

#[tokio::test]
async fn a_host_that_runs_out_of_memory_is_no_memory_limit() {
    let here = Installation::new().await;
    // Each program is far below its own limit; two of them are too much for the host.
    let host = SmallHost::with_memory(220 * 1024 * 1024);
    let pool = here.pool_on(&host, 2);
    let (mut one, mut other) = (take(&pool).await, take(&pool).await);
    let (first, second) = tokio::join!(hold_memory(&mut one), hold_memory(&mut other));
    let ended = [first, second];
    let is_host = |ended: &Result<StageReport, CellError>| match ended {
        Err(CellError::Fault { message }) => message.contains("host has run out of memory"),
        Err(CellError::Died { oom_killed, .. }) => !oom_killed,
        _ => false,
    };
    assert!(ended.iter().any(is_host), "{ended:?}");
    for report in ended.iter().flatten() {
        assert_ne!(report.stopped, Some(ExceededLimit::Memory), "{report:?}");
    }
    drop((one, other));
    pool.close().await;
}
