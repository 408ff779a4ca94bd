//! The signals that `run` receives, and those that its workers start with.

#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::fs;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::process;
use std::ptr;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, kill, signal};
use nix::unistd::{Pid, getpgid};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::WithRawSiginfo;
use signal_hook::low_level::emulate_default_handler;

use super::at_start;
use super::group::Group;
use crate::failure::Failure;

/// The signals that are forwarded to the workers.
const FORWARDED: [Signal; 6] =
    [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGUSR2];

/// The longest time between two signals of one sender that count as one.
const BETWEEN_PROCESS_AND_GROUP: Duration = Duration::from_millis(20);

/// The signals of this process, received instead of ending it.
pub struct Signals {
    received: SignalDelivery<UnixStream, WithRawSiginfo>,
    /// The signal mask that this process was started with.
    mask: SigSet,
}

/// A file that is waited for.
pub struct Awaited<'a> {
    file: BorrowedFd<'a>,
    /// For reading or for writing.
    until: PollFlags,
    pub ready: bool,
}

impl<'a> Awaited<'a> {
    pub const fn reading(file: BorrowedFd<'a>) -> Self {
        Self { file, until: PollFlags::IN, ready: false }
    }

    pub const fn writing(file: BorrowedFd<'a>) -> Self {
        Self { file, until: PollFlags::OUT, ready: false }
    }
}

pub enum Event {
    /// One or more children changed state.
    Child,
    /// The signal was sent to this process alone.
    Sent(Signal),
    /// The signal was sent to this process's whole group, by the terminal or by a process.
    ToGroup(Signal),
}

impl Signals {
    /// Receives the signals that the caller of this process doesn't ignore. Children start with their default action.
    pub fn receive() -> Result<Self, Failure> {
        // Also an ignored SIGCHLD: with it, the kernel would discard the workers' exit statuses.
        let wanted = FORWARDED.into_iter().filter(|signal| !is_ignored(*signal)).chain([Signal::SIGCHLD]);
        let received = UnixStream::pair().and_then(|(read, write)| {
            SignalDelivery::with_pipe(read, write, WithRawSiginfo, wanted.map(|signal| signal as c_int))
        });
        let received = received.map_err(|error| Failure::new(format_args!("cannot receive signals: {error}")))?;
        // Also a blocked SIGCHLD: with it, the end of a worker would go unnoticed.
        let mask = SigSet::from(Signal::SIGCHLD).thread_swap_mask(SigmaskHow::SIG_UNBLOCK).map_err(failed)?;
        Ok(Self { received, mask })
    }

    /// Runs `start` with the signals as the caller of this process left them, for a child to inherit.
    pub fn as_started<T>(&self, start: impl FnOnce() -> T) -> Result<T, Failure> {
        let own = self.mask.thread_swap_mask(SigmaskHow::SIG_SETMASK).map_err(failed)?;
        restore_pipe()?;
        let started = start();
        ignore(Signal::SIGPIPE)?;
        own.thread_set_mask().map_err(failed)?;
        Ok(started)
    }

    /// Looks which files are ready, and returns each signal that arrived once, however often. Where `sleeps` is true, it waits for
    /// the first of these.
    pub fn wait(&mut self, group: &mut Group, files: &mut [Option<Awaited<'_>>], sleeps: bool) -> Vec<Event> {
        self.look(files, sleeps);
        self.pending(group)
    }

    /// Looks which files are ready, where `sleeps` is true when one is or a signal arrives.
    fn look(&self, files: &mut [Option<Awaited<'_>>], sleeps: bool) {
        let mut polled = vec![PollFd::new(self.received.get_read(), PollFlags::IN)];
        polled.extend(files.iter().flatten().map(|file| PollFd::from_borrowed_fd(file.file, file.until)));
        // An error, that of a signal which arrived in between, leaves nothing ready.
        let _ = poll(&mut polled, (!sleeps).then_some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        for (file, polled) in files.iter_mut().flatten().zip(&polled[1..]) {
            file.ready = !polled.revents().is_empty();
        }
    }

    /// Returns the signals that have arrived, without waiting.
    pub fn pending(&mut self, group: &mut Group) -> Vec<Event> {
        let arrived = self.received.pending().collect();
        self.events(arrived, group)
    }

    fn events(&mut self, mut arrived: Vec<libc::siginfo_t>, group: &mut Group) -> Vec<Event> {
        let mut received = BTreeMap::<_, bool>::new();
        let mut waited = false;
        while !arrived.is_empty() {
            for info in arrived {
                if let Ok(signal) = Signal::try_from(info.si_signo) {
                    // A code above zero means that the kernel sent it.
                    *received.entry(signal).or_default() |= info.si_code > 0;
                }
            }
            let mut sent = received.iter().filter(|(signal, _)| **signal != Signal::SIGCHLD).peekable();
            if sent.peek().is_some() {
                group.ask();
                if !waited && !sent.all(|(signal, by_kernel)| group.has_received(*signal, *by_kernel)) {
                    // `timeout` signals the process that it started, and then the group.
                    thread::sleep(BETWEEN_PROCESS_AND_GROUP);
                    waited = true;
                }
            }
            // The group's answer includes a signal that arrived since then.
            arrived = self.received.pending().collect();
        }
        let event = |(signal, by_kernel)| {
            let to_group = group.has_received(signal, by_kernel);
            group.forget(signal);
            match signal {
                Signal::SIGCHLD => Event::Child,
                _ if to_group => Event::ToGroup(signal),
                _ => Event::Sent(signal),
            }
        };
        received.into_iter().map(event).collect()
    }

    /// Lets a signal end this process again, when no worker is left; runs `clean_up` before that.
    pub fn end(mut self, clean_up: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
        // With SIGXFSZ ignored, a file that exceeds the size limit is an error of the write, which is reported.
        ignore(Signal::SIGXFSZ)?;
        let wait = move || {
            loop {
                self.look(&mut [], true);
                let mut signals = self.received.pending().map(|info| info.si_signo);
                if let Some(signal) = signals.find(|signal| *signal != libc::SIGCHLD) {
                    clean_up();
                    process::exit(die_of(signal).into());
                }
            }
        };
        let waiting = thread::Builder::new().name("signals".to_owned()).spawn(wait);
        waiting.map(drop).map_err(|error| Failure::new(format_args!("cannot wait for signals: {error}")))
    }
}

/// Sets the action for SIGPIPE that the caller of this process chose.
pub fn restore_pipe() -> Result<(), Failure> {
    if at_start::pipe_ignored() {
        return ignore(Signal::SIGPIPE);
    }
    // SAFETY: The default action runs no code of this process.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }.map(drop).map_err(failed)
}

fn ignore(ignored: Signal) -> Result<(), Failure> {
    // SAFETY: Ignoring a signal runs no code of this process.
    unsafe { signal(ignored, SigHandler::SigIgn) }.map(drop).map_err(failed)
}

fn is_ignored(signal: Signal) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: Without a new action, the call only fills in the current one; it can't fail for a valid signal.
    let action = unsafe {
        libc::sigaction(signal as c_int, ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}

/// Ends this process by a signal, as shells expect of a program that was interrupted. Process 1 of a container survives
/// that, and gets the exit code that stands for it.
pub fn die_of(ending: c_int) -> u8 {
    if ending == libc::SIGQUIT {
        // The program has dumped its core already.
        let none = Rlimit { current: Some(0), ..getrlimit(Resource::Core) };
        let _ = setrlimit(Resource::Core, none);
    }
    if process::id() != 1 {
        let _ = emulate_default_handler(ending);
    }
    u8::try_from(128 + ending).unwrap_or(u8::MAX)
}

fn failed(errno: Errno) -> Failure {
    Failure::new(format_args!("cannot change the action for a signal: {errno}"))
}

/// Returns whether a child is in this process's group, and so gets the group's signals itself.
pub fn in_own_group(child: u32) -> bool {
    let child = i32::try_from(child).map(Pid::from_raw).ok();
    child.is_some_and(|child| getpgid(Some(child)) == getpgid(None))
}

/// Returns whether a child catches or blocks a signal: it has run long enough to set that up. See
/// [proc_pid_status(5)](https://man7.org/linux/man-pages/man5/proc_pid_status.5.html).
pub fn takes(child: u32, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
    let masks = status.lines().filter_map(|line| line.strip_prefix("SigCgt:").or_else(|| line.strip_prefix("SigBlk:")));
    let mut masks = masks.filter_map(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    masks.any(|mask| mask >> (signal as u32 - 1) & 1 == 1)
}

/// Forwards a signal to a child that was not waited for.
pub fn forward(signal: Signal, child: u32) {
    if let Ok(child) = i32::try_from(child) {
        // This fails if the child has ended or now runs as another user; neither is an error of the command.
        let _ = kill(Pid::from_raw(child), signal);
    }
}
