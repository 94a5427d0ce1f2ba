//! Nothing crosses from one run to the next, and nothing of one submission reaches another.

use std::time::Duration;

use sandbox::protocol::{CellFile, Prepare, Request, Response, StageExit};

use crate::support::{Cell, LIMITS, hold_and_stop, stdout, text};

#[test]
fn files_of_a_run_are_gone_in_the_next() {
    let mut cell = Cell::with_script(
        "echo mine > /box/left; echo mine > /tmp/left; mkdir -p /tmp/a/b; touch /tmp/a/b/c; ls /box /tmp",
    );
    assert_eq!(stdout(&cell.run_script()), "/box:\nleft\nmain.sh\n\n/tmp:\na\nleft\n");
    assert_eq!(cell.bash("ls -A /box /tmp"), "/box:\nmain.sh\n\n/tmp:\n");
}

#[test]
fn files_that_resist_removal_are_gone_too() {
    let hostile = "
        mkdir -p /tmp/locked/inner && touch /tmp/locked/inner/file && chmod 0 /tmp/locked/inner /tmp/locked
        mkdir /box/.wipe-1 && touch /box/.wipe-1/x && touch /box/.wipe-2
        ln -s /etc /tmp/link && ln -s /box /box/loop && ln /box/.wipe-2 /box/hard && mkfifo /tmp/fifo
        touch $'/tmp/new\\nline' '/tmp/-rf' /tmp/$'\\xff'
        python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"/tmp/sock\")'
        cd /tmp && python3 -c 'import os
for _ in range(5000): os.mkdir(\"d\"); os.chdir(\"d\")' && touch d/d/d/file
        echo made";
    let mut cell = Cell::with_script(hostile);
    let report = cell.run_script();
    assert_eq!(stdout(&report), "made\n", "{}", text(&report.stderr.bytes));
    assert_eq!(
        cell.bash("ls -A /box /tmp; ls -d /etc/passwd"),
        "/box:\nmain.sh\n\n/tmp:\n/etc/passwd\n"
    );
}

#[test]
fn a_run_cannot_change_what_is_prepared() {
    let mut cell = Cell::start();
    cell.prepare("c", &[("main.c", "int main() { return 7; }"), ("data/words", "one")]);
    let attempts = "
        echo x >> program; rm -f program main.c; mv program p2; cp /bin/true program; chmod 777 program
        ln -sf /bin/true program; rm -rf data; touch data/more; rmdir data; exit 3";
    assert_eq!(cell.run(&["bash", "-c", attempts], "", LIMITS).exit, StageExit::Code(3));
    assert_eq!(cell.run(&["./program"], "", LIMITS).exit, StageExit::Code(7));
    assert_eq!(cell.bash("ls -A; cat data/words"), "data\nmain.c\nprogram\none");
}

#[test]
fn background_processes_end_with_the_run() {
    let daemons = "
        (setsid sleep 1000 &) ; nohup sleep 1000 > /dev/null 2>&1 &
        python3 -c 'import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True: time.sleep(1)' &
        disown -a; echo started";
    let mut cell = Cell::with_script(daemons);
    assert_eq!(stdout(&cell.run_script()), "started\n");
    assert_eq!(cell.processes(), ["cell-init", "bash"]);
}

#[test]
fn each_run_has_a_uid_of_its_own() {
    let mut cell = Cell::with_script("id -u; id -g; id -G");
    let ids: Vec<String> = (0..3).map(|_| stdout(&cell.run_script())).collect();
    for ids in &ids {
        let ids: Vec<&str> = ids.lines().collect();
        assert!(ids.len() == 3 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
}

#[test]
fn preparing_again_starts_over() {
    let mut cell = Cell::start();
    cell.prepare("c", &[("main.c", "int main() { return 7; }"), ("secret/notes", "mine")]);
    assert_eq!(cell.run(&["./program"], "", LIMITS).exit, StageExit::Code(7));
    cell.prepare("bash", &[("main.sh", "ls -A /box /tmp")]);
    assert_eq!(stdout(&cell.run_script()), "/box:\nmain.sh\n\n/tmp:\n");
}

#[test]
fn a_cell_that_cannot_clean_up_says_so() {
    let mut cell = Cell::start();
    let stage = |script: &str| sandbox::protocol::Stage {
        argv: ["bash", "-c", script].map(str::to_owned).to_vec(),
        stdin: Vec::new(),
        limits: LIMITS,
    };
    // The compile stage leaves a folder open to all, so that a run can take from it.
    let compile = Some(stage("mkdir -m 777 open; touch open/kept"));
    let prepare = Request::Prepare(Prepare { files: Vec::new(), compile });
    assert!(matches!(cell.request(&prepare), Response::Prepared(_)));
    assert!(matches!(cell.request(&Request::Run(stage("rm open/kept"))), Response::Ran(_)));
    let Response::Fault { message } = cell.response() else { panic!("no fault") };
    assert!(message.contains("earlier stage"), "{message}");
}

#[test]
fn a_path_out_of_the_box_is_a_fault() {
    for path in ["../x", "/box/x", "a/../../x", "", "a//b"] {
        let mut cell = Cell::start();
        let files = vec![CellFile { path: path.to_owned(), content: b"x".to_vec() }];
        let response = cell.request(&Request::Prepare(Prepare { files, compile: None }));
        assert!(
            matches!(&response, Response::Fault { message } if message.contains("plain relative path")),
            "{path:?}: {response:?}"
        );
    }
}

#[test]
fn a_holder_ends_when_it_is_told_to() {
    assert!(hold_and_stop() < Duration::from_secs(10), "the holder had to be killed");
}

#[test]
fn bytes_that_are_no_request_end_the_cell() {
    let mut cell = Cell::start();
    cell.send(b"GET / HTTP/1.1\r\n\r\n");
    assert!(matches!(cell.response(), Response::Fault { .. }));
    assert_eq!(cell.close(), Some(1));
}
