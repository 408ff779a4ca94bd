//! Environment variables and child processes.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions};
#[cfg(not(target_os = "openbsd"))]
use rustix::process::{WaitId, WaitIdOptions};

use super::errno::retry;
use crate::sys::failure::{Failure, Reason, Result};
use crate::sys::platform::Confinement;

/// The name of an environment variable.
pub(crate) type EnvKey = OsString;

/// Options for spawning that only Unix has.
#[derive(Clone, Default)]
pub(crate) struct SpawnOptions {
    pub(crate) process_group: Option<i32>,
    /// Leaves the action for SIGPIPE as it is.
    pub(crate) keep_sigpipe: bool,
    /// Each takes more from the child.
    pub(crate) confinements: Vec<Arc<Confinement>>,
}

impl SpawnOptions {
    /// Confines this process, for ever. Allocates nothing.
    pub(crate) fn confine(&self) -> std::result::Result<(), Errno> {
        self.confinements.iter().try_for_each(|confinement| confinement.enter())
    }

    /// Returns whether the program can read only what is named.
    pub(crate) fn is_sealed_off(&self) -> bool {
        self.confinements.iter().any(|confinement| confinement.is_sealed_off())
    }
}

/// Returns the number of a process id.
pub(crate) fn number_of(pid: Pid) -> u32 {
    pid.as_raw_nonzero().get().unsigned_abs()
}

/// Waits for a child that has not been waited for; without `block`, returns `None` while it runs.
pub(crate) fn wait_for(pid: Pid, block: bool) -> Result<Option<ExitStatus>> {
    let options = if block { WaitOptions::empty() } else { WaitOptions::NOHANG };
    loop {
        let waited = retry(|| rustix::process::waitpid(Some(pid), options)).map_err(|errno| match errno {
            Errno::CHILD => Failure::new(Reason::AlreadyWaitedFor, errno),
            errno => errno.into(),
        })?;
        match waited {
            // A child that made this process its tracer, and stopped, has not ended.
            Some((_, status)) if status.stopped() => stop_tracing(pid, status.stopping_signal()),
            waited => return Ok(waited.map(|(_, status)| ExitStatus::from_raw(status.as_raw()))),
        }
    }
}

/// Lets a child go on that asked to be traced by this process (`PTRACE_TRACEME`), with the signal that stopped it. Does nothing
/// if another thread of this process is the tracer: the child then stays stopped, and can be killed.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[allow(unsafe_code)]
fn stop_tracing(pid: Pid, signal: Option<i32>) {
    // After its exec, which would kill it.
    let signal = signal.filter(|signal| *signal != libc::SIGTRAP).unwrap_or(0);
    // SAFETY: The call takes plain numbers.
    unsafe { libc::ptrace(libc::PTRACE_DETACH, pid.as_raw_nonzero().get(), 0, signal) };
}

/// Does nothing: the next wait tells more.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn stop_tracing(_: Pid, _: Option<i32>) {}

/// Kills a process that is a child of this one. Between the check and the signal, code that waits for the child in another
/// thread could free its id.
pub(crate) fn kill_child(pid: Pid) -> Result<()> {
    // OpenBSD has no call that checks it.
    #[cfg(not(target_os = "openbsd"))]
    check_child(WaitId::Pid(pid))?;
    Ok(rustix::process::kill_process(pid, Signal::KILL)?)
}

/// Checks that a process is a child that has not been waited for, without waiting.
#[cfg(not(target_os = "openbsd"))]
#[allow(clippy::needless_pass_by_value)] // The call takes it by value, once an attempt.
pub(crate) fn check_child(id: WaitId<'_>) -> Result<()> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match retry(|| rustix::process::waitid(id.clone(), options)) {
        Ok(_) => Ok(()),
        Err(Errno::CHILD) => Err(Failure::new(Reason::AlreadyWaitedFor, Errno::CHILD)),
        Err(errno) => Err(errno.into()),
    }
}

/// Calls `before` in this thread before each fork(2) of this process, and `after` in the parent and in the child, see
/// `pthread_atfork(3)`. A spawn that doesn't copy the process calls neither.
#[allow(unsafe_code)]
pub(crate) fn on_fork(before: extern "C" fn(), after: extern "C" fn()) {
    // It can only fail for lack of memory, and then a forked child may block as if it were not called.
    // SAFETY: The functions are valid for the life of the process, or until the C library removes them at dlclose(3).
    unsafe { libc::pthread_atfork(Some(before), Some(after), Some(after)) };
}

/// Reads two streams to their ends, both at once: a child may block for ever while one of them is full.
pub(crate) fn gather(streams: [Option<OwnedFd>; 2]) -> io::Result<[Vec<u8>; 2]> {
    let mut files = streams.map(|stream| stream.map(File::from));
    let mut gathered = [Vec::new(), Vec::new()];
    let mut buffer = vec![0; 64 << 10];
    loop {
        let open: Vec<_> = (0..2).filter(|index| files[*index].is_some()).collect();
        if open.is_empty() {
            return Ok(gathered);
        }
        let mut polled: Vec<_> = files.iter().flatten().map(|file| PollFd::new(file, PollFlags::IN)).collect();
        retry(|| rustix::event::poll(&mut polled, None))?;
        let ready: Vec<_> = polled.iter().map(|polled| !polled.revents().is_empty()).collect();
        for (index, _) in open.into_iter().zip(ready).filter(|(_, ready)| *ready) {
            let Some(file) = &mut files[index] else { continue };
            match file.read(&mut buffer) {
                Ok(0) => files[index] = None,
                Ok(read) => gathered[index].extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
