//! Signals, one after the other, in the place of handlers.

#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, kill, signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getpgid};

use crate::failure::Failure;

/// What is passed on to the workers.
const PASSED_ON: [Signal; 6] =
    [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGUSR2];

pub struct Signals {
    waiting: SignalFd,
    before: SigSet,
}

pub enum Event {
    /// One or more children changed.
    Child,
    /// Somebody sent this process alone a signal.
    Sent(Signal),
    /// The terminal sent it, to this process's whole group.
    ToGroup(Signal),
}

impl Signals {
    /// From now on signals wait to be asked for. Programs that are started don't notice.
    pub fn gather() -> Result<Self, Failure> {
        // SAFETY: The default action runs no code of this process. Where the parent ignored SIGCHLD, the kernel would
        // forget how the workers ended.
        unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }.map_err(failed)?;
        let mut set: SigSet = PASSED_ON.into_iter().collect();
        set.add(Signal::SIGCHLD);
        let before = set.thread_swap_mask(SigmaskHow::SIG_BLOCK).map_err(failed)?;
        let waiting = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC).map_err(failed)?;
        Ok(Self { waiting, before })
    }

    /// From now on, when no worker is left, they do to this process what they do to any.
    pub fn release(self) -> Result<(), Failure> {
        // SAFETY: To ignore it runs no code of this process. A file that grows past the limit is an error that is told.
        let ignored = unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) };
        ignored.and_then(|_| self.before.thread_set_mask()).map_err(failed)
    }

    pub fn next(&self) -> Result<Event, Failure> {
        let info = loop {
            match self.waiting.read_signal() {
                Ok(Some(info)) => break info,
                Ok(None) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(failed(errno)),
            }
        };
        let number = i32::try_from(info.ssi_signo).unwrap_or_default();
        Ok(match Signal::try_from(number).map_err(failed)? {
            Signal::SIGCHLD => Event::Child,
            // A code above zero says that the kernel sent it, which it does for the terminal, to the whole group.
            signal if info.ssi_code > 0 => Event::ToGroup(signal),
            signal => Event::Sent(signal),
        })
    }
}

fn failed(errno: Errno) -> Failure {
    Failure::new(format_args!("cannot wait for signals: {errno}"))
}

/// Whether a child is in this process's own group, and so gets what the terminal sends to it.
pub fn in_own_group(child: u32) -> bool {
    let child = i32::try_from(child).map(Pid::from_raw).ok();
    child.is_some_and(|child| getpgid(Some(child)) == getpgid(None))
}

/// Passes a signal on to a child that was not waited for.
pub fn pass_on(signal: Signal, child: u32) {
    if let Ok(child) = i32::try_from(child) {
        // It may have ended meanwhile, or be another user's by now: then it is not ours to signal.
        let _ = kill(Pid::from_raw(child), signal);
    }
}
