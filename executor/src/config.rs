//! The executor's configuration: its sections, their bounds, and what is derived from the machine
//! where they are silent.

use std::fmt;
use std::num::{NonZeroU8, NonZeroU32};
use std::time::Duration;

use events::room::ATTEMPTS_MAX;
use events::{Digest, ExecutorName, Lane, PoolName};
use platform::config::{Bounded, HttpConfig, LogConfig, NatsConfig};
use sandbox::languages::LanguagesConfig;
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::cells::container_flags::Allowance;
use crate::cells::engine::Machine;
use crate::cells::places::PlaceLimits;
use crate::cells::warm_cells::PoolSize;

/// The embedded defaults.
pub const DEFAULTS: &str = include_str!("../defaults.toml");

/// Everything that an operator can set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where health and metrics are served.
    pub http: HttpConfig,
    /// The ledger's servers.
    pub nats: NatsConfig,
    /// What is logged.
    pub log: LogConfig,
    /// Which table of languages is in force.
    pub languages: LanguagesConfig,
    /// The engine that runs cells.
    pub docker: DockerConfig,
    /// What this executor takes from the queue, and how long it may keep it.
    pub executor: ExecutorConfig,
    /// The cells and how many there are.
    pub cells: CellsConfig,
    /// From when on outputs are cut.
    pub room: RoomConfig,
}

/// `[docker]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DockerConfig {
    /// The engine's address: `unix:///path` or `tcp://host:port`.
    pub host: String,
}

/// `[executor]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutorConfig {
    /// The name in events and logs.
    pub name: ExecutorName,
    /// What marks the containers of this installation, so that two installations on one engine
    /// never remove each other's.
    pub host: Option<String>,
    /// The lanes to take from.
    pub lanes: Vec<Lane>,
    /// The pools to take from.
    pub pools: Vec<PoolName>,
    /// How many attempts a submission gets; one that was handed back does not count.
    // More would need more room in the ledger than is set aside for the outcome.
    pub attempts_max: Bounded<1, ATTEMPTS_MAX>,
    /// How long nothing is heard of a submission before it is looked into whether the queue has
    /// forgotten it, in seconds.
    pub settle_after_s: Bounded<1, 86_400>,
    /// How long a submission may wait for an executor that has its language, in hours.
    pub not_here_hours_max: Bounded<1, 720>,
    /// When a newer version of a language may run what was accepted for an older one.
    pub newer_version_after_s: NewerVersionAfter,
    /// How long running submissions may go on after SIGTERM before they are handed back, in
    /// seconds.
    pub shutdown_grace_s: u32,
}

/// When a newer version of a language may run what was accepted for an older one: after so many
/// seconds in which no executor had the older one, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "plain data: the names say it")]
pub enum NewerVersionAfter {
    // Two hours at most, since offers of executors are remembered for that long. A minute at least,
    // so that executors that just restart do not count as gone.
    Seconds(Bounded<60, 7_200>),
    Never,
}

impl NewerVersionAfter {
    /// Returns the time, if there is one.
    pub fn get(self) -> Option<Duration> {
        match self {
            Self::Seconds(seconds) => Some(Duration::from_secs(seconds.get().into())),
            Self::Never => None,
        }
    }
}

impl<'de> Deserialize<'de> for NewerVersionAfter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NewerVersionVisitor)
    }
}

struct NewerVersionVisitor;

impl Visitor<'_> for NewerVersionVisitor {
    type Value = NewerVersionAfter;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("60 to 7200 or \"never\"")
    }

    fn visit_i64<E: Error>(self, seconds: i64) -> Result<NewerVersionAfter, E> {
        let bounded = u32::try_from(seconds).ok().and_then(|it| Bounded::try_from(it).ok());
        let refused = || E::invalid_value(Unexpected::Signed(seconds), &self);
        bounded.map(NewerVersionAfter::Seconds).ok_or_else(refused)
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<NewerVersionAfter, E> {
        self.visit_i64(i64::try_from(seconds).unwrap_or(i64::MAX))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<NewerVersionAfter, E> {
        match text.parse() {
            // A value of the environment is a text.
            Ok(seconds) => self.visit_i64(seconds),
            Err(_) if text == "never" => Ok(NewerVersionAfter::Never),
            Err(_) => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }
}

/// `[room]`: from when on outputs are cut.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomConfig {
    /// The share of used bytes of the bucket of outputs, in percent, from which on outputs are cut
    /// to what fits into an event.
    pub outputs_percent_max: Bounded<1, 100>,
    /// The share of used bytes of the ledger, in percent, from which on they are cut to a few KiB.
    pub ledger_percent_max: Bounded<1, 100>,
    /// How often both are measured, in milliseconds.
    pub refresh_ms: Bounded<10, 60_000>,
}

/// `[cells]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellsConfig {
    /// The image's tag, with `{image}` for its name in languages.toml.
    pub image_tag: String,
    /// An OCI runtime that the engine knows, instead of its default.
    pub runtime: Option<String>,
    /// Submissions at once at most, while some of them leave processors idle.
    pub busy_max: Option<NonZeroU8>,
    /// What all cells in use may take of the machine's memory together, in KiB.
    pub memory_total_kib: Option<NonZeroU32>,
    /// The control group that the engine puts cells into, as `/runledger` or `cells.slice`.
    pub cgroup_parent: Option<String>,
    /// Warm cells of each image that are always kept.
    pub warm_min: Option<NonZeroU8>,
    /// Warm cells of each image that demand may raise them to.
    pub warm_max: Option<NonZeroU8>,
    /// Cells that are made at the same time. A start costs 0.1 s of processor time.
    pub refillers: NonZeroU8,
    /// The memory limit that warm cells are made with, without the overhead, in KiB: that of most
    /// submissions.
    pub memory_kib: NonZeroU32,
    /// What the cell's own program may take above a submission's memory, in KiB.
    pub memory_overhead_kib: u32,
    /// How many processors a cell may keep busy.
    pub processors: Processors,
    /// Processes and threads in a cell, its own included.
    pub processes: NonZeroU32,
    /// The size of `/box`, in KiB. It counts as memory too.
    pub box_kib: NonZeroU32,
    /// The size of `/tmp`, in KiB. It counts as memory too.
    pub tmp_kib: NonZeroU32,
    /// Files and folders in `/box`, and as many again in `/tmp`.
    pub files: NonZeroU32,
}

/// A share of the machine's processors, above 0 and at most 64.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(try_from = "f64")]
pub struct Processors(f64);

impl Processors {
    /// Returns the share in billionths of a processor, as the engine counts.
    #[expect(clippy::cast_possible_truncation, reason = "at most 64 billion")]
    pub fn nanos(self) -> i64 {
        (self.0 * 1e9) as i64
    }
}

impl TryFrom<f64> for Processors {
    type Error = String;

    fn try_from(share: f64) -> Result<Self, String> {
        if (0.01..=64.0).contains(&share) {
            return Ok(Self(share));
        }
        Err(format!("expected a number from 0.01 to 64, found {share}"))
    }
}

impl Config {
    /// Returns the mark of this installation's containers: the configured one, or one made of the
    /// ledger's address.
    pub fn host_label(&self) -> String {
        let derived =
            || Digest::of(self.nats.url.as_bytes()).to_string().chars().take(16).collect();
        self.executor.host.clone().unwrap_or_else(derived)
    }
}

impl CellsConfig {
    /// Returns the tag of an image of languages.toml.
    pub fn tag(&self, image: &str) -> String {
        self.image_tag.replace("{image}", image)
    }

    /// Returns what a cell may use.
    pub fn allowance(&self) -> Allowance {
        Allowance {
            memory_bytes: u64::from(self.memory_kib.get()) * 1024,
            overhead_bytes: u64::from(self.memory_overhead_kib) * 1024,
            nano_cpus: self.processors.nanos(),
            processes: i64::from(self.processes.get()),
            box_kib: self.box_kib.get(),
            tmp_kib: self.tmp_kib.get(),
            files: self.files.get(),
            runtime: self.runtime.clone(),
            cgroup_parent: self.cgroup_parent.clone(),
        }
    }

    /// Returns the pool's size on a machine with `processors`.
    pub fn size(&self, processors: usize) -> PoolSize {
        let warm_min = or(self.warm_min, 4 * processors).min(WARM_MAX);
        let warm_max = or(self.warm_max, 4 * warm_min).clamp(warm_min, WARM_MAX);
        PoolSize { warm_min, warm_max, refillers: usize::from(self.refillers.get()) }
    }

    /// Returns the places on a machine, for these lanes.
    pub fn places(&self, machine: &Machine, lanes: Vec<(Lane, PoolName)>) -> PlaceLimits {
        let &Machine { processors, memory_bytes, kernel: _ } = machine;
        let configured = self.memory_total_kib.map(|kib| u64::from(kib.get()) * 1024);
        let left = memory_bytes.saturating_sub((memory_bytes / 4).max(SERVICES_BYTES));
        // The smallest machine runs one cell at a time.
        let one = u64::from(self.memory_kib.get() + self.memory_overhead_kib) * 1024;
        PlaceLimits {
            lanes,
            processors,
            busy_max: or(self.busy_max, 8 * processors).min(BUSY_MAX),
            memory_bytes: configured.unwrap_or(left).max(one),
        }
    }
}

fn or(configured: Option<NonZeroU8>, derived: usize) -> usize {
    configured.map_or(derived, |number| usize::from(number.get()))
}

/// What the stores, the services and warm cells need of a small machine's memory.
const SERVICES_BYTES: u64 = 3 * 512 * 1024 * 1024;
/// Of the 256 cells that have uids of their own, some are always being removed.
const BUSY_MAX: usize = 64;
/// See [`BUSY_MAX`].
const WARM_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use platform::config::{ConfigError, load_from};

    use super::*;

    fn machine(processors: usize, memory_gib: u64) -> Machine {
        Machine { kernel: String::new(), processors, memory_bytes: memory_gib << 30 }
    }

    fn load(vars: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let password = ("RUNLEDGER__NATS__PASSWORD", "of executor");
        let vars = vars.iter().chain([&password]);
        let vars = vars.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load_from(DEFAULTS, None, vars)
    }

    #[test]
    fn the_defaults_are_a_valid_configuration() {
        let config = load(&[]).unwrap();
        assert_eq!(config.executor.attempts_max.get(), 3);
        assert_eq!(config.executor.lanes, Lane::ALL);
        assert_eq!(config.cells.tag("core"), "runledger/core:dev");
    }

    #[test]
    fn the_environment_sets_every_key() {
        let config = load(&[
            ("RUNLEDGER__EXECUTOR__HOST", "ci"),
            ("RUNLEDGER__EXECUTOR__POOLS", "[\"core\", \"extra\"]"),
            ("RUNLEDGER__CELLS__RUNTIME", "runsc"),
            ("RUNLEDGER__CELLS__BUSY_MAX", "3"),
        ])
        .unwrap();
        assert_eq!(config.host_label(), "ci");
        assert_eq!(config.executor.pools.len(), 2);
        assert_eq!(config.cells.allowance().runtime.as_deref(), Some("runsc"));
        assert_eq!(config.cells.places(&machine(2, 4), Vec::new()).busy_max, 3);
    }

    #[test]
    fn values_out_of_bounds_are_refused() {
        for (name, value) in [
            ("RUNLEDGER__EXECUTOR__ATTEMPTS_MAX", "0"),
            ("RUNLEDGER__EXECUTOR__ATTEMPTS_MAX", "6"),
            ("RUNLEDGER__EXECUTOR__NAME", "Not A Token"),
            ("RUNLEDGER__EXECUTOR__NEWER_VERSION_AFTER_S", "0"),
            ("RUNLEDGER__EXECUTOR__NEWER_VERSION_AFTER_S", "7201"),
            ("RUNLEDGER__EXECUTOR__NEWER_VERSION_AFTER_S", "often"),
            ("RUNLEDGER__EXECUTOR__NOT_HERE_HOURS_MAX", "0"),
            ("RUNLEDGER__CELLS__PROCESSORS", "0.0"),
            ("RUNLEDGER__CELLS__REFILLERS", "0"),
            ("RUNLEDGER__CELLS__NO_SUCH_KEY", "1"),
        ] {
            assert!(load(&[(name, value)]).is_err(), "{name}={value} was accepted");
        }
    }

    #[test]
    fn a_newer_version_runs_after_a_time_or_never() {
        let after =
            |vars: &[(&str, &str)]| load(vars).unwrap().executor.newer_version_after_s.get();
        let name = "RUNLEDGER__EXECUTOR__NEWER_VERSION_AFTER_S";
        assert_eq!(after(&[]), Some(Duration::from_hours(1)));
        assert_eq!(after(&[(name, "60")]), Some(Duration::from_mins(1)));
        assert_eq!(after(&[(name, "never")]), None);
    }

    #[test]
    fn two_ledgers_on_one_engine_have_different_marks() {
        let here = load(&[]).unwrap().host_label();
        let there =
            load(&[("RUNLEDGER__NATS__URL", "nats://127.0.0.1:5222")]).unwrap().host_label();
        assert_ne!(here, there);
    }

    #[test]
    fn cells_leave_memory_for_the_stores_and_the_services() {
        let config = load(&[]).unwrap();
        let left = |gib| config.cells.places(&machine(2, gib), Vec::new()).memory_bytes;
        assert_eq!((left(4), left(24), left(1)), (5 << 29, 18 << 30, 288 << 20));
        let config = load(&[("RUNLEDGER__CELLS__MEMORY_TOTAL_KIB", "1048576")]).unwrap();
        assert_eq!(config.cells.places(&machine(2, 4), Vec::new()).memory_bytes, 1 << 30);
    }

    #[test]
    fn the_pool_follows_the_machine_and_stays_within_its_uids() {
        let config = load(&[]).unwrap();
        assert_eq!(config.cells.size(2), PoolSize { warm_min: 8, warm_max: 32, refillers: 3 });
        for processors in 1..200 {
            let size = config.cells.size(processors);
            let places = config.cells.places(&machine(processors, 4), Vec::new());
            assert!(size.warm_min <= size.warm_max && places.busy_max + size.warm_max <= 128);
        }
    }
}
