//! Stops a child after any number of instructions. See `ptrace(2)`.

use std::ptr;

use heirloom::Child;

use crate::rounds;

/// What a child did during some instructions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stopped {
    /// It is in the middle of its operation.
    Within,
    /// It has finished it.
    Finished,
}

/// Lets the parent trace this process, and stops. Then the operation to trace begins.
///
/// # Panics
/// If it can't be traced.
pub fn begin() {
    // SAFETY: Both calls take plain numbers.
    unsafe {
        assert_eq!(libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0), 0);
        libc::raise(libc::SIGSTOP);
    }
}

/// Ends the operation to trace: stops again.
pub fn end() {
    // SAFETY: The call takes a plain number.
    unsafe { libc::raise(libc::SIGUSR1) };
}

/// Stops children at many points of an operation: after about one of `points` parts of its instructions, or after each
/// instruction if `HEIRLOOM_FULL` is set, until a child has finished. `start` starts a child that calls [`begin`] and [`end`].
/// `stopped` gets what `start` returned and the number of instructions, and kills the child. Returns the number of all instructions.
///
/// # Panics
/// If a child ends by itself.
pub fn at_every_instruction<T>(
    points: usize,
    mut start: impl FnMut() -> (Child, T),
    mut stopped: impl FnMut(Child, T, usize),
) -> usize {
    let (child, peer) = start();
    until_stopped(&child);
    let mut length = 1;
    while steps(&child, 1) == Stopped::Within {
        length += 1;
    }
    stopped(child, peer, length);
    let mut instructions = 0;
    loop {
        let (child, peer) = start();
        until_stopped(&child);
        let progress = steps(&child, instructions);
        stopped(child, peer, instructions);
        if progress == Stopped::Finished {
            return length;
        }
        instructions += rounds(length / points, 1);
    }
}

/// Waits until the child has called [`begin`]. For the thread that started it.
fn until_stopped(child: &Child) {
    assert_eq!(stop(child), libc::SIGSTOP);
}

/// Lets the child execute some instructions.
fn steps(child: &Child, instructions: usize) -> Stopped {
    let process = libc::pid_t::try_from(child.id()).unwrap();
    for _ in 0..instructions {
        // SAFETY: The child is stopped, and the call takes plain numbers.
        assert_eq!(unsafe { libc::ptrace(libc::PTRACE_SINGLESTEP, process, 0, 0) }, 0);
        if stop(child) == libc::SIGUSR1 {
            return Stopped::Finished;
        }
    }
    Stopped::Within
}

/// Waits until the child stops, and returns the signal.
fn stop(child: &Child) -> libc::c_int {
    let process = libc::pid_t::try_from(child.id()).unwrap();
    let mut status = 0;
    // SAFETY: The call writes the status only.
    assert_eq!(unsafe { libc::waitpid(process, ptr::addr_of_mut!(status), 0) }, process);
    assert!(libc::WIFSTOPPED(status), "{status:x}");
    libc::WSTOPSIG(status)
}
