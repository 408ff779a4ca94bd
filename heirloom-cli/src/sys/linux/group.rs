//! Tells a signal to this process's whole group from one to this process alone.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_int};
use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, IntoRawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use std::{fs, mem, ptr};

use nix::sys::prctl::{set_dumpable, set_name};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};

/// A child that does nothing but stay in this process's group, and tells which signals it received: those to the group.
///
/// The kernel doesn't say whether a signal was sent to a process or to its group. The workers are in the group as well, so
/// forwarding a signal that the group received would deliver it twice, and many programs take a second SIGTERM as an order
/// to end without saving.
pub struct Group {
    /// The child. Without one, because there are too many processes, only the kernel's signals count as sent to the group.
    member: Option<Member>,
    /// What the child received and this process has not reported yet, signal 1 as the lowest bit.
    received: u64,
}

struct Member {
    id: Pid,
    socket: UnixStream,
}

/// The time in which a child that was continued answers.
const ANSWER: Duration = Duration::from_millis(100);

impl Group {
    /// Starts the child; call it while this process has one thread.
    pub fn watch() -> Self {
        Self { member: Member::start().ok(), received: 0 }
    }

    /// Asks which signals the group received.
    ///
    /// The kernel sends a group's signal to the newest process first, so what this process has received, the child has.
    pub fn ask(&mut self) {
        match self.member.as_ref().map(Member::received) {
            Some(Ok(received)) => self.received |= received,
            Some(Err(_)) => self.member = None,
            None => {}
        }
    }

    /// Returns whether a signal that this process received was sent to its group, as far as the last answer tells;
    /// `by_kernel` is whether the kernel sent it.
    pub const fn has_received(&self, signal: Signal, by_kernel: bool) -> bool {
        match self.member {
            Some(_) => self.received & bit(signal) != 0,
            // The terminal's keys. Of a terminal that is closed, the session's leader alone gets SIGHUP.
            None => by_kernel && !matches!(signal, Signal::SIGHUP),
        }
    }

    /// Forgets a signal that this process has reported.
    pub const fn forget(&mut self, signal: Signal) {
        self.received &= !bit(signal);
    }

    /// Takes note of a child that ended and was waited for.
    pub fn ended(&mut self, child: Pid) {
        if let Some(member) = self.member.take_if(|member| member.id == child) {
            // Its id may be another process's by now.
            mem::forget(member);
        }
    }
}

const fn bit(signal: Signal) -> u64 {
    1 << (signal as u32 - 1)
}

impl Member {
    fn start() -> io::Result<Self> {
        let (socket, childs) = UnixStream::pair()?;
        socket.set_read_timeout(Some(ANSWER))?;
        // Blocked before the fork, so that no signal ends the child; a signal to this process waits.
        let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        // SAFETY: This process has one thread, so the child is a complete copy.
        let forked = unsafe { fork() };
        if matches!(forked, Ok(ForkResult::Child)) {
            drop(socket);
            let _ = answer(childs);
            // SAFETY: It ends the process without running code of the parent's.
            unsafe { libc::_exit(0) }
        }
        before.thread_set_mask()?;
        match forked? {
            ForkResult::Parent { child } => Ok(Self { id: child, socket }),
            ForkResult::Child => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn received(&self) -> io::Result<u64> {
        let mut mask = [0; 8];
        (&self.socket).write_all(&[0])?;
        // The group may be stopped, and this process alone continued: more than once, but not for a second.
        for _ in 0..10 {
            kill(self.id, Signal::SIGCONT)?;
            match (&self.socket).read_exact(&mut mask) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                answer => return answer.map(|()| u64::from_ne_bytes(mask)),
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = kill(self.id, Signal::SIGKILL);
        let _ = waitpid(self.id, None);
    }
}

/// Answers each byte from the parent with the signals that arrived before it, until the parent has ended.
fn answer(socket: UnixStream) -> io::Result<()> {
    let _ = rename();
    // As standard input it stays open, while everything else is closed: regions, and ends of pipes.
    // SAFETY: Nothing in this process uses another descriptor after this.
    unsafe {
        libc::dup2(socket.into_raw_fd(), 0);
        if libc::syscall(libc::SYS_close_range, 1, libc::c_uint::MAX, 0) != 0 {
            // Before Linux 5.9.
            for number in open_descriptors()?.into_iter().filter(|number| *number > 0) {
                libc::close(number);
            }
        }
    }
    // Of an undumpable process, nobody without privileges can see the executable file, by which busybox' `killall` would find
    // it beside its parent.
    let _ = set_dumpable(false);
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

fn open_descriptors() -> io::Result<Vec<c_int>> {
    let number = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    Ok(fs::read_dir("/proc/self/fd")?.filter_map(number).collect())
}

/// Names this process otherwise than its parent: `pkill heirloom` would signal both, as if the group had been signalled.
///
/// Its executable file is still the parent's, see `answer`.
fn rename() -> Option<()> {
    const NAME: &CStr = c"group-signals";
    /// The index of `arg_start` in what follows the name in `/proc/PID/stat`; `arg_end` is the next. See
    /// [proc_pid_stat(5)](https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html).
    const ARGUMENTS: usize = 48 - 3;

    let _ = set_name(NAME);
    let status = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = status.rsplit_once(") ")?;
    let mut addresses = fields.split(' ').skip(ARGUMENTS).map(str::parse::<usize>);
    let (start, end) = (addresses.next()?.ok()?, addresses.next()?.ok()?);
    let length = end.checked_sub(start)?;
    let arguments: *mut u8 = ptr::with_exposed_provenance_mut(start);
    // SAFETY: The kernel put this process's arguments there, in memory that can be written; nothing reads them after this.
    // The last byte stays zero: otherwise the kernel would go on with the environment.
    unsafe {
        arguments.write_bytes(0, length);
        arguments.copy_from_nonoverlapping(NAME.as_ptr().cast(), NAME.count_bytes().min(length.saturating_sub(1)));
    }
    Some(())
}

/// Takes a pending signal.
fn next_pending() -> Option<c_int> {
    let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: The set and the time are initialized, and no information is asked for.
    let signal = unsafe { libc::sigtimedwait(SigSet::all().as_ref(), ptr::null_mut(), &raw const now) };
    (signal > 0).then_some(signal)
}
