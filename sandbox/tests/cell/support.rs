//! A cell over the Docker CLI's attached pipes, and the requests that tests make.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use sandbox::languages::Catalog;
use sandbox::protocol::{
    CellFile, Decoder, PROTOCOL_VERSION, Prepare, Prepared, Ready, Request, Response, Stage,
    StageExit, StageLimits, StageReport, encode,
};

const IMAGE: &str = "runledger/core:dev";
/// No request of these tests takes longer, on a busy machine too.
const PATIENCE: Duration = Duration::from_mins(1);
const TMPFS: &str = "rw,nosuid,nodev,size=64m,nr_inodes=16384,mode=1777";
const CLOSED: &str = "ro,nosuid,nodev,noexec,size=4k,nr_inodes=1,mode=555";

pub(crate) const LIMITS: StageLimits = StageLimits {
    cpu_time_ms: 10_000,
    wall_time_ms: 20_000,
    memory_kib: 256 * 1024,
    stack_kib: 64_000,
    output_bytes: 64 * 1024,
    file_size_kib: 16 * 1024,
    processes: 60,
};

/// A running cell.
pub(crate) struct Cell {
    docker: Child,
    stdin: Option<ChildStdin>,
    responses: Receiver<Response>,
}

impl Cell {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a cell with more options for `docker run`.
    pub(crate) fn start_with(options: &[&str]) -> Self {
        let mut docker = docker_run(options);
        let (sender, responses) = channel();
        let mut stdout = docker.stdout.take().expect("piped");
        std::thread::spawn(move || {
            let mut decoder = Decoder::new();
            let mut chunk = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = stdout.read(&mut chunk) {
                decoder.push(&chunk[..count]);
                while let Some(response) =
                    decoder.next_message().expect("the cell speaks the protocol")
                {
                    if sender.send(response).is_err() {
                        return;
                    }
                }
            }
        });
        let stdin = docker.stdin.take();
        let mut cell = Self { docker, stdin, responses };
        let ready = Ready { protocol_version: PROTOCOL_VERSION };
        assert_eq!(cell.response(), Response::Ready(ready), "a cell's first word");
        cell
    }

    /// Starts a cell and prepares one bash script as the entry.
    pub(crate) fn with_script(script: &str) -> Self {
        let mut cell = Self::start();
        cell.prepare("bash", &[("main.sh", script)]);
        cell
    }

    pub(crate) fn request(&mut self, request: &Request) -> Response {
        self.send(&encode(request).expect("small enough"));
        self.response()
    }

    /// Writes raw bytes into the cell.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("open until it is dropped");
        stdin.write_all(bytes).and_then(|()| stdin.flush()).expect("the cell reads");
    }

    /// The next response, or a panic with what Docker says.
    pub(crate) fn response(&mut self) -> Response {
        self.responses.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            self.stdin = None;
            drop(self.docker.kill());
            let mut said = String::new();
            let stderr = self.docker.stderr.take();
            stderr.map(|mut stderr| stderr.read_to_string(&mut said));
            panic!(
                "no answer from a cell. These tests need a Docker engine (DOCKER_HOST) and the image {IMAGE}, which \
                 `cargo dev images` builds. Docker says: {said}"
            )
        })
    }

    /// Prepares files as a submission in a language, whose compiler must succeed.
    pub(crate) fn prepare(
        &mut self,
        language: &str,
        files: &[(&str, &str)],
    ) -> Option<StageReport> {
        let report = self.try_prepare(language, files);
        if let Some(report) = &report {
            assert_eq!(report.exit, StageExit::Code(0), "compiler: {}", text(&report.stderr.bytes));
        }
        report
    }

    /// Prepares files, whatever the compiler says.
    pub(crate) fn try_prepare(
        &mut self,
        language: &str,
        files: &[(&str, &str)],
    ) -> Option<StageReport> {
        let catalog = Catalog::builtin();
        let language = catalog.find(language).expect("a known language");
        let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
        let argv = language.compile_argv::<_, &str>(&names, &[]);
        let limits = language.compile_limits;
        let compile = argv.map(|argv| Stage { argv, stdin: Vec::new(), limits });
        let file = |(path, content): &(&str, &str)| CellFile {
            path: (*path).to_owned(),
            content: content.as_bytes().to_vec(),
        };
        let files = files.iter().map(file).collect();
        match self.request(&Request::Prepare(Prepare { files, compile })) {
            Response::Prepared(Prepared { compile }) => compile,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn run(&mut self, argv: &[&str], stdin: &str, limits: StageLimits) -> StageReport {
        let argv = argv.iter().map(|argument| (*argument).to_owned()).collect();
        let stage = Stage { argv, stdin: stdin.as_bytes().to_vec(), limits };
        match self.request(&Request::Run(stage)) {
            Response::Ran(report) => report,
            other => panic!("{other:?}"),
        }
    }

    /// Runs the prepared script.
    pub(crate) fn run_script(&mut self) -> StageReport {
        self.run(&["bash", "main.sh"], "", LIMITS)
    }

    /// Runs a bash command line and gives what it printed, once it has succeeded.
    pub(crate) fn bash(&mut self, command: &str) -> String {
        let report = self.run(&["bash", "-c", command], "", LIMITS);
        assert_eq!(report.exit, StageExit::Code(0), "{command}: {}", text(&report.stderr.bytes));
        text(&report.stdout.bytes)
    }

    /// The names of all processes that a program sees, which here is one shell without children.
    pub(crate) fn processes(&mut self) -> Vec<String> {
        let list = "for p in /proc/[0-9]*; do read -r name < $p/comm && echo $name; done";
        self.bash(list).lines().map(str::to_owned).collect()
    }

    /// Closes the cell's input and waits for its end.
    pub(crate) fn close(mut self) -> Option<i32> {
        self.stdin = None;
        wait(&mut self.docker)
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        self.stdin = None;
        wait(&mut self.docker);
    }
}

fn wait(docker: &mut Child) -> Option<i32> {
    let started_at = Instant::now();
    while started_at.elapsed() < PATIENCE {
        if let Some(status) = docker.try_wait().expect("our child") {
            return status.code();
        }
        std::thread::yield_now();
    }
    drop(docker.kill());
    docker.wait().expect("our child").code()
}

fn docker_run(options: &[&str]) -> Child {
    let profile = concat!("seccomp=", env!("CARGO_MANIFEST_DIR"), "/seccomp.json");
    let mut docker = Command::new("docker");
    docker
        .args(["run", "--interactive", "--rm", "--network", "none", "--read-only", "--ipc", "none"])
        .args([
            "--cap-drop",
            "ALL",
            "--cap-add",
            "KILL",
            "--cap-add",
            "SETUID",
            "--cap-add",
            "SETGID",
        ])
        .args(["--security-opt", "no-new-privileges", "--security-opt", profile])
        .args([
            "--pids-limit",
            "256",
            "--memory",
            "512m",
            "--memory-swap",
            "512m",
            "--log-driver",
            "none",
        ])
        .args([
            "--tmpfs",
            &format!("/box:exec,{TMPFS}"),
            "--tmpfs",
            &format!("/tmp:noexec,{TMPFS}"),
        ])
        .args(["--tmpfs", &format!("/dev/mqueue:{CLOSED}")])
        .args(options)
        .args([IMAGE, "serve", "--uid-base", &uid_base().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    docker.spawn().expect("these tests need the `docker` command")
}

/// Starts `cell-init hold`, tells it to end, and gives how long that took.
pub(crate) fn hold_and_stop() -> Duration {
    let docker = |arguments: &[&str]| {
        let output = Command::new("docker").args(arguments).output().expect("the `docker` command");
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout).trim().to_owned()
    };
    let holder = docker(&[
        "run",
        "--detach",
        "--rm",
        "--network",
        "none",
        "--cap-drop",
        "ALL",
        IMAGE,
        "hold",
    ]);
    assert_eq!(docker(&["inspect", "--format", "{{.State.Running}}", &holder]), "true");
    let asked_at = Instant::now();
    docker(&["stop", "--time", "30", &holder]);
    asked_at.elapsed()
}

/// The kernel counts a uid's processes over the whole machine, so tests that run at once share
/// none.
fn uid_base() -> u32 {
    static CELLS: AtomicU32 = AtomicU32::new(0);
    let cell = CELLS.fetch_add(1, Ordering::Relaxed) % 64;
    1_000_000 + (std::process::id() % 10_000 * 64 + cell) * 256
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn stdout(report: &StageReport) -> String {
    text(&report.stdout.bytes)
}
