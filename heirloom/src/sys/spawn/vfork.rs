//! Starts programs by `clone(2)` with `CLONE_VM` and `CLONE_VFORK`: the child runs in the memory of this process, and this thread
//! waits until the child executes the program. Nothing is copied.
//!
//! `posix_spawn(3)` does the same, but takes two system calls and an allocation for each descriptor, and can't confine the child.
//! A thread that confines itself and calls it would cost more, and end the child by the child's own `PR_SET_PDEATHSIG`.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::convert::Infallible;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use rustix::process::Pid;

use super::diagnose::cannot_run;
use super::fork;
use super::prepared::Prepared;
use super::setup::{make_inheritable, set_up};
use crate::sys::failure::Result;
use crate::sys::launch::Launch;
use crate::sys::platform::Process;
use crate::sys::unix::errno::{last_errno, retry};

/// The size of the child's stack in bytes. Its deepest call is into the C library's wrapper of a system call.
const STACK: usize = 32 << 10;

/// Starts a program.
pub(crate) fn spawn(launch: &Launch<'_>) -> Result<Process> {
    if !shares_memory() {
        return fork::spawn(launch);
    }
    let prepared = Prepared::new(launch)?;
    let signals = BlockedSignals::new();
    let child = Child { launch, prepared: &prepared, mask: signals.before, failed: Cell::new(None) };
    let pid = child.start();
    drop(signals);
    pid.map(Process::new).map_err(|errno| cannot_run(launch, errno))
}

/// What the child needs, and what it answers.
struct Child<'a> {
    launch: &'a Launch<'a>,
    prepared: &'a Prepared,
    /// The signals that the program blocks.
    mask: libc::sigset_t,
    /// Why the program was not executed.
    failed: Cell<Option<Errno>>,
}

impl Child<'_> {
    fn start(&self) -> std::result::Result<Pid, Errno> {
        let mut stack = Stack::new();
        // SAFETY: Every signal is blocked in this thread, so in the child, until `run` has removed the handlers. `run` makes only
        // system calls, and neither allocates nor takes a lock. This thread waits for it (`CLONE_VFORK`), so `self` and the stack
        // live and nothing else uses them. Other threads run on, as beside any thread of this process.
        let pid = unsafe { clone(run, &mut stack, libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD, self) };
        let pid = Pid::from_raw(pid.max(0)).ok_or_else(last_errno)?;
        match self.failed.get() {
            None => Ok(pid),
            Some(errno) => {
                // It has ended, or is about to. The wait fails if SIGCHLD is ignored.
                let _ = retry(|| rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty()));
                Err(errno)
            }
        }
    }

    /// Executes the program, by the first of its paths that has one: in one child, since the end of the first one ends a new
    /// PID namespace. Returns only on failure.
    fn execute(&self) -> Errno {
        remove_handlers(self.launch.options.keep_sigpipe);
        if let Err(errno) = self.become_child() {
            return errno;
        }
        // SAFETY: The set was filled in by the same call.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.mask, ptr::null_mut()) };
        let executed = self.prepared.try_each(|program| Err::<Infallible, _>(self.prepared.execute(program)));
        match executed {
            Ok(never) => match never {},
            Err(errno) => errno,
        }
    }

    fn become_child(&self) -> std::result::Result<(), Errno> {
        set_up(self.launch, self.prepared.directory.as_deref())?;
        for fd in self.launch.pass {
            make_inheritable(fd.as_raw_fd())?;
        }
        self.launch.options.confine()
    }
}

extern "C" fn run(child: *mut c_void) -> c_int {
    // SAFETY: `start` passes this, and waits.
    let child = unsafe { &*child.cast::<Child<'_>>() };
    child.failed.set(Some(child.execute()));
    127
}

/// Gives each signal that has a handler its default action: a handler would run in the memory of the parent. SIGPIPE gets it
/// also if it is ignored, unless `keep_sigpipe`.
fn remove_handlers(keep_sigpipe: bool) {
    for signal in 1..=SIGNALS {
        let handler = action(signal, None);
        let is_default = handler == Some(libc::SIG_DFL);
        let stays_ignored = handler == Some(libc::SIG_IGN) && (signal != libc::SIGPIPE || keep_sigpipe);
        if !is_default && !stays_ignored {
            action(signal, Some(&KernelAction::default()));
        }
    }
}

/// The number of signals, the C library's own included.
const SIGNALS: c_int = 64;

/// The kernel's `sigaction`: the handler comes first, and it isn't larger. All zeros are the default action.
#[repr(C)]
#[derive(Default)]
struct KernelAction([usize; 8]);

/// Sets the action for a signal, if one is given, and returns the earlier handler.
///
/// The C library's function may take a lock, and keeps a table of its own if a sanitizer replaces it: in this memory.
fn action(signal: c_int, new: Option<&KernelAction>) -> Option<libc::sighandler_t> {
    let mut old = KernelAction::default();
    let (new, set) = (new.map_or(ptr::null(), ptr::from_ref), size_of::<u64>());
    // SAFETY: Both live during the call, and are at least as large as the kernel's. The new one runs no code.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, new, &raw mut old, set) };
    (result == 0).then_some(old.0[0])
}

/// The stack of a child.
struct Stack(Vec<MaybeUninit<u128>>);

impl Stack {
    fn new() -> Self {
        let mut stack = Vec::with_capacity(STACK / size_of::<u128>());
        // SAFETY: The elements need not be initialized, and the capacity is that much.
        unsafe { stack.set_len(STACK / size_of::<u128>()) };
        Self(stack)
    }
}

/// Starts a process that calls `function` with `argument` on `stack`. Returns its id, or -1.
///
/// # Safety
/// The function, the argument and the stack are valid as long as the process uses them, see clone(2).
unsafe fn clone<T>(
    function: extern "C" fn(*mut c_void) -> c_int,
    stack: &mut Stack,
    flags: c_int,
    argument: &T,
) -> i32 {
    // It grows down from its end; `u128` aligns it for every processor.
    let end = stack.0.as_mut_ptr_range().end;
    // SAFETY: As the caller promises.
    unsafe { libc::clone(function, end.cast(), flags, ptr::from_ref(argument).cast_mut().cast()) }
}

/// The signals of this thread, all blocked until this is dropped.
struct BlockedSignals {
    before: libc::sigset_t,
}

impl BlockedSignals {
    fn new() -> Self {
        let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: The first call fills in `all`, the second `before`; it can't fail with these arguments.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
            Self { before: before.assume_init() }
        }
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        // SAFETY: The set was filled in by the same call.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut()) };
    }
}

/// Returns whether a child that is created with `CLONE_VM` shares the memory of this process. Emulators (qemu-user, valgrind)
/// give it a copy instead, by which it can't answer.
fn shares_memory() -> bool {
    static SHARES: OnceLock<bool> = OnceLock::new();
    // Only a real kernel has restartable sequences, and says so since 6.3; then no test is needed.
    const AT_RSEQ_FEATURE_SIZE: libc::c_ulong = 27;
    // SAFETY: `getauxval` only reads the process's auxiliary vector.
    *SHARES.get_or_init(|| unsafe { libc::getauxval(AT_RSEQ_FEATURE_SIZE) } != 0 || try_to_share_memory())
}

fn try_to_share_memory() -> bool {
    extern "C" fn share(shared: *mut c_void) -> c_int {
        // SAFETY: It points to a variable of the parent, which waits until this child has ended.
        unsafe { &*shared.cast::<AtomicBool>() }.store(true, Ordering::SeqCst);
        0
    }
    let shared = AtomicBool::new(false);
    let mut stack = Stack::new();
    let _signals = BlockedSignals::new();
    // SAFETY: The child runs no signal handler of the program, because every signal is blocked. Its function makes one
    // store, to a variable that lives until `waitpid` returns, on a stack that nothing else uses. It sends no signal when
    // it ends, so no other code of the process notices it.
    unsafe {
        let pid = clone(share, &mut stack, libc::CLONE_VM | libc::CLONE_VFORK, &shared);
        if pid > 0 {
            libc::waitpid(pid, ptr::null_mut(), libc::__WCLONE);
        }
    }
    shared.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_memory_agrees_with_clone() {
        assert_eq!(shares_memory(), try_to_share_memory());
    }
}
