//! Tells a signal to this process's whole group from one to this process alone.

#![allow(unsafe_code)]

use std::fs;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid, pause};

/// A child that does nothing but stay in this process's group, with every signal blocked: a signal to the group is then
/// pending for it.
///
/// The kernel doesn't say whether a signal was sent to a process or to its group. The workers are in the group as well, so
/// forwarding a signal that the group received would deliver it twice, and many programs take a second SIGTERM as an order
/// to end without saving.
pub struct Group(Option<Pid>);

impl Group {
    /// Starts the child. Without one, because there are too many processes, every signal counts as sent to this process
    /// alone.
    ///
    /// Call it while this process has one thread.
    pub fn watch() -> Self {
        let parent = getpid();
        // Blocked before the fork, so that no signal reaches the child; a signal to this process waits.
        let Ok(before) = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK) else {
            return Self(None);
        };
        // SAFETY: This process has one thread, so the child is a complete copy.
        let forked = unsafe { fork() };
        if matches!(forked, Ok(ForkResult::Child)) {
            let _ = set_pdeathsig(Signal::SIGKILL);
            // It holds no region and no end of a pipe.
            // SAFETY: Nothing in this process uses a descriptor after this.
            unsafe { libc::syscall(libc::SYS_close_range, 0, libc::c_uint::MAX, 0) };
            // The parent may have ended before the call above.
            while getppid() == parent {
                pause();
            }
            // SAFETY: It ends the process without running code of the parent's.
            unsafe { libc::_exit(0) }
        }
        let _ = before.thread_set_mask();
        match forked {
            Ok(ForkResult::Parent { child }) => Self(Some(child)),
            _ => Self(None),
        }
    }

    /// Returns whether the group received a signal since the last call for it.
    pub fn received(&mut self, signal: Signal) -> bool {
        let received = self.0.is_some_and(|child| is_pending(child, signal));
        if received {
            // Nothing takes a pending signal back from another process, so a new child takes over.
            *self = Self::watch();
        }
        received
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A child that was waited for is gone, and its id may be another process's.
        if let Some(child) =
            self.0.filter(|child| waitpid(*child, Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive))
        {
            let _ = kill(child, Signal::SIGKILL);
            let _ = waitpid(child, None);
        }
    }
}

/// Returns whether a signal to the whole process is pending, see `proc_pid_status(5)`.
fn is_pending(process: Pid, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
    let pending = pending.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    pending.is_some_and(|mask| mask >> (signal as u32 - 1) & 1 == 1)
}
