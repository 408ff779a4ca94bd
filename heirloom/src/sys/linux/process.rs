//! Child processes, by process id or pidfd.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::process::ExitStatus;
use std::ptr;

use rustix::io::Errno;
use rustix::process::{Pid, WaitId};

use crate::sys::failure::{Failure, Reason, Result};
use crate::sys::unix::fd::duplicate;
use crate::sys::unix::process::{check_child, kill_child, number_of, wait_for};

/// A child.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    hold: Hold,
}

/// Why the process id can't be another process's.
#[derive(Debug)]
enum Hold {
    /// The kernel keeps the id until this process waits for the child, which is checked before each use.
    UntilWaitedFor,
    /// The kernel frees the id when the child ends, since SIGCHLD is ignored, but a pidfd never refers to another process.
    Pidfd(OwnedFd),
    /// The child has ended, and its id is free.
    Ended,
}

impl Process {
    /// Represents a child that was just started.
    pub(crate) fn new(pid: Pid) -> Self {
        let hold = match ends_without_wait().then(|| open_pidfd(pid)) {
            Some(Ok(pidfd)) => Hold::Pidfd(pidfd),
            Some(Err(Failure { reason: Reason::AlreadyWaitedFor, .. })) => Hold::Ended,
            // Linux before 5.3, or no descriptor is left: the check is all there is.
            Some(Err(_)) | None => Hold::UntilWaitedFor,
        };
        Self { pid, hold }
    }

    pub(crate) fn id(&self) -> u32 {
        number_of(self.pid)
    }

    /// Returns a new pidfd, which surely refers to this child.
    pub(crate) fn pidfd(&self) -> Result<OwnedFd> {
        match &self.hold {
            Hold::Pidfd(pidfd) => Ok(duplicate(pidfd)?),
            Hold::Ended => Err(Failure::new(Reason::AlreadyWaitedFor, Errno::SRCH)),
            Hold::UntilWaitedFor => {
                let pidfd = open_pidfd(self.pid)?;
                match check_child_of(&pidfd) {
                    // Linux 5.3 has pidfds that waitid(2) doesn't know.
                    Err(failure) if failure.os.raw_os_error() == Some(libc::EINVAL) => {
                        check_child(WaitId::Pid(self.pid))
                    }
                    checked => checked,
                }?;
                Ok(pidfd)
            }
        }
    }
}

pub(crate) fn wait(process: &Process, block: bool) -> Result<Option<ExitStatus>> {
    wait_for(process.pid, block)
}

/// Kills a child that has not been waited for, and never another process that got its id.
pub(crate) fn kill(process: &Process) -> Result<()> {
    // The held one, since there may be no descriptor left for another.
    if let Hold::Pidfd(pidfd) = &process.hold {
        return kill_by(pidfd);
    }
    match process.pidfd() {
        Ok(pidfd) => kill_by(&pidfd),
        // Linux before 5.3, or no descriptor is left.
        Err(Failure { reason: Reason::OutOfDescriptors, .. }) => kill_child(process.pid),
        Err(failure) if failure.os.raw_os_error() == Some(libc::ENOSYS) => kill_child(process.pid),
        Err(failure) => Err(failure),
    }
}

/// Checks that a pidfd refers to a child that has not been waited for, without waiting.
fn check_child_of(pidfd: &OwnedFd) -> Result<()> {
    // From waitid(2); rustix doesn't have it on Android.
    const P_PIDFD: libc::idtype_t = 3;
    let number = pidfd.as_raw_fd().unsigned_abs();
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    let mut info = MaybeUninit::<libc::siginfo_t>::uninit();
    loop {
        // SAFETY: The call takes plain numbers, and fills in `info`, which lives during the call.
        if unsafe { libc::waitid(P_PIDFD, number, info.as_mut_ptr(), options) } == 0 {
            return Ok(());
        }
        let failure = last_failure();
        if failure.os.kind() != io::ErrorKind::Interrupted {
            return Err(failure);
        }
    }
}

fn kill_by(pidfd: &OwnedFd) -> Result<()> {
    let (number, signal, info) = (pidfd.as_raw_fd(), libc::SIGKILL, ptr::null::<libc::siginfo_t>());
    // SAFETY: The call takes plain numbers, and a null pointer for the default signal information.
    match unsafe { libc::syscall(libc::SYS_pidfd_send_signal, number, signal, info, 0) } {
        0 => Ok(()),
        _ => Err(last_failure()),
    }
}

/// Opens a descriptor that becomes readable when the process ends, see `pidfd_open(2)`.
fn open_pidfd(pid: Pid) -> Result<OwnedFd> {
    // rustix doesn't have the call on Android.
    // SAFETY: The call takes plain numbers and returns a new descriptor, close-on-exec, or -1.
    let number = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw_nonzero().get(), 0) };
    match RawFd::try_from(number) {
        // SAFETY: The kernel has just created this descriptor, so nothing else owns it.
        Ok(number) if number >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(number) }),
        _ => Err(last_failure()),
    }
}

/// Returns why the last call on a child failed.
fn last_failure() -> Failure {
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ESRCH | libc::ECHILD) => Failure::new(Reason::AlreadyWaitedFor, error),
        _ => error.into(),
    }
}

/// Returns whether children of this process end without a wait: a process inherits an ignored SIGCHLD, see `sigaction(2)`.
fn ends_without_wait() -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: Without a new action, the call only fills in the current one; it can't fail for SIGCHLD.
    let action = unsafe {
        libc::sigaction(libc::SIGCHLD, ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN || action.sa_flags & libc::SA_NOCLDWAIT != 0
}
