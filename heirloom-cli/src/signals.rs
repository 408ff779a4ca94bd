//! Signals, one after the other, in the place of handlers.

#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, SigSet, Signal, kill, signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use crate::failure::Failure;

/// What is passed on to the workers.
const PASSED_ON: [Signal; 6] =
    [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGUSR2];

pub struct Signals(SignalFd);

pub enum Event {
    /// One or more children changed.
    Child,
    /// Somebody sent this process alone a signal.
    Sent(Signal),
    /// The kernel or the terminal sent it, to the workers too.
    Elsewhere,
}

impl Signals {
    /// From now on signals wait to be asked for. Programs that are started don't notice.
    pub fn gather() -> Result<Self, Failure> {
        let failed = |errno: Errno| Failure::new(format_args!("cannot wait for signals: {errno}"));
        // SAFETY: The default action runs no code of this process. Where the parent ignored SIGCHLD, the kernel would
        // forget how the workers ended.
        unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }.map_err(failed)?;
        let mut set: SigSet = PASSED_ON.into_iter().collect();
        set.add(Signal::SIGCHLD);
        set.thread_block().map_err(failed)?;
        SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC).map(Self).map_err(failed)
    }

    pub fn next(&self) -> Result<Event, Failure> {
        let info = loop {
            match self.0.read_signal() {
                Ok(Some(info)) => break info,
                Ok(None) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Failure::new(format_args!("cannot wait for signals: {errno}"))),
            }
        };
        let number = i32::try_from(info.ssi_signo).unwrap_or_default();
        Ok(match Signal::try_from(number) {
            Ok(Signal::SIGCHLD) => Event::Child,
            // A code above zero says that the kernel sent it, which it does for the terminal, to the whole group.
            Ok(signal) if info.ssi_code <= 0 => Event::Sent(signal),
            _ => Event::Elsewhere,
        })
    }
}

/// Passes a signal on to a child that was not waited for.
pub fn pass_on(signal: Signal, child: u32) {
    if let Ok(child) = i32::try_from(child) {
        // It may have ended meanwhile, or be another user's by now: then it is not ours to signal.
        let _ = kill(Pid::from_raw(child), signal);
    }
}
