//! Signals, read one after another from a descriptor instead of handled.

#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, kill, signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getpgid};

use crate::failure::Failure;

/// The signals that are forwarded to the workers.
const FORWARDED: [Signal; 6] =
    [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGUSR2];

pub struct Signals {
    waiting: SignalFd,
    before: SigSet,
}

pub enum Event {
    /// One or more children changed state.
    Child,
    /// A process sent the signal to this process alone.
    Sent(Signal),
    /// The terminal sent the signal to this process's whole group.
    ToGroup(Signal),
}

impl Signals {
    /// Blocks the signals, so that [`next`](Self::next) reads them. Children start with none blocked.
    pub fn block() -> Result<Self, Failure> {
        // With SIGCHLD ignored, as a parent may leave it, the kernel would discard the workers' exit statuses.
        // SAFETY: The default action runs no code of this process.
        unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }.map_err(failed)?;
        let mut set: SigSet = FORWARDED.into_iter().collect();
        set.add(Signal::SIGCHLD);
        let before = set.thread_swap_mask(SigmaskHow::SIG_BLOCK).map_err(failed)?;
        let waiting = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC).map_err(failed)?;
        Ok(Self { waiting, before })
    }

    /// Restores the signal mask, when no worker is left, so that signals can end this process.
    pub fn release(self) -> Result<(), Failure> {
        // With SIGXFSZ ignored, a file that exceeds the size limit is an error of the write, which is reported.
        // SAFETY: Ignoring a signal runs no code of this process.
        let ignored = unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) };
        ignored.and_then(|_| self.before.thread_set_mask()).map_err(failed)
    }

    /// Waits for the next signal.
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
            // A code above zero means that the kernel sent it, as it does for the terminal, to the whole group.
            signal if info.ssi_code > 0 => Event::ToGroup(signal),
            signal => Event::Sent(signal),
        })
    }
}

fn failed(errno: Errno) -> Failure {
    Failure::new(format_args!("cannot wait for signals: {errno}"))
}

/// Returns whether a child is in this process's group, and so gets the terminal's signals itself.
pub fn in_own_group(child: u32) -> bool {
    let child = i32::try_from(child).map(Pid::from_raw).ok();
    child.is_some_and(|child| getpgid(Some(child)) == getpgid(None))
}

/// Forwards a signal to a child that was not waited for.
pub fn forward(signal: Signal, child: u32) {
    if let Ok(child) = i32::try_from(child) {
        // This fails if the child has ended or now runs as another user; neither is an error of the command.
        let _ = kill(Pid::from_raw(child), signal);
    }
}
