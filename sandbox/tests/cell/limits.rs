//! Every limit stops what breaks it, says so truthfully, and leaves the cell ready for the next
//! run.

use std::time::{Duration, Instant};

use sandbox::protocol::{ExceededLimit, StageExit, StageLimits, StageReport};

use crate::support::{Cell, LIMITS, stdout, text};

/// Runs what breaks a limit, and then something harmless.
fn run_then_recover(argv: &[&str], limits: StageLimits) -> StageReport {
    let mut cell = Cell::start();
    let report = cell.run(argv, "", limits);
    assert_eq!(cell.bash("echo fine"), "fine\n", "after {report:?}");
    report
}

#[test]
fn a_loop_is_stopped_by_its_processor_time() {
    let limits = StageLimits { cpu_time_ms: 300, ..LIMITS };
    let report = run_then_recover(&["python3", "-c", "while True: pass"], limits);
    assert_eq!((report.stopped, report.exit), (Some(ExceededLimit::CpuTime), StageExit::Signal(9)));
    assert!((300_000..400_000).contains(&report.usage.cpu_us), "{:?}", report.usage);
}

#[test]
fn processor_time_is_that_of_all_processes_together() {
    let limits = StageLimits { cpu_time_ms: 300, ..LIMITS };
    // Each process ends well before a limit of its own would stop it, and no process waits for it.
    let program = "import os, signal, time\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\nwhile True:\n  if os.fork() == 0:\n    \
                   end = time.process_time() + .05\n    while time.process_time() < end: pass\n    os._exit(0)\n  time.sleep(.02)";
    let report = run_then_recover(&["python3", "-c", program], limits);
    assert_eq!(report.stopped, Some(ExceededLimit::CpuTime), "{report:?}");
    assert!((300_000..450_000).contains(&report.usage.cpu_us), "{:?}", report.usage);
}

#[test]
fn a_sleeper_is_stopped_by_the_clock() {
    let limits = StageLimits { wall_time_ms: 200, ..LIMITS };
    // A busy machine may stop one of them late. A limit that is slow stops each of them late.
    let quickest = (0..20)
        .map(|_| {
            let report = run_then_recover(&["sleep", "100"], limits);
            assert_eq!(
                (report.stopped, report.exit),
                (Some(ExceededLimit::WallTime), StageExit::Signal(9))
            );
            assert!(report.usage.wall_us >= 200_000, "{:?}", report.usage);
            assert!(report.usage.cpu_us < 50_000, "{:?}", report.usage);
            report.usage.wall_us
        })
        .find(|wall_us| *wall_us < 300_000);
    assert!(quickest.is_some(), "twenty sleepers, and each ran for 100 ms more than its limit");
}

#[test]
fn a_program_that_ignores_signals_is_stopped_too() {
    let limits = StageLimits { wall_time_ms: 200, ..LIMITS };
    let report = run_then_recover(
        &["bash", "-c", "trap '' TERM INT HUP XCPU; sleep 100 & wait; sleep 100"],
        limits,
    );
    assert_eq!(report.stopped, Some(ExceededLimit::WallTime));
}

#[test]
fn a_hoarder_is_stopped_at_its_own_memory_limit() {
    let limits = StageLimits { memory_kib: 100 * 1024, ..LIMITS };
    let program = "a = []\nwhile True: a.append(bytearray(1 << 20))";
    let report = run_then_recover(&["python3", "-c", program], limits);
    assert_eq!((report.stopped, report.exit), (Some(ExceededLimit::Memory), StageExit::Signal(9)));
    assert!((100 * 1024..300 * 1024).contains(&report.usage.memory_peak_kib), "{:?}", report.usage);
}

#[test]
fn a_hoarder_is_stopped_at_the_containers_memory_limit() {
    let limits = StageLimits { memory_kib: u32::MAX, ..LIMITS };
    let program = "a = []\nwhile True: a.append(bytearray(1 << 20))";
    let report = run_then_recover(&["python3", "-c", program], limits);
    assert_eq!((report.stopped, report.exit), (Some(ExceededLimit::Memory), StageExit::Signal(9)));
    assert!(
        (400 * 1024..=520 * 1024).contains(&report.usage.memory_peak_kib),
        "{:?}",
        report.usage
    );
}

#[test]
fn memory_of_many_processes_and_of_files_counts_together() {
    let limits = StageLimits { memory_kib: 100 * 1024, ..LIMITS };
    let program = "import os, time\nfor _ in range(10):\n  if os.fork() == 0:\n    a = bytearray(30 << 20)\n    time.sleep(60)\n\
                   time.sleep(60)";
    let report = run_then_recover(&["python3", "-c", program], limits);
    assert_eq!(report.stopped, Some(ExceededLimit::Memory), "{report:?}");
    let limits = StageLimits { memory_kib: 20 * 1024, ..LIMITS };
    let files = "for i in 1 2 3; do head -c 10000000 /dev/zero > /tmp/$i; done; sleep 60";
    let report = run_then_recover(&["bash", "-c", files], limits);
    assert_eq!(report.stopped, Some(ExceededLimit::Memory), "{report:?}");
}

#[test]
fn peak_memory_is_the_programs_own() {
    let mut cell = Cell::start();
    // A compiler takes far more than what it makes.
    let compiled =
        cell.prepare("c", &[("main.c", "int main() { return 0; }")]).expect("a compiler ran");
    assert!(compiled.usage.memory_peak_kib > 10_000, "{:?}", compiled.usage);
    let small = cell.run(&["./program"], "", LIMITS).usage.memory_peak_kib;
    assert!((300..3_000).contains(&small), "{small} KiB");
    // Neither does a large input or output of an earlier run or of this one count as the program's.
    let flood = StageLimits { output_bytes: 8 << 20, ..LIMITS };
    let input = "x".repeat(8 << 20);
    for argv in [vec!["cat"], vec!["head", "-c", "8388608", "/dev/zero"]] {
        for _ in 0..3 {
            let report = cell.run(&argv, &input, flood);
            assert_eq!(report.stdout.bytes.len(), input.len());
            assert!(report.usage.memory_peak_kib < 4_000, "{argv:?} {:?}", report.usage);
            let again = cell.run(&["./program"], "", LIMITS).usage.memory_peak_kib;
            assert!(again < 3_000, "{again} KiB after {small} KiB");
        }
    }
    let held = cell.run(&["python3", "-c", "a = bytearray(50 << 20)"], "", LIMITS).usage;
    assert!((50 * 1024..75 * 1024).contains(&held.memory_peak_kib), "{held:?}");
}

#[test]
fn endless_output_is_cut_at_the_limit() {
    for (command, on_stdout) in [("yes", true), ("yes >&2", false)] {
        let limits = StageLimits { output_bytes: 1000, ..LIMITS };
        let report = run_then_recover(&["bash", "-c", command], limits);
        assert_eq!(
            (report.stopped, report.exit),
            (Some(ExceededLimit::Output), StageExit::Signal(9))
        );
        let (flooded, quiet) = if on_stdout {
            (&report.stdout, &report.stderr)
        } else {
            (&report.stderr, &report.stdout)
        };
        assert_eq!(text(&flooded.bytes), "y\n".repeat(500));
        assert!(flooded.truncated && flooded.total_bytes > 1000);
        assert!(!quiet.truncated && quiet.bytes.is_empty());
    }
}

#[test]
fn output_of_just_the_limit_is_whole() {
    let limits = StageLimits { output_bytes: 1000, ..LIMITS };
    let mut cell = Cell::start();
    let report =
        cell.run(&["bash", "-c", "printf '%01000d' 0; printf '%01000d' 0 >&2"], "", limits);
    assert_eq!((report.stopped, report.exit), (None, StageExit::Code(0)));
    assert!(!report.stdout.truncated && report.stdout.bytes.len() == 1000);
    let report = cell.run(&["bash", "-c", "printf '%01001d' 0"], "", limits);
    assert!(report.stdout.truncated && report.stdout.total_bytes == 1001);
    assert_eq!(report.stopped, Some(ExceededLimit::Output));
}

#[test]
fn a_quick_hoarder_is_found_out_after_its_end() {
    let mut cell = Cell::start();
    let limits = StageLimits { memory_kib: 16 * 1024, ..LIMITS };
    for _ in 0..10 {
        let report = cell.run(&["python3", "-Sc", "b'x' * (24 << 20)"], "", limits);
        assert_eq!(report.stopped, Some(ExceededLimit::Memory), "{:?}", report.usage);
        assert!(report.usage.memory_peak_kib > 16 * 1024, "{:?}", report.usage);
    }
}

#[test]
fn a_fork_bomb_is_contained_and_leaves_nothing() {
    let mut cell = Cell::start();
    let limits = StageLimits { wall_time_ms: 1_000, ..LIMITS };
    let bombs = [
        ":() { : | : & }; : 2> /dev/null; wait",
        "python3 -c 'import os\nwhile True:\n  try: os.fork()\n  except OSError: pass'",
    ];
    for bomb in bombs {
        let report = cell.run(&["bash", "-c", bomb], "", limits);
        assert!(report.usage.wall_us < 20_000_000, "{:?}", report.usage);
        assert_eq!(cell.processes(), ["cell-init", "bash"]);
    }
}

#[test]
fn the_process_limit_counts_only_this_run() {
    let mut cell = Cell::start();
    let limits = StageLimits { processes: 5, ..LIMITS };
    let program = "import os, time\nmade = 0\ntry:\n  while True:\n    if os.fork() == 0: time.sleep(60)\n    made += 1\n\
                   except OSError: print(made)";
    for _ in 0..3 {
        assert_eq!(stdout(&cell.run(&["python3", "-c", program], "", limits)), "4\n");
    }
}

#[test]
fn files_are_limited_in_size_and_number() {
    let mut cell = Cell::start();
    let limits = StageLimits { file_size_kib: 4, ..LIMITS };
    let report = cell.run(&["head", "-c", "5000", "/dev/zero"], "", limits);
    assert_eq!(report.exit, StageExit::Code(0), "output is not a file");
    let report = cell.run(
        &["python3", "-c", "f = open('f', 'wb'); f.write(bytes(5000)); f.close()"],
        "",
        limits,
    );
    assert!(text(&report.stderr.bytes).contains("File too large"), "{report:?}");
    let many = "import os\ntry:\n  for i in range(10**6): os.close(os.open(f'/tmp/{i}', os.O_CREAT))\nexcept OSError as e: print(e.errno)";
    assert_eq!(stdout(&cell.run(&["python3", "-c", many], "", LIMITS)), "28\n", "no space left");
    assert_eq!(cell.bash("ls -A /tmp | wc -l"), "0\n");
}

#[test]
fn every_limit_of_a_process_is_set() {
    let mut cell = Cell::start();
    let shown = cell.bash(
        "for l in c f n s t u; do ulimit -H$l; ulimit -S$l; done; cat /proc/self/oom_score_adj",
    );
    // No core dumps, blocks of 1 KiB, descriptors, KiB, a second more than the stage has,
    // processes; first to be killed.
    let expected = [0, 0, 16_384, 16_384, 1_024, 1_024, 64_000, 64_000, 11, 11, 60, 60, 1_000];
    let shown: Vec<u32> = shown.lines().map(|line| line.parse().expect("a number")).collect();
    assert_eq!(shown, expected);
}

#[test]
fn the_stack_is_limited() {
    let mut cell = Cell::start();
    let program = "#include <string.h>\nint f(int n) { char a[1024]; memset(a, n, 1024); return n ? f(n - 1) + a[5] : a[7]; }\n\
                   int main(int c, char **v) { return f(4000) & 0 * c; }";
    cell.prepare("c", &[("main.c", program)]);
    assert_eq!(cell.run(&["./program"], "", LIMITS).exit, StageExit::Code(0));
    let limits = StageLimits { stack_kib: 1_000, ..LIMITS };
    assert_eq!(cell.run(&["./program"], "", limits).exit, StageExit::Signal(11));
}

#[test]
fn an_end_is_reported_at_once() {
    let mut cell = Cell::start();
    let walls: Vec<u64> = (0..50).map(|_| cell.run(&["true"], "", LIMITS).usage.wall_us).collect();
    let fastest = walls.iter().min().expect("fifty runs");
    assert!(*fastest < 8_000, "a run waits for a tick: {walls:?}");
    let started_at = Instant::now();
    cell.run(&["bash", "-c", "sleep 100 & echo done"], "", LIMITS);
    assert!(started_at.elapsed() < Duration::from_secs(10), "a background process held the run");
}
