//! Waiting for a number to change, as the kernel shows it.

use std::fs;
use std::thread;
use std::time::Duration;

use heirloom::{Child, Region};
use heirloom_conformance::{emulated, output, skip};

use crate::child;

/// Returns once a child sleeps in the call that waits for a number.
fn until_asleep(child: &Child) {
    let call = format!("/proc/{}/syscall", child.id());
    while !fs::read_to_string(&call).unwrap().starts_with(&format!("{} ", libc::SYS_futex)) {
        thread::yield_now();
    }
}

#[test]
fn change_is_seen_without_a_wake() {
    if emulated() {
        return skip("the kernel shows the emulator's calls");
    }
    let (answers, questions) = (Region::create(4096).unwrap(), Region::create(4096).unwrap());
    let (asked, answered) = (questions.map().unwrap(), answers.map().unwrap());
    let mut command = child(&["answer", "region:questions", "1"]);
    command.inherit("answers", &answers).unwrap().inherit("questions", &questions).unwrap();
    let mut child = command.spawn().unwrap();
    until_asleep(&child);
    asked.atomic_u32(0).unwrap().store(1);
    assert_eq!(answered.wait_timeout(0, 0, Duration::from_secs(60)).unwrap(), Some(1));
    assert!(child.wait().unwrap().success());
}

#[test]
fn signals_do_not_end_a_wait() {
    assert_eq!(output(&mut child(&["wait-under-signals"])), "None after 50 signals or more\n");
}

#[test]
fn waiting_takes_no_processor_time() {
    assert_eq!(output(&mut child(&["wait-idle"])), "None in at most 20 ms\n");
}

#[test]
fn sandbox_without_futex_is_an_error() {
    if emulated() {
        return skip("the emulator has no seccomp");
    }
    let refused = "this system or sandbox can't wait for a number in this mapping: wait for a byte in a pipe instead";
    let expected = format!(
        "Unsupported cannot wait for the number at offset 4: Operation not permitted (os error 1); {refused}\n\
         Unsupported cannot wake the waiters of the number at offset 4: Operation not permitted (os error 1); {refused}\n"
    );
    assert_eq!(output(&mut child(&["wait-without-futex"])), expected);
}
