//! Every language compiles and runs, with input, arguments and several files.

use sandbox::languages::Catalog;
use sandbox::protocol::StageExit;

use crate::support::{Cell, LIMITS, stdout, text};

const HELLO: &[(&str, &str)] = &[
    ("python", "print('hello')"),
    (
        "c",
        "#include <stdio.h>\n#include <math.h>\nint main(int c, char **v) { puts(sqrt(c) > 0 ? \"hello\" : v[0]); }",
    ),
    ("cpp", "#include <iostream>\n#include <ranges>\nint main() { std::cout << \"hello\\n\"; }"),
    ("javascript", "console.log('hello')"),
    ("bash", "echo hello"),
];

#[test]
fn every_language_of_the_table_says_hello() {
    let catalog = Catalog::builtin();
    for language in catalog.languages() {
        let source = HELLO.iter().find(|(slug, _)| *slug == language.slug);
        let (_, source) = source.unwrap_or_else(|| panic!("no program in {}", language.slug));
        let mut cell = Cell::start();
        let entry = language.source_file.as_str();
        cell.prepare(&language.slug, &[(entry, source)]);
        let argv = language.run_argv::<&str>(entry, &[]);
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let report = cell.run(&argv, "", LIMITS);
        assert_eq!(stdout(&report), "hello\n", "{}: {}", language.slug, text(&report.stderr.bytes));
        assert_eq!((report.exit, report.stopped), (StageExit::Code(0), None), "{}", language.slug);
        assert!(report.stderr.bytes.is_empty() && report.usage.cpu_us > 0);
        assert!(report.usage.wall_us >= 300, "no process starts faster");
        assert!((300..200_000).contains(&report.usage.memory_peak_kib), "{:?}", report.usage);
    }
}

#[test]
fn a_compile_error_is_the_compilers_own_report() {
    let mut cell = Cell::start();
    let report = cell.try_prepare("c", &[("main.c", "int main() { return nothing; }")]);
    let report = report.expect("a compiler ran");
    assert_eq!((report.exit, report.stopped), (StageExit::Code(1), None));
    assert!(text(&report.stderr.bytes).contains("‘nothing’ undeclared"), "{report:?}");
}

#[test]
fn several_files_are_compiled_together() {
    let mut cell = Cell::start();
    let files = [
        ("main.c", "#include \"lib/add.h\"\nint main() { return add(40, 2); }"),
        ("lib/add.h", "int add(int, int);"),
        ("lib/add.c", "int add(int a, int b) { return a + b; }"),
    ];
    cell.prepare("c", &files);
    assert_eq!(cell.run(&["./program"], "", LIMITS).exit, StageExit::Code(42));
}

#[test]
fn a_program_imports_its_other_files() {
    let mut cell = Cell::start();
    cell.prepare(
        "python",
        &[("main.py", "import lib.a; lib.a.greet()"), ("lib/a.py", "def greet(): print('hi')")],
    );
    assert_eq!(stdout(&cell.run(&["python3", "main.py"], "", LIMITS)), "hi\n");
}

#[test]
fn standard_input_comes_whole_by_any_way_of_reading() {
    let input = "line one\nline two\n".repeat(20_000);
    let mut cell = Cell::start();
    let program = "process.stdout.write(require('fs').readFileSync('/dev/stdin'))";
    cell.prepare("javascript", &[("main.js", program)]);
    let limits = sandbox::protocol::StageLimits { output_bytes: 1 << 20, ..LIMITS };
    for argv in [vec!["node", "main.js"], vec!["cat"], vec!["bash", "-c", "cat < /dev/stdin"]] {
        let report = cell.run(&argv, &input, limits);
        assert_eq!(
            report.stdout.total_bytes,
            input.len() as u64,
            "{argv:?}: {}",
            text(&report.stderr.bytes)
        );
        assert!(report.stdout.bytes == input.as_bytes(), "{argv:?} altered it");
    }
}

#[test]
fn output_reaches_us_by_any_way_of_writing() {
    let mut cell = Cell::with_script(
        "echo out > /dev/stdout; echo err > /dev/stderr; echo more >> /proc/self/fd/1",
    );
    let report = cell.run_script();
    assert_eq!(
        (stdout(&report), text(&report.stderr.bytes)),
        ("out\nmore\n".to_owned(), "err\n".to_owned())
    );
}

#[test]
fn many_cases_run_after_one_compilation() {
    let program = "#include <stdio.h>\nint main() { int n; if (scanf(\"%d\", &n) != 1) return 9; printf(\"%d\\n\", n * n); }";
    let mut cell = Cell::start();
    cell.prepare("c", &[("main.c", program)]);
    // More than a cell has uids.
    for n in 0..300 {
        let report = cell.run(&["./program"], &n.to_string(), LIMITS);
        assert_eq!(stdout(&report), format!("{}\n", n * n), "{report:?}");
    }
    assert_eq!(cell.close(), Some(0), "the cell ends with its input");
}

#[test]
fn arguments_reach_the_program_as_they_are() {
    let mut cell = Cell::with_script("for a in \"$@\"; do echo \"<$a>\"; done");
    let report = cell.run(&["bash", "main.sh", "a b", "", "$HOME", "-x", "{entry}"], "", LIMITS);
    assert_eq!(stdout(&report), "<a b>\n<>\n<$HOME>\n<-x>\n<{entry}>\n");
}

#[test]
fn exit_codes_and_signals_are_told_apart() {
    let mut cell = Cell::start();
    assert_eq!(cell.run(&["bash", "-c", "exit 137"], "", LIMITS).exit, StageExit::Code(137));
    assert_eq!(cell.run(&["bash", "-c", "kill -SEGV $$"], "", LIMITS).exit, StageExit::Signal(11));
}

#[test]
fn a_program_that_is_not_there_ends_as_in_a_shell() {
    let mut cell = Cell::start();
    let report = cell.run(&["no-such-program"], "", LIMITS);
    assert_eq!((report.exit, report.stopped), (StageExit::Code(127), None));
    assert!(text(&report.stderr.bytes).contains("no-such-program"), "{report:?}");
    let report = cell.run(&["/etc/passwd"], "", LIMITS);
    assert_eq!(report.exit, StageExit::Code(126));
    let huge = "x".repeat(200_000);
    assert_eq!(cell.run(&["echo", &huge], "", LIMITS).exit, StageExit::Code(126));
    assert_eq!(cell.run(&["echo", "a\0b"], "", LIMITS).exit, StageExit::Code(126));
    assert_eq!(cell.bash("echo still here"), "still here\n");
}
