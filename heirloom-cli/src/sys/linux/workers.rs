//! Starts workers, and waits for them.

use std::ffi::{OsString, c_int};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};

use heirloom::os::unix::CommandExt;
use heirloom::{Child, Command};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, getppid};

use super::confinement::{ConfinementOptions, confine};
use super::destination::Unfinished;
use super::group::Group;
use super::options::{ExecOptions, RunOptions};
use super::signals::{self, Awaited, Event, Signals, forward, in_own_group, takes};
use crate::failure::Failure;

/// This program, in a child of its own.
const SELF: &str = "/proc/self/exe";

/// Returns the words that start a worker.
pub fn wrap(words: &[OsString], options: &RunOptions, confinement: &ConfinementOptions) -> Vec<OsString> {
    let mut wrapped = Vec::new();
    if options.kill_on_exit {
        let id = std::process::id().to_string();
        wrapped.extend([SELF, "exec", "--end-with", &id].map(OsString::from));
        wrapped.extend(confinement.words());
        wrapped.push("--".into());
    }
    wrapped.extend_from_slice(words);
    wrapped
}

/// Confines a worker, unless it is wrapped: then it does so itself, since it could not read this program.
pub fn confine_worker(
    command: &mut Command,
    options: &RunOptions,
    confinement: &ConfinementOptions,
) -> Result<(), Failure> {
    if options.kill_on_exit { Ok(()) } else { confine(command, confinement) }
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

/// Starts workers, waits for them, and forwards signals to them.
pub struct Waiting {
    signals: Signals,
    group: Group,
    /// The workers that were not waited for, each with its index.
    running: Vec<(usize, Child)>,
    started: usize,
    /// Whether the kernel told of children that ended, and they were not waited for.
    children: bool,
}

/// What ended a wait.
pub struct Woken {
    /// The workers that have ended, each with its index.
    pub ended: Vec<(usize, ExitStatus)>,
    /// A signal that asks this process to end.
    pub interrupted: Option<c_int>,
}

impl Waiting {
    /// Receives signals; call it before the first worker starts.
    pub fn begin() -> Result<Self, Failure> {
        Ok(Self {
            group: Group::watch(),
            signals: Signals::receive()?,
            running: Vec::new(),
            started: 0,
            children: false,
        })
    }

    /// Starts a worker, with the signals as the caller of this process left them.
    pub fn start(&mut self, command: &mut Command) -> Result<heirloom::Result<()>, Failure> {
        let started = self.signals.as_started(|| command.keep_sigpipe(true).spawn())?;
        Ok(started.map(|worker| {
            self.running.push((self.started, worker));
            self.started += 1;
        }))
    }

    /// Forwards the signals that arrived while workers were started. Returns the number of one that asks this process to
    /// end: no further worker is to be started.
    pub fn interrupted(&mut self) -> Option<c_int> {
        let mut interrupted = None;
        for event in self.signals.pending(&mut self.group) {
            if let Event::ToGroup(signal) = event {
                // The newest worker may have been started after the signal. If it may have been before, a second one
                // changes nothing as long as the program has not set up how to take it.
                let newest = self.running.last().map(|(_, newest)| newest.id());
                if let Some(newest) = newest.filter(|id| in_own_group(*id) && !takes(*id, signal)) {
                    forward(signal, newest);
                }
            }
            interrupted = self.take(&event).or(interrupted);
        }
        interrupted
    }

    /// Forwards a signal, and returns its number if it asks this process to end.
    fn take(&mut self, event: &Event) -> Option<c_int> {
        let signal = match event {
            Event::Child => {
                self.children = true;
                return None;
            }
            Event::Sent(signal) => {
                self.forward(*signal);
                *signal
            }
            Event::ToGroup(signal) => {
                self.forward_outside(*signal);
                *signal
            }
        };
        (!matches!(signal, Signal::SIGUSR1 | Signal::SIGUSR2)).then_some(signal as c_int)
    }

    /// Waits for all workers, and returns the status of the first that failed. Calls `report` with the index and status of
    /// each failed one.
    pub fn for_all(&mut self, report: impl Fn(usize, ExitStatus)) -> Result<Option<ExitStatus>, Failure> {
        let mut failed = None;
        while !self.running.is_empty() {
            for (job, status) in self.wait(&mut [], true)?.ended {
                if !status.success() {
                    report(job, status);
                    failed = failed.or(Some(status));
                }
            }
        }
        Ok(failed)
    }

    /// Forwards the signals that arrived, and returns which workers have ended. Where `sleeps` is true, it waits until there are
    /// such, or a file is ready.
    pub fn wait(&mut self, files: &mut [Option<Awaited<'_>>], sleeps: bool) -> Result<Woken, Failure> {
        let mut interrupted = None;
        for event in self.signals.wait(&mut self.group, files, sleeps && !self.children) {
            interrupted = self.take(&event).or(interrupted);
        }
        let ended = if std::mem::take(&mut self.children) { self.take_ended()? } else { Vec::new() };
        Ok(Woken { ended, interrupted })
    }

    /// Returns how many workers were not waited for.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Waits for the children that have ended, and returns the indices and statuses of the workers among them.
    fn take_ended(&mut self) -> Result<Vec<(usize, ExitStatus)>, Failure> {
        let mut workers = Vec::new();
        while let Some(changed) = changed_child()? {
            let Some(index) = self.running.iter().position(|(_, worker)| is(worker, changed)) else {
                // As process 1 of a container, this process gets every orphan.
                if let Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) =
                    waitpid(changed, Some(WaitPidFlag::WNOHANG))
                {
                    self.group.ended(changed);
                }
                continue;
            };
            // One that has only stopped goes on.
            if let Some(status) = self.running[index].1.try_wait()? {
                workers.push((self.running.swap_remove(index).0, status));
            }
        }
        Ok(workers)
    }

    fn forward(&self, signal: Signal) {
        self.running.iter().for_each(|(_, worker)| forward(signal, worker.id()));
    }

    /// Forwards a signal that the group received to the workers outside it.
    fn forward_outside(&self, signal: Signal) {
        let outside = self.running.iter().filter(|(_, worker)| !in_own_group(worker.id()));
        outside.for_each(|(_, worker)| forward(signal, worker.id()));
    }

    /// Kills the workers, after a failure that the caller reports.
    pub fn kill(&mut self) {
        for (_, mut worker) in self.running.drain(..) {
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }

    /// Lets a signal end this process again, when no worker is left.
    pub fn end(self, unfinished: Vec<Unfinished>) -> Result<(), Failure> {
        self.signals.end(move || unfinished.iter().for_each(Unfinished::remove))
    }
}

fn is(worker: &Child, process: Pid) -> bool {
    i32::try_from(worker.id()).is_ok_and(|id| id == process.as_raw())
}

/// Returns a child that has ended, and leaves it to be waited for; or one that asked this process to trace it, and stopped.
fn changed_child() -> Result<Option<Pid>, Failure> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    match waitid(Id::All, flags) {
        Ok(status) => Ok(status.pid()),
        Err(nix::errno::Errno::ECHILD) => Ok(None),
        Err(errno) => Err(Failure::new(format_args!("cannot wait for workers: {errno}"))),
    }
}

/// Returns the number of the signal that killed a program.
pub fn killed_by(status: ExitStatus) -> Option<i32> {
    status.signal()
}

/// Ends as a failed worker did: by its exit code, or by the signal if the user interrupted it, so that a shell's loop ends
/// too.
pub fn end_like(status: ExitStatus) -> ExitCode {
    match (status.signal(), status.code()) {
        (Some(signal), _) => end_by(signal),
        (None, code) => ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)),
    }
}

/// Ends as a program that a signal ended.
pub fn end_by(signal: c_int) -> ExitCode {
    match signal {
        libc::SIGINT | libc::SIGQUIT => signals::die_of(signal).into(),
        _ => ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX)),
    }
}
