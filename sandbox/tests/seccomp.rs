//! The seccomp profile's form: what Docker takes, and the rules that the real cells' tests cannot
//! see one by one.

use std::collections::BTreeSet;

use sandbox::SECCOMP_PROFILE;

/// Calls that reach into other processes, the kernel or the machine, or share between cells.
const DANGEROUS: &str = "
    ptrace process_vm_readv process_vm_writev kcmp keyctl add_key request_key bpf perf_event_open
    userfaultfd mount umount umount2 move_mount mount_setattr open_tree fsopen fsconfig fsmount
    fspick pivot_root chroot unshare setns clone3 io_uring_setup io_uring_enter io_uring_register
    kexec_load kexec_file_load init_module finit_module delete_module create_module swapon swapoff
    reboot mq_open mq_unlink shmget shmat shmctl shmdt semget semop semctl msgget msgsnd msgrcv
    msgctl ipc socketcall open_by_handle_at name_to_handle_at quotactl quotactl_fd acct syslog
    settimeofday clock_settime clock_adjtime adjtimex stime sethostname setdomainname iopl ioperm
    modify_ldt vm86 vm86old lookup_dcookie nfsservctl vhangup fanotify_init migrate_pages move_pages
    mbind set_mempolicy get_mempolicy pidfd_getfd process_madvise memfd_secret
    landlock_create_ruleset seccomp _sysctl sysfs uselib ustat
";

fn names(action: &str) -> BTreeSet<String> {
    let profile: serde_json::Value = serde_json::from_str(SECCOMP_PROFILE).expect("JSON");
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    let rules = profile["syscalls"].as_array().expect("rules");
    let rules = rules.iter().filter(|rule| rule["action"] == action);
    let names = rules.flat_map(|rule| rule["names"].as_array().expect("names"));
    names.map(|name| name.as_str().expect("a name").to_owned()).collect()
}

#[test]
fn only_listed_calls_are_allowed() {
    let allowed = names("SCMP_ACT_ALLOW");
    for call in DANGEROUS.split_whitespace() {
        assert!(!allowed.contains(call), "{call} is allowed");
    }
    let needed = "execve setuid setgid setgroups kill memfd_create futex clone socket";
    for call in needed.split_whitespace() {
        assert!(allowed.contains(call), "{call} is not allowed, and cells need it");
    }
    assert_eq!(names("SCMP_ACT_ERRNO"), BTreeSet::from(["clone3".to_owned()]));
}

#[test]
fn calls_with_dangerous_arguments_are_only_allowed_with_conditions() {
    let profile: serde_json::Value = serde_json::from_str(SECCOMP_PROFILE).expect("JSON");
    for rule in profile["syscalls"].as_array().expect("rules") {
        let conditional = ["clone", "socket", "personality"];
        let named = rule["names"].as_array().expect("names").iter();
        let needs = named.filter_map(|name| name.as_str()).any(|name| conditional.contains(&name));
        let has = rule["args"].as_array().is_some_and(|arguments| !arguments.is_empty());
        assert_eq!(needs, has, "{rule}");
    }
}
