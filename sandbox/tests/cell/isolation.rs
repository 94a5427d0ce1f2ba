//! What a program cannot see, reach or become.

use crate::support::{Cell, LIMITS, stdout, text};

#[test]
fn nothing_but_the_box_and_tmp_can_be_written() {
    let mut cell = Cell::start();
    // Only opened, not written to: a message queue is made by its opening, and refuses the bytes.
    let places = "/ /etc /usr/bin /root /home /run /var/tmp /var/lib /dev /dev/shm /dev/mqueue /dev/pts /proc /proc/sys/kernel \
                  /proc/1 /sys /sys/fs/cgroup /sys/fs/cgroup/memory /sys/fs/cgroup/pids /sys/kernel /opt /srv /mnt /lib /boot";
    let script =
        format!("for d in {places}; do (: > $d/escaped) 2> /dev/null && echo $d; done; true");
    assert_eq!(cell.bash(&script), "");
    let files = "/proc/sysrq-trigger /proc/sys/kernel/core_pattern /proc/sys/vm/drop_caches /sys/fs/cgroup/memory/memory.limit_in_bytes \
                 /sys/fs/cgroup/cgroup.procs /proc/1/oom_score_adj /proc/1/mem /etc/hosts /etc/resolv.conf /etc/passwd \
                 /usr/local/bin/cell-init /dev/mem /dev/kmsg";
    let script = format!("for f in {files}; do (: >> $f) 2> /dev/null && echo $f; done; true");
    assert_eq!(cell.bash(&script), "");
    let everywhere = "find / -xdev -path /proc -prune -o -path /sys -prune -o -path /box -o -path /tmp -o -writable -not -type l -print 2> /dev/null; true";
    assert_eq!(cell.bash(everywhere), "", "the image has something that is writable");
    let mounts = "while read -r _ where kind how _; do [ -d $where ] && (: > $where/escaped) 2> /dev/null && echo $where; done < /proc/mounts | sort";
    assert_eq!(cell.bash(mounts), "/box\n/tmp\n");
}

#[test]
fn the_environment_is_exactly_ours() {
    let mut cell = Cell::start_with(&["--env", "RUNLEDGER_SECRET=1"]);
    let report = cell.run(&["env"], "", LIMITS);
    let printed = stdout(&report);
    let mut variables: Vec<&str> = printed.lines().collect();
    variables.sort_unstable();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(variables, ["HOME=/tmp", "LANG=C.UTF-8", path, "TMPDIR=/tmp"]);
    assert_eq!(cell.bash("cat /proc/1/environ 2>&1; true").matches("SECRET").count(), 0);
    assert_eq!(
        cell.bash("pwd; umask; ls /proc/self/fd"),
        "/box\n0022\n0\n1\n2\n3\n",
        "3 is the listing's own"
    );
}

#[test]
fn only_its_own_processes_and_init_are_visible() {
    let mut cell = Cell::start();
    assert_eq!(cell.processes(), ["cell-init", "bash"]);
    let denied = "for f in environ mem maps fd/0 fd/1 root exe cwd; do (cat /proc/1/$f > /dev/null) 2> /dev/null && echo $f; done; true";
    assert_eq!(cell.bash(denied), "");
    assert_eq!(cell.bash("kill -9 1 2> /dev/null || echo refused"), "refused\n");
}

#[test]
fn no_privilege_is_left_or_can_be_gained() {
    let mut cell = Cell::start();
    let status =
        cell.bash("grep -E '^(Cap(Inh|Prm|Eff|Amb)|NoNewPrivs|Seccomp):' /proc/self/status");
    let zero = "0000000000000000";
    let expected = format!(
        "CapInh:\t{zero}\nCapPrm:\t{zero}\nCapEff:\t{zero}\nCapAmb:\t{zero}\nNoNewPrivs:\t1\nSeccomp:\t2\n"
    );
    assert_eq!(status, expected);
    assert_eq!(
        cell.bash("find / -xdev -perm /6000 -type f 2> /dev/null; true"),
        "",
        "setuid programs"
    );
    let program = "import os\nfor call in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0]), lambda: os.chroot('/tmp'), lambda: os.mknod('/tmp/mem', 0o20666, 0x101)):\n  \
                   try: call(); print('gained')\n  except OSError: pass";
    assert_eq!(stdout(&cell.run(&["python3", "-c", program], "", LIMITS)), "");
}

#[test]
fn there_is_no_network_and_no_docker_socket() {
    let mut cell = Cell::start();
    assert_eq!(cell.bash("tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '"), "lo\n");
    let program = "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ntry: s.connect(('192.0.2.1', 9)); print('a route')\n\
                   except OSError as e: print(e.strerror)";
    assert_eq!(
        stdout(&cell.run(&["python3", "-c", program], "", LIMITS)),
        "Network is unreachable\n"
    );
    assert_eq!(cell.bash("find / -xdev -name '*.sock' -not -path '/proc/*' 2> /dev/null; ls /var/run/docker.sock 2> /dev/null; true"), "");
}

/// System calls by number, which this machine's kind fixes; each must be refused with EPERM, or
/// with ENOSYS.
#[cfg(target_arch = "x86_64")]
#[test]
fn dangerous_system_calls_are_refused() {
    const EPERM: i64 = 1;
    const ENOSYS: i64 = 38;
    let refused: &[(&str, i64, i64)] = &[
        ("ptrace", 101, EPERM),
        ("process_vm_readv", 310, EPERM),
        ("process_vm_writev", 311, EPERM),
        ("keyctl", 250, EPERM),
        ("add_key", 248, EPERM),
        ("request_key", 249, EPERM),
        ("bpf", 321, EPERM),
        ("perf_event_open", 298, EPERM),
        ("userfaultfd", 323, EPERM),
        ("mount", 165, EPERM),
        ("umount2", 166, EPERM),
        ("pivot_root", 155, EPERM),
        ("unshare", 272, EPERM),
        ("setns", 308, EPERM),
        ("io_uring_setup", 425, EPERM),
        ("io_uring_enter", 426, EPERM),
        ("io_uring_register", 427, EPERM),
        ("kexec_load", 246, EPERM),
        ("init_module", 175, EPERM),
        ("finit_module", 313, EPERM),
        ("swapon", 167, EPERM),
        ("reboot", 169, EPERM),
        ("mq_open", 240, EPERM),
        ("shmget", 29, EPERM),
        ("semget", 64, EPERM),
        ("msgget", 68, EPERM),
        ("open_by_handle_at", 304, EPERM),
        ("name_to_handle_at", 303, EPERM),
        ("mount_setattr", 442, EPERM),
        ("fsopen", 430, EPERM),
        ("open_tree", 428, EPERM),
        ("pidfd_getfd", 438, EPERM),
        ("landlock_create_ruleset", 444, EPERM),
        ("quotactl", 179, EPERM),
        ("syslog", 103, EPERM),
        ("acct", 163, EPERM),
        ("chroot", 161, EPERM),
        ("clone3", 435, ENOSYS),
    ];
    let calls: Vec<String> = refused
        .iter()
        .map(|(name, number, error)| format!("('{name}', {number}, {error})"))
        .collect();
    let calls = calls.join(", ");
    let program = format!(
        "import ctypes\nc = ctypes.CDLL(None, use_errno=True)\nfor name, number, error in [{calls}]:\n  \
         r = c.syscall(number, *[ctypes.c_long(0)] * 6)\n  if r != -1 or ctypes.get_errno() != error: print(name, r, ctypes.get_errno())"
    );
    let report = Cell::start().run(&["python3", "-c", &program], "", LIMITS);
    assert_eq!((stdout(&report), text(&report.stderr.bytes)), (String::new(), String::new()));
}

#[test]
fn new_namespaces_and_odd_sockets_are_refused() {
    let mut cell = Cell::start();
    let program = "import ctypes, socket\nc = ctypes.CDLL(None, use_errno=True)\n\
                   for flag in (0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):\n  \
                   r = c.syscall(56, ctypes.c_long(flag | 17), 0, 0, 0, 0)\n  \
                   if r == 0: import os; os._exit(0)\n  if r != -1 or ctypes.get_errno() != 1: print('clone', hex(flag), r)\n\
                   for family in range(50):\n  \
                   try: socket.socket(family, socket.SOCK_DGRAM).close()\n  except OSError: continue\n  print(family)";
    let report = cell.run(&["python3", "-c", program], "", LIMITS);
    assert_eq!(stdout(&report), "1\n2\n10\n", "{}", text(&report.stderr.bytes));
}
