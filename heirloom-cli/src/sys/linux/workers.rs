//! Starts workers, and waits for them.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};

use heirloom::os::unix::CommandExt;
use heirloom::{Child, Command};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, getppid};

use super::destination::Unfinished;
use super::group::Group;
use super::options::{ExecOptions, RunOptions};
use super::signals::{self, Event, Signals, forward, in_own_group};
use crate::failure::Failure;

/// This program, in a child of its own.
const SELF: &str = "/proc/self/exe";

/// Returns the words that start a worker.
pub fn wrap(words: &[OsString], options: &RunOptions) -> Vec<OsString> {
    let mut wrapped = Vec::new();
    if options.kill_on_exit {
        let id = std::process::id().to_string();
        wrapped.extend([SELF, "exec", "--end-with", &id, "--"].map(OsString::from));
    }
    wrapped.extend_from_slice(words);
    wrapped
}

/// Applies the options of `exec` to this process.
pub fn apply(options: &ExecOptions) -> Result<(), Failure> {
    let Some(parent) = options.end_with else { return Ok(()) };
    let set = set_pdeathsig(Signal::SIGKILL);
    set.map_err(|errno| Failure::new(format_args!("cannot end with process {parent}: {errno}")))?;
    // It may have ended before that call.
    if getppid().as_raw() == parent {
        return Ok(());
    }
    Err(Failure::new(format_args!("process {parent} is not the parent of this one")))
}

/// Waits for workers, and forwards signals to them.
pub struct Waiting {
    signals: Signals,
    group: Group,
}

impl Waiting {
    /// Receives signals; call it before the first worker starts.
    pub fn begin() -> Result<Self, Failure> {
        Ok(Self { group: Group::watch(), signals: Signals::receive()? })
    }

    /// Starts a worker, with the signals as the caller of this process left them.
    pub fn start(&self, command: &mut Command) -> Result<heirloom::Result<Child>, Failure> {
        self.signals.as_started(|| command.keep_sigpipe(true).spawn())
    }

    /// Waits for all workers, and returns the status of the first that failed. Calls `report` with the index and status of
    /// each failed one.
    pub fn for_all(
        &mut self,
        workers: Vec<Child>,
        report: impl Fn(usize, ExitStatus),
    ) -> Result<Option<ExitStatus>, Failure> {
        let mut running: Vec<_> = workers.into_iter().enumerate().collect();
        let mut failed = None;
        while !running.is_empty() {
            for event in self.signals.wait(&mut self.group) {
                match event {
                    Event::Child => {
                        while let Some(ended) = ended_child()? {
                            let Some(index) = running.iter().position(|(_, worker)| worker.id() == ended) else {
                                reap(ended);
                                continue;
                            };
                            let (job, mut worker) = running.swap_remove(index);
                            let status = worker.wait()?;
                            if !status.success() {
                                report(job, status);
                                failed = failed.or(Some(status));
                            }
                        }
                    }
                    Event::Sent(signal) => running.iter().for_each(|(_, worker)| forward(signal, worker.id())),
                    Event::ToGroup(signal) => {
                        let outside = running.iter().filter(|(_, worker)| !in_own_group(worker.id()));
                        outside.for_each(|(_, worker)| forward(signal, worker.id()));
                    }
                }
            }
        }
        Ok(failed)
    }

    /// Lets a signal end this process again, when no worker is left.
    pub fn end(self, unfinished: Vec<Unfinished>) -> Result<(), Failure> {
        self.signals.end(move || unfinished.iter().for_each(Unfinished::remove))
    }
}

/// Returns a child that has ended, and leaves it to be waited for.
fn ended_child() -> Result<Option<u32>, Failure> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    match waitid(Id::All, flags) {
        Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) => Ok(u32::try_from(pid.as_raw()).ok()),
        Ok(_) | Err(nix::errno::Errno::ECHILD) => Ok(None),
        Err(errno) => Err(Failure::new(format_args!("cannot wait for workers: {errno}"))),
    }
}

/// Waits for a child that is no worker: as process 1 of a container, this process gets every orphan.
fn reap(child: u32) {
    if let Ok(child) = i32::try_from(child) {
        let _ = waitpid(Pid::from_raw(child), None);
    }
}

/// Returns the number of the signal that killed a program.
pub fn killed_by(status: ExitStatus) -> Option<i32> {
    status.signal()
}

/// Ends as a failed worker did: by its exit code, or by the signal if the user interrupted it, so that a shell's loop ends
/// too.
pub fn end_like(status: ExitStatus) -> ExitCode {
    if let Some(signal) = status.signal().filter(|signal| [libc::SIGINT, libc::SIGQUIT].contains(signal)) {
        return signals::die_of(signal).into();
    }
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
}
