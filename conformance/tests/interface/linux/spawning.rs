//! Starting programs: the child runs in the memory of its parent until it executes its program.

#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::{mem, ptr, thread};

use heirloom::os::linux::CommandExt;
use heirloom::{Command, ErrorKind};
use heirloom_conformance::{emulated, rounds, skip};

use crate::{child, output};

/// Starts programs under signals, and returns how many handlers ran, and how often each outcome was.
fn under_storm(storm: &str, rounds: usize) -> (u64, BTreeMap<String, usize>) {
    let report = output(&mut child(&["spawning", "under-storm", storm, &rounds.to_string()]));
    let lines: Vec<_> = report.lines().collect();
    // None ran in a child, where it would have written into the memory of the parent.
    assert_eq!(lines[1..3], ["0", "no child is left"], "{report}");
    let outcomes = lines[3..].iter().map(|line| line.split_once(' ').unwrap());
    (lines[0].parse().unwrap(), outcomes.map(|(count, outcome)| (outcome.to_owned(), count.parse().unwrap())).collect())
}

#[test]
fn handlers_never_run_in_a_child_that_has_not_executed_its_program() {
    if emulated() {
        return skip("the emulator gives the child a copy of the memory");
    }
    let rounds = rounds(504, 20_000);
    let both = [("/bin/true exit status: 0", rounds), ("/nonexistent/program ProgramNotFound", rounds)];
    let both = both.map(|(outcome, count)| (outcome.to_owned(), count));
    // The control: no signal, no handler.
    assert_eq!(under_storm("none", rounds), (0, BTreeMap::from(both.clone())));
    // Signals that a program without a handler ignores change nothing.
    let (handled, outcomes) = under_storm("harmless", rounds);
    assert!(handled > 100, "{handled}");
    assert_eq!(outcomes, BTreeMap::from(both));
    // Others end a child, also before it has executed its program. It was started then, and its status says so.
    let (handled, outcomes) = under_storm("deadly", rounds);
    assert!(handled > 100, "{handled}");
    for program in ["/bin/true", "/nonexistent/program"] {
        let of_program = || outcomes.iter().filter(|(outcome, _)| outcome.starts_with(program));
        assert_eq!(of_program().map(|(_, count)| count).sum::<usize>(), rounds, "{outcomes:?}");
        for (outcome, _) in of_program() {
            let right = if program == "/bin/true" { "exit status: 0" } else { "ProgramNotFound" };
            assert!(outcome.ends_with(right) || outcome.ends_with("killed by the storm"), "{outcomes:?}");
        }
    }
    assert!(outcomes.contains_key("/bin/true killed by the storm"), "{outcomes:?}");
}

#[test]
fn failed_starts_leave_no_zombie_and_no_descriptor() {
    if emulated() {
        return skip("the library forks there, which the emulator may not survive beside threads");
    }
    let report = output(&mut child(&["spawning", "fail", &rounds(100, 5000).to_string()]));
    assert_eq!(report, "[ProgramNotFound, ProgramNotRunnable, System]\ntrue\nno child is left\n");
}

#[test]
fn programs_start_with_sigchld_ignored() {
    if emulated() {
        return skip(
            "the library forks there by the standard library, which panics if a start fails and SIGCHLD is ignored",
        );
    }
    let report = output(&mut child(&["spawning", "ignoring-sigchld"]));
    let lines: Vec<_> = report.lines().collect();
    for missing in &lines[..2] {
        assert!(missing.starts_with("ProgramNotFound: cannot start \"/nonexistent/program\": "), "{missing}");
    }
    assert_eq!(lines[2..], ["heard", "no child is left"]);
}

#[test]
fn programs_start_from_a_thread_with_a_small_stack() {
    if emulated() {
        return skip("the library forks there, which the emulator may not survive beside threads");
    }
    let start = || {
        let (mut command, mut missing) = (Command::new("true"), Command::new("/nonexistent/program"));
        // Not where it isn't supported.
        let _ = (command.confine().is_ok(), missing.confine().is_ok());
        assert!(command.status().unwrap().success());
        assert_eq!(missing.status().unwrap_err().kind(), ErrorKind::ProgramNotFound);
    };
    // Beyond what the C library takes of it for this thread's variables.
    thread::Builder::new().stack_size(24 << 10).spawn(start).unwrap().join().unwrap();
}

#[test]
fn child_blocks_the_signals_of_the_thread_that_starts_it() {
    if emulated() {
        return skip("the library forks there, which the emulator may not survive beside threads");
    }
    let blocked = |status: &str| -> u64 {
        let set = status.lines().find_map(|line| line.strip_prefix("SigBlk:\t")).unwrap();
        // 32 and 33 are the C library's own.
        u64::from_str_radix(set, 16).unwrap() & !(0b11 << 31)
    };
    let start = |signals: &[i32], confined: bool| {
        // SAFETY: The set lives during the calls, which change the signals of this thread only.
        unsafe {
            let mut set = mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for signal in signals {
                libc::sigaddset(&raw mut set, *signal);
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set, ptr::null_mut());
        }
        let mut command = Command::new("cat");
        command.arg("/proc/self/status");
        if confined {
            let _ = command.confine();
        }
        let childs = blocked(&output(&mut command));
        // It is as before, also after a program that doesn't start.
        assert!(Command::new("/nonexistent/program").status().is_err());
        let own = blocked(&std::fs::read_to_string("/proc/thread-self/status").unwrap());
        assert_eq!(own, signals.iter().fold(0, |set, signal| set | 1 << (signal - 1)));
        (own, childs)
    };
    let cases: [&[i32]; 4] =
        [&[], &[libc::SIGUSR1], &[libc::SIGCHLD, libc::SIGPIPE, libc::SIGTERM], &[libc::SIGRTMAX(), 35]];
    for (signals, confined) in cases.iter().flat_map(|signals| [(signals, false), (signals, true)]) {
        let (own, childs) = thread::scope(|scope| scope.spawn(|| start(signals, confined)).join().unwrap());
        assert_eq!(childs, own, "{signals:?}");
    }
}
