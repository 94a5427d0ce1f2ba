//! What a container may and may not do: every flag that it is made with, as data, each with its
//! reason. Pure; the hash of all this is recorded with every run.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig,
    ResourcesUlimits,
};
use events::{BootId, Digest, ExecutorName};
use sandbox::SECCOMP_PROFILE;

/// What an executor's containers are found by.
pub const LABEL_HOST: &str = "runledger.host";
/// The executor's name, for people who list containers.
pub const LABEL_EXECUTOR: &str = "runledger.executor";
/// The executor's boot id, by which the reaper tells what an earlier start left.
pub const LABEL_BOOT: &str = "runledger.boot";
/// What the container is for: `cell` or `holder`.
pub const LABEL_ROLE: &str = "runledger.role";

/// What a cell may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Memory of a submission, in bytes. The writable folders count; there is no swap.
    pub memory_bytes: u64,
    /// Memory that the cell's own program may take above it, in bytes.
    pub overhead_bytes: u64,
    /// Processor time per second, in nanoseconds.
    pub nano_cpus: i64,
    /// Processes and threads.
    pub processes: i64,
    /// The size of `/box`, in KiB.
    pub box_kib: u32,
    /// The size of `/tmp`, in KiB.
    pub tmp_kib: u32,
    /// Inodes in each of the two.
    pub files: u32,
    /// An OCI runtime other than the engine's default.
    pub runtime: Option<String>,
    /// The control group that the engine puts cells into; the engine's own choice if absent.
    pub cgroup_parent: Option<String>,
}

impl Allowance {
    /// Returns the container's memory limit for a submission's, in bytes.
    pub fn container_bytes(&self, memory_bytes: u64) -> u64 {
        memory_bytes + self.overhead_bytes
    }
}

/// The labels that say which executor a container belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The mark of the installation.
    pub host: String,
    /// The executor, for people who look at the engine.
    pub executor: ExecutorName,
    /// Made anew at each start of the executor, so that what an earlier start left can be told.
    pub boot: BootId,
}

/// What is particular to one cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellSettings {
    /// The image, by its id, so that what runs is what the event says.
    pub image: String,
    /// The container whose network namespace the cell joins.
    pub holder: String,
    /// The first of the cell's uids.
    pub uid_base: u32,
}

/// The memory of a holder, which only waits: what the engine needs to start it, and a little more.
const HOLDER_MEMORY_BYTES: u64 = 16 * 1024 * 1024;

/// Files that one process may hold open.
const OPEN_FILES_MAX: i64 = 1024;

/// The weight of a cell where processors are short. An ordinary container has 1024: the stores and
/// the services beside it go first, or polls would wait for programs. Version 2 of control groups
/// makes it a fifth of theirs; with less, a busy store could starve all programs.
const CPU_SHARES: i64 = 512;

/// When the host runs out of memory, the kernel ends a cell before a service. Inside the cell,
/// `cell-init` offers programs before itself.
const OOM_SCORE_ADJ: i64 = 500;

/// Docker's own list, since naming any path replaces it, and two shared places that Docker leaves
/// open: `/dev/mqueue` outlives processes and is not seen by the wipe between runs, and
/// `/proc/interrupts` lets a program watch its neighbours.
const MASKED_PATHS: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/dev/mqueue",
];

/// Docker's own list, which would be empty if only the list above were named.
const READONLY_PATHS: &[&str] =
    &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Returns the container of a cell.
pub fn cell_spec(
    allowance: &Allowance,
    owner: &Owner,
    place: &CellSettings,
) -> ContainerCreateBody {
    let command = ["serve".to_owned(), "--uid-base".to_owned(), place.uid_base.to_string()];
    ContainerCreateBody {
        image: Some(place.image.clone()),
        cmd: Some(command.into()),
        labels: Some(labels(owner, "cell")),
        // The only way in and out is a pipe. It ends with the executor, and the cell ends with it.
        // So a cell whose executor was killed stops by itself, before the reaper finds it.
        open_stdin: Some(true),
        stdin_once: Some(true),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        host_config: Some(HostConfig {
            // A loopback and nothing else, which no other cell is on at the time. Joining a
            // namespace costs a third of making one.
            network_mode: Some(format!("container:{}", place.holder)),
            tmpfs: Some(writable_folders(allowance)),
            // `cell-init` ends every process and takes the uid of each stage. It is root for
            // nothing else.
            cap_add: Some(vec!["KILL".to_owned(), "SETGID".to_owned(), "SETUID".to_owned()]),
            ..confined(allowance)
        }),
        ..common()
    }
}

/// Returns the container whose network namespace a cell joins. It only waits for its own end.
pub fn holder_spec(allowance: &Allowance, owner: &Owner, image: &str) -> ContainerCreateBody {
    let idle = Allowance {
        memory_bytes: HOLDER_MEMORY_BYTES,
        overhead_bytes: 0,
        processes: 4,
        ..allowance.clone()
    };
    ContainerCreateBody {
        image: Some(image.to_owned()),
        cmd: Some(vec!["hold".to_owned()]),
        labels: Some(labels(owner, "holder")),
        // Cells that join the namespace share its host name, which would else be a container id.
        hostname: Some("cell".to_owned()),
        host_config: Some(HostConfig { network_mode: Some("none".to_owned()), ..confined(&idle) }),
        ..common()
    }
}

/// Returns the hash of everything that restricts a cell and that cells have in common.
///
/// Memory stands in it with the limit that cells are made with. The limit of a submission stands in
/// its accepted event.
pub fn profile_hash(allowance: &Allowance) -> Digest {
    let place = CellSettings { image: String::new(), holder: String::new(), uid_base: 0 };
    let owner = Owner {
        host: String::new(),
        executor: "any".parse().expect("a token"),
        boot: BootId::new(uuid::Uuid::nil()),
    };
    let mut spec = cell_spec(allowance, &owner, &place);
    // Labels restrict nothing, and differ with each start of an executor.
    spec.labels = None;
    // By way of a value, whose maps have their keys in order: the hash must not depend on chance.
    let value = serde_json::to_value(&spec).expect("a container's settings are plain JSON");
    Digest::of(value.to_string().as_bytes())
}

fn common() -> ContainerCreateBody {
    ContainerCreateBody {
        user: Some("0:0".to_owned()),
        // A program sees its environment, so nothing of the executor's is passed on. The image has
        // a PATH.
        env: Some(Vec::new()),
        tty: Some(false),
        ..ContainerCreateBody::default()
    }
}

/// What holds for every container of ours.
fn confined(allowance: &Allowance) -> HostConfig {
    HostConfig {
        runtime: allowance.runtime.clone(),
        // Nothing of the image can be changed, so one run cannot prepare anything for the next.
        readonly_rootfs: Some(true),
        privileged: Some(false),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec![
            "no-new-privileges:true".to_owned(),
            format!("seccomp={SECCOMP_PROFILE}"),
        ]),
        // No /dev/shm, which outlives processes, and System V memory of its own.
        ipc_mode: Some("none".to_owned()),
        cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
        memory: Some(bytes(allowance.container_bytes(allowance.memory_bytes))),
        // The number is memory and swap together, so there is no swap: a program over its limit is
        // to be stopped, and not to be slowed down by the host's disk.
        memory_swap: Some(bytes(allowance.container_bytes(allowance.memory_bytes))),
        nano_cpus: Some(allowance.nano_cpus),
        cpu_shares: Some(CPU_SHARES),
        cgroup_parent: allowance.cgroup_parent.clone(),
        pids_limit: Some(allowance.processes),
        oom_score_adj: Some(OOM_SCORE_ADJ),
        ulimits: Some(vec![
            ulimit("nofile", OPEN_FILES_MAX),
            // A core would fill the writable folders, and a POSIX message queue outlives its
            // processes.
            ulimit("core", 0),
            ulimit("msgqueue", 0),
            ulimit("memlock", 64 * 1024),
        ]),
        masked_paths: Some(owned(MASKED_PATHS)),
        readonly_paths: Some(owned(READONLY_PATHS)),
        // A log driver would keep a second copy of every output on the host's disk.
        log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
        ..HostConfig::default()
    }
}

/// The two folders that can be written to. Both are memory of the cell, and end with it.
fn writable_folders(allowance: &Allowance) -> HashMap<String, String> {
    let options = |kib: u32| {
        // A program that was compiled in /box or /tmp must be able to run there, hence exec.
        format!("rw,exec,nosuid,nodev,size={kib}k,nr_inodes={},mode=1777", allowance.files)
    };
    HashMap::from([
        ("/box".to_owned(), options(allowance.box_kib)),
        ("/tmp".to_owned(), options(allowance.tmp_kib)),
    ])
}

fn labels(owner: &Owner, role: &str) -> HashMap<String, String> {
    HashMap::from([
        (LABEL_HOST.to_owned(), owner.host.clone()),
        (LABEL_EXECUTOR.to_owned(), owner.executor.to_string()),
        (LABEL_BOOT.to_owned(), owner.boot.to_string()),
        (LABEL_ROLE.to_owned(), role.to_owned()),
    ])
}

fn ulimit(name: &str, limit: i64) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(name.to_owned()), soft: Some(limit), hard: Some(limit) }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn bytes(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowance() -> Allowance {
        Allowance {
            memory_bytes: 256 * 1024 * 1024,
            overhead_bytes: 32 * 1024 * 1024,
            nano_cpus: 1_000_000_000,
            processes: 160,
            box_kib: 131_072,
            tmp_kib: 65_536,
            files: 16_384,
            runtime: None,
            cgroup_parent: None,
        }
    }

    fn owner() -> Owner {
        Owner {
            host: "here".to_owned(),
            executor: "executor-1".parse().unwrap(),
            boot: BootId::new(uuid::Uuid::from_u128(7)),
        }
    }

    fn place() -> CellSettings {
        CellSettings {
            image: "sha256:abc".to_owned(),
            holder: "h0".to_owned(),
            uid_base: 1_073_741_824,
        }
    }

    fn cell() -> (ContainerCreateBody, HostConfig) {
        let spec = cell_spec(&allowance(), &owner(), &place());
        let host = spec.host_config.clone().unwrap();
        (spec, host)
    }

    fn holder() -> (ContainerCreateBody, HostConfig) {
        let spec = holder_spec(&allowance(), &owner(), "sha256:abc");
        let host = spec.host_config.clone().unwrap();
        (spec, host)
    }

    #[test]
    fn a_cell_has_no_network_but_the_loopback_of_its_holder() {
        assert_eq!(cell().1.network_mode.as_deref(), Some("container:h0"));
        assert_eq!(holder().1.network_mode.as_deref(), Some("none"));
    }

    #[test]
    fn services_go_first_where_processors_are_short() {
        for (_, host) in [cell(), holder()] {
            assert!(host.cpu_shares.unwrap() < 1024);
        }
    }

    #[test]
    fn a_cell_cannot_change_its_image() {
        assert_eq!(cell().1.readonly_rootfs, Some(true));
        assert_eq!(holder().1.readonly_rootfs, Some(true));
    }

    #[test]
    fn a_cell_keeps_three_capabilities_and_a_holder_none() {
        let (_, cell) = cell();
        assert_eq!(cell.cap_drop, Some(vec!["ALL".to_owned()]));
        assert_eq!(cell.cap_add.unwrap(), ["KILL", "SETGID", "SETUID"]);
        let (_, holder) = holder();
        assert_eq!(holder.cap_drop, Some(vec!["ALL".to_owned()]));
        assert_eq!(holder.cap_add, None);
    }

    #[test]
    fn nothing_gains_privileges_and_system_calls_are_filtered() {
        for (_, host) in [cell(), holder()] {
            assert_eq!(host.privileged, Some(false));
            let options = host.security_opt.unwrap();
            assert!(options.contains(&"no-new-privileges:true".to_owned()));
            assert!(options.contains(&format!("seccomp={SECCOMP_PROFILE}")));
        }
        let profile: serde_json::Value = serde_json::from_str(SECCOMP_PROFILE).unwrap();
        assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    }

    #[test]
    fn memory_has_a_limit_and_there_is_no_swap() {
        let (_, cell) = cell();
        assert_eq!(cell.memory, Some(288 * 1024 * 1024));
        assert_eq!(cell.memory_swap, cell.memory);
        let (_, holder) = holder();
        assert_eq!(holder.memory, Some(16 * 1024 * 1024));
        assert_eq!(holder.memory_swap, holder.memory);
    }

    #[test]
    fn processors_and_processes_are_limited() {
        let (_, cell) = cell();
        assert_eq!((cell.nano_cpus, cell.pids_limit), (Some(1_000_000_000), Some(160)));
        assert_eq!(holder().1.pids_limit, Some(4));
    }

    #[test]
    fn nothing_is_shared_in_memory() {
        let (_, host) = cell();
        assert_eq!(host.ipc_mode.as_deref(), Some("none"));
        assert!(host.masked_paths.unwrap().contains(&"/dev/mqueue".to_owned()));
        let queues =
            host.ulimits.unwrap().into_iter().find(|u| u.name.as_deref() == Some("msgqueue"));
        assert_eq!(queues.unwrap().hard, Some(0));
        assert_eq!(host.cgroupns_mode, Some(HostConfigCgroupnsModeEnum::PRIVATE));
    }

    #[test]
    fn docker_s_own_masks_are_kept() {
        let (_, host) = cell();
        let masked = host.masked_paths.unwrap();
        for path in ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"] {
            assert!(masked.contains(&path.to_owned()), "{path} is open");
        }
        assert!(host.readonly_paths.unwrap().contains(&"/proc/sys".to_owned()));
    }

    #[test]
    fn only_two_folders_are_writable_and_both_are_bounded() {
        let (_, host) = cell();
        let folders = host.tmpfs.unwrap();
        assert_eq!(folders.len(), 2);
        for (folder, size) in [("/box", "size=131072k"), ("/tmp", "size=65536k")] {
            let options: Vec<&str> = folders[folder].split(',').collect();
            for option in [size, "nr_inodes=16384", "nosuid", "nodev", "mode=1777"] {
                assert!(options.contains(&option), "{folder} lacks {option}");
            }
        }
        assert_eq!((host.binds, host.mounts, host.devices), (None, None, None));
    }

    #[test]
    fn there_is_no_log_and_no_variable_of_ours() {
        let (spec, host) = cell();
        assert_eq!(host.log_config.unwrap().typ.as_deref(), Some("none"));
        assert_eq!(spec.env, Some(Vec::new()));
    }

    #[test]
    fn the_pipe_ends_with_the_executor() {
        let (spec, _) = cell();
        assert_eq!(
            (spec.open_stdin, spec.stdin_once, spec.tty),
            (Some(true), Some(true), Some(false))
        );
    }

    #[test]
    fn the_kernel_ends_a_cell_before_a_service_and_no_program_leaves_a_core() {
        let (_, host) = cell();
        assert_eq!(host.oom_score_adj, Some(500));
        let ulimits = host.ulimits.unwrap();
        let hard =
            |name: &str| ulimits.iter().find(|u| u.name.as_deref() == Some(name)).unwrap().hard;
        assert_eq!((hard("core"), hard("nofile")), (Some(0), Some(1024)));
    }

    #[test]
    fn a_container_says_whose_it_is_and_runs_under_its_own_uids() {
        let (spec, _) = cell();
        let labels = spec.labels.unwrap();
        assert_eq!(labels[LABEL_HOST], "here");
        assert_eq!(labels[LABEL_EXECUTOR], "executor-1");
        assert_eq!(labels[LABEL_BOOT], owner().boot.to_string());
        assert_eq!(labels[LABEL_ROLE], "cell");
        assert_eq!(spec.cmd.unwrap(), ["serve", "--uid-base", "1073741824"]);
        assert_eq!(spec.image.as_deref(), Some("sha256:abc"));
        assert_eq!(holder().0.labels.unwrap()[LABEL_ROLE], "holder");
    }

    #[test]
    fn another_runtime_is_used_when_it_is_configured() {
        let other = Allowance { runtime: Some("runsc".to_owned()), ..allowance() };
        let spec = cell_spec(&other, &owner(), &place());
        assert_eq!(spec.host_config.unwrap().runtime.as_deref(), Some("runsc"));
        assert_eq!(cell().1.runtime, None);
    }

    #[test]
    fn the_profile_s_hash_changes_with_a_restriction_and_with_nothing_else() {
        let hash = profile_hash(&allowance());
        assert_eq!(hash, profile_hash(&allowance()));
        assert_ne!(hash, profile_hash(&Allowance { processes: 161, ..allowance() }));
        assert_ne!(
            hash,
            profile_hash(&Allowance { runtime: Some("runsc".to_owned()), ..allowance() })
        );
    }
}
