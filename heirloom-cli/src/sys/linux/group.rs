//! Tells a signal to this process's whole group from one to this process alone.

#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, IntoRawFd};
use std::os::unix::net::UnixStream;
use std::ptr;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

/// A child that does nothing but stay in this process's group, and tells which signals it received: those to the group.
///
/// The kernel doesn't say whether a signal was sent to a process or to its group. The workers are in the group as well, so
/// forwarding a signal that the group received would deliver it twice, and many programs take a second SIGTERM as an order
/// to end without saving.
pub struct Group(Option<Member>);

struct Member {
    id: Pid,
    socket: UnixStream,
}

impl Group {
    /// Starts the child. Without one, because there are too many processes, every signal counts as sent to this process
    /// alone.
    ///
    /// Call it while this process has one thread.
    pub fn watch() -> Self {
        let Ok((socket, childs)) = UnixStream::pair() else { return Self(None) };
        // Blocked before the fork, so that no signal ends the child; a signal to this process waits.
        let Ok(before) = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK) else { return Self(None) };
        // SAFETY: This process has one thread, so the child is a complete copy.
        let forked = unsafe { fork() };
        if matches!(forked, Ok(ForkResult::Child)) {
            drop(socket);
            let _ = answer(childs);
            // SAFETY: It ends the process without running code of the parent's.
            unsafe { libc::_exit(0) }
        }
        let _ = before.thread_set_mask();
        match forked {
            Ok(ForkResult::Parent { child }) => Self(Some(Member { id: child, socket })),
            _ => Self(None),
        }
    }

    /// Returns the signals that the group received since the last call, signal 1 as the lowest bit.
    ///
    /// The kernel sends a group's signal to the newest process first, so what this process has received, the child has.
    pub fn received(&mut self) -> u64 {
        let received = self.0.as_ref().map(Member::received);
        if !matches!(received, Some(Ok(_))) {
            self.0 = None;
        }
        received.and_then(Result::ok).unwrap_or_default()
    }
}

impl Member {
    fn received(&self) -> io::Result<u64> {
        let mut mask = [0; 8];
        (&self.socket).write_all(&[0])?;
        // The group may have been stopped, and this process alone continued.
        kill(self.id, Signal::SIGCONT)?;
        (&self.socket).read_exact(&mut mask)?;
        Ok(u64::from_ne_bytes(mask))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // A child that was waited for is gone, and its id may be another process's.
        if waitpid(self.id, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive) {
            let _ = kill(self.id, Signal::SIGKILL);
            let _ = waitpid(self.id, None);
        }
    }
}

/// Answers each byte from the parent with the signals that arrived before it, until the parent has ended.
fn answer(socket: UnixStream) -> io::Result<()> {
    // As standard input it stays open, while everything else is closed: regions, and ends of pipes.
    // SAFETY: Nothing in this process uses another descriptor after this.
    unsafe {
        libc::dup2(socket.into_raw_fd(), 0);
        libc::syscall(libc::SYS_close_range, 1, libc::c_uint::MAX, 0);
    }
    // SAFETY: Descriptor 0 is open, and nothing else owns it.
    let mut socket = unsafe { UnixStream::from_raw_fd(0) };
    loop {
        socket.read_exact(&mut [0])?;
        let mut mask = 0_u64;
        while let Some(signal) = next_pending() {
            mask |= 1 << (signal - 1);
        }
        socket.write_all(&mask.to_ne_bytes())?;
    }
}

/// Takes a pending signal.
fn next_pending() -> Option<c_int> {
    let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: The set and the time are initialized, and no information is asked for.
    let signal = unsafe { libc::sigtimedwait(SigSet::all().as_ref(), ptr::null_mut(), &raw const now) };
    (signal > 0).then_some(signal)
}
