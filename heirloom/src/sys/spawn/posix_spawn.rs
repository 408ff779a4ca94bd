//! Starts programs by `posix_spawn(3)`, which doesn't copy the mappings of this process.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_int};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};

#[cfg(not(target_os = "freebsd"))]
use libc::posix_spawn_file_actions_addchdir_np;
use rustix::io::Errno;
use rustix::process::Pid;

use super::diagnose::cannot_run;
use super::fork;
use super::prepared::Prepared;
use crate::sys::failure::Result;
use crate::sys::launch::Launch;
use crate::sys::platform::Process;

#[cfg(target_os = "freebsd")]
unsafe extern "C" {
    /// From FreeBSD 13.1 on.
    fn posix_spawn_file_actions_addchdir_np(
        actions: *mut libc::posix_spawn_file_actions_t,
        path: *const std::ffi::c_char,
    ) -> c_int;
}

/// Starts a program.
pub(crate) fn spawn(launch: &Launch<'_>) -> Result<Process> {
    if !reports_failures() {
        return fork::spawn(launch);
    }
    let prepared = Prepared::new(launch)?;
    let mut actions = FileActions::new()?;
    for (number, fd) in (0..).zip(launch.standard) {
        if let Some(fd) = fd {
            actions.duplicate(fd.as_raw_fd(), number).map_err(|errno| cannot_run(launch, errno))?;
        }
    }
    for fd in launch.pass {
        actions.inherit(fd.as_raw_fd()).map_err(|errno| cannot_run(launch, errno))?;
    }
    if let Some(directory) = &prepared.directory {
        actions.change_directory(directory)?;
    }
    let attributes = Attributes::new(launch)?;
    let pid = prepared.try_each(|program| {
        let mut pid = 0;
        // SAFETY: Every string ends with NUL, both lists end with a null pointer, all live during the call, and `new`
        // initialized the actions and the attributes.
        check(unsafe {
            libc::posix_spawn(
                &raw mut pid,
                program.as_ptr(),
                actions.0.as_ptr(),
                attributes.0.as_ptr(),
                prepared.args.pointers(),
                prepared.environment.pointers(),
            )
        })?;
        Pid::from_raw(pid).ok_or(Errno::SRCH)
    });
    pid.map(Process::new).map_err(|errno| cannot_run(launch, errno))
}

/// Returns whether `posix_spawn` reports a program that can't be executed. musl's child reports it through a pipe; glibc's
/// through the memory that it shares with its parent, and emulators (qemu-user, valgrind) give it a copy instead.
#[cfg(target_os = "linux")]
fn reports_failures() -> bool {
    static REPORTS: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    // Only a real kernel has restartable sequences, and says so since 6.3; then no test is needed.
    const AT_RSEQ_FEATURE_SIZE: libc::c_ulong = 27;
    cfg!(target_env = "musl")
        // SAFETY: `getauxval` only reads the process's auxiliary vector.
        || *REPORTS.get_or_init(|| unsafe { libc::getauxval(AT_RSEQ_FEATURE_SIZE) } != 0 || shares_memory())
}

#[cfg(not(target_os = "linux"))]
fn reports_failures() -> bool {
    true
}

/// Returns whether a child created with `CLONE_VM`, see clone(2), shares the memory of this process.
#[cfg(target_os = "linux")]
fn shares_memory() -> bool {
    use std::ffi::c_void;
    use std::ptr;
    use std::sync::atomic::{AtomicBool, Ordering};

    extern "C" fn child(shared: *mut c_void) -> c_int {
        // SAFETY: It points to a variable of the parent, which waits until this child has ended.
        unsafe { &*shared.cast::<AtomicBool>() }.store(true, Ordering::SeqCst);
        0
    }
    let shared = AtomicBool::new(false);
    // The stack grows down from its end; `u128` aligns it for every processor.
    let mut stack = vec![0_u128; 1 << 10];
    let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: The child runs no signal handler of the program, because every signal is blocked. Its function makes one
    // store, to a variable that lives until `waitpid` returns, on a stack that nothing else uses. It sends no signal when
    // it ends, so no other code of the process notices it.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        let (stack, shared) = (stack.as_mut_ptr_range().end, (&raw const shared).cast_mut());
        let pid = libc::clone(child, stack.cast(), libc::CLONE_VM | libc::CLONE_VFORK, shared.cast());
        if pid > 0 {
            libc::waitpid(pid, ptr::null_mut(), libc::__WCLONE);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut());
    }
    shared.into_inner()
}

/// Converts the return value of a function that returns an error number.
fn check(code: i32) -> std::result::Result<(), Errno> {
    match code {
        0 => Ok(()),
        code => Err(Errno::from_raw_os_error(code)),
    }
}

/// What the child does before it executes the program.
struct FileActions(Box<MaybeUninit<libc::posix_spawn_file_actions_t>>);

impl FileActions {
    fn new() -> Result<Self> {
        let mut this = Box::new(MaybeUninit::uninit());
        // SAFETY: `init` initializes the object that it is given.
        check(unsafe { libc::posix_spawn_file_actions_init(this.as_mut_ptr()) })?;
        Ok(Self(this))
    }

    fn duplicate(&mut self, from: RawFd, to: RawFd) -> std::result::Result<(), Errno> {
        // SAFETY: `new` initialized it.
        check(unsafe { libc::posix_spawn_file_actions_adddup2(self.0.as_mut_ptr(), from, to) })
    }

    /// Clears close-on-exec, in the child alone: glibc (2.29 and later), musl and FreeBSD do so if a descriptor is duplicated
    /// onto itself.
    #[cfg(not(target_os = "macos"))]
    fn inherit(&mut self, number: RawFd) -> std::result::Result<(), Errno> {
        self.duplicate(number, number)
    }

    /// Clears close-on-exec, in the child alone.
    #[cfg(target_os = "macos")]
    fn inherit(&mut self, number: RawFd) -> std::result::Result<(), Errno> {
        unsafe extern "C" {
            fn posix_spawn_file_actions_addinherit_np(
                actions: *mut libc::posix_spawn_file_actions_t,
                number: c_int,
            ) -> c_int;
        }
        // SAFETY: `new` initialized it.
        check(unsafe { posix_spawn_file_actions_addinherit_np(self.0.as_mut_ptr(), number) })
    }

    fn change_directory(&mut self, directory: &CStr) -> Result<()> {
        // SAFETY: `new` initialized it, the string ends with NUL, and the call copies it.
        let code = unsafe { posix_spawn_file_actions_addchdir_np(self.0.as_mut_ptr(), directory.as_ptr()) };
        Ok(check(code)?)
    }
}

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: `new` initialized it, and nothing uses it after this.
        unsafe { libc::posix_spawn_file_actions_destroy(self.0.as_mut_ptr()) };
    }
}

/// The attributes of the child: its process group and, unless it is kept, the default action for SIGPIPE, as with `std`.
struct Attributes(Box<MaybeUninit<libc::posix_spawnattr_t>>);

impl Attributes {
    fn new(launch: &Launch<'_>) -> Result<Self> {
        let mut raw = Box::new(MaybeUninit::uninit());
        // SAFETY: `init` initializes the object that it is given.
        check(unsafe { libc::posix_spawnattr_init(raw.as_mut_ptr()) })?;
        let mut this = Self(raw);
        let attributes = this.0.as_mut_ptr();
        let mut flags = 0;
        // SAFETY: The attributes and the set are initialized, and the call copies the set.
        unsafe {
            if !launch.options.keep_sigpipe {
                flags |= libc::POSIX_SPAWN_SETSIGDEF;
                check(libc::posix_spawnattr_setsigdefault(attributes, &sigpipe()))?;
            }
            if let Some(group) = launch.options.process_group {
                flags |= libc::POSIX_SPAWN_SETPGROUP;
                check(libc::posix_spawnattr_setpgroup(attributes, group))?;
            }
            // The flags fit a short in every C library; only the constants are ints.
            #[allow(clippy::cast_possible_truncation)]
            check(libc::posix_spawnattr_setflags(attributes, flags as libc::c_short))?;
        }
        Ok(this)
    }
}

/// Returns the set of SIGPIPE alone.
fn sigpipe() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initializes the whole set, which lives during both calls.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE);
        set.assume_init()
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: `new` initialized it, and nothing uses it after this.
        unsafe { libc::posix_spawnattr_destroy(self.0.as_mut_ptr()) };
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn reports_failures_agrees_with_clone() {
        assert_eq!(reports_failures(), shares_memory());
    }
}
