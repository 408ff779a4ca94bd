//! G11, a wait is never lost: a holder that only reads takes the wakes of the others away, and they see the change all the same.

#![allow(unsafe_code)]

use std::io::{BufRead, BufReader};
use std::ptr;
use std::thread;
use std::time::Duration;

use heirloom::{Region, Stdio};
use heirloom_conformance::{emulated, skip};
use rustix::io::Errno;

use crate::child;

/// Waits for the number at the start of a mapping as `futex(2)` does it, without looking again before the timeout.
fn wait_without_looking_again(address: usize) -> Errno {
    let timeout: [libc::c_long; 2] = [3, 0];
    // SAFETY: The kernel reads the number and the timeout, which lives during the call.
    let answer = unsafe { libc::syscall(libc::SYS_futex, address, libc::FUTEX_WAIT, 0, &raw const timeout) };
    assert_eq!(answer, -1);
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap()
}

#[test]
fn g11_reader_that_takes_wakes_only_delays_others() {
    if emulated() {
        return skip("the emulator has its own queues of waiters");
    }
    let answers = Region::create(4096).unwrap();
    let (numbers, writer) = Region::create(4096).unwrap().into_read_only().unwrap();
    let mut hostile = child(&["take-wakes", "numbers"]);
    hostile.inherit("numbers", &numbers).unwrap().stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut hostile = hostile.spawn().unwrap();
    let mut taken = BufReader::new(hostile.stdout.take().unwrap()).lines();
    let mut next_is_taken = || assert_eq!(taken.next().unwrap().unwrap(), "1 taken");

    // Control: who trusts in the wake hears nothing of it.
    let address = writer.as_mut_ptr().expose_provenance();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| wait_without_looking_again(address));
        next_is_taken();
        // SAFETY: The kernel only takes note of the address.
        let woken = unsafe { libc::syscall(libc::SYS_futex, address, libc::FUTEX_WAKE, i32::MAX, ptr::null::<u8>()) };
        assert_eq!((woken, waiter.join().unwrap()), (0, Errno::TIMEDOUT));
    });

    let answered = answers.map().unwrap();
    let mut command = child(&["answer", "read-only:numbers", "2"]);
    let mut waiter =
        command.inherit("numbers", &numbers).unwrap().inherit("answers", &answers).unwrap().spawn().unwrap();
    for number in [1, 2] {
        next_is_taken();
        writer.atomic_u32(0).unwrap().store(number);
        writer.wake_all(0).unwrap();
        assert_eq!(answered.wait_timeout(0, number - 1, Duration::from_secs(60)).unwrap(), Some(number));
    }
    assert!(waiter.wait().unwrap().success());
    drop(hostile.stdin.take());
    assert!(hostile.wait().unwrap().success());
}
