//! Starting programs by `posix_spawn(3)`: what this process has mapped is never copied.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_int};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};

#[cfg(not(target_os = "freebsd"))]
use libc::posix_spawn_file_actions_addchdir_np;
use rustix::io::Errno;
use rustix::process::Pid;

use super::unix::{Prepared, Process, cannot_run, no_signals};
use super::{Launch, Result};

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
    if !tells() {
        return super::unix::fork(launch);
    }
    let prepared = Prepared::new(launch)?;
    let mut actions = FileActions::new()?;
    for (number, fd) in (0..).zip(launch.standard) {
        if let Some(fd) = fd {
            actions.duplicate(fd.as_raw_fd(), number).map_err(|errno| cannot_run(launch, errno))?;
        }
    }
    for memory in launch.pass {
        actions.inherit(memory.number()).map_err(|errno| cannot_run(launch, errno))?;
    }
    if let Some(directory) = &prepared.directory {
        actions.change_directory(directory)?;
    }
    let attributes = Attributes::new(launch)?;
    let pid = prepared.try_each(|program| {
        let mut pid = 0;
        // SAFETY: Every string and list ends with its null and lives until the call returns, and both objects were
        // initialized by their `new`.
        answer(unsafe {
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
    pid.map(Process).map_err(|errno| cannot_run(launch, errno))
}

/// Whether `posix_spawn` tells of a program that it couldn't be started. musl's child tells by a pipe, glibc's in the memory
/// that it shares with its parent until then, of which emulators (qemu-user, valgrind) give it a copy.
#[cfg(target_os = "linux")]
fn tells() -> bool {
    static TELLS: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    // Only a kernel has restartable sequences, from 6.3 on it says so, and nothing more is to be found out.
    const AT_RSEQ_FEATURE_SIZE: libc::c_ulong = 27;
    cfg!(target_env = "musl")
        // SAFETY: Reads the process's auxiliary vector and nothing else.
        || *TELLS.get_or_init(|| unsafe { libc::getauxval(AT_RSEQ_FEATURE_SIZE) } != 0 || shares_memory())
}

#[cfg(not(target_os = "linux"))]
fn tells() -> bool {
    true
}

/// Whether a child that is to share this process's memory does, as `CLONE_VM` in clone(2) has it.
#[cfg(target_os = "linux")]
fn shares_memory() -> bool {
    use std::ffi::c_void;
    use std::ptr;
    use std::sync::atomic::{AtomicBool, Ordering};

    extern "C" fn child(shared: *mut c_void) -> c_int {
        // SAFETY: The parent's own, which waits until this child is gone.
        unsafe { &*shared.cast::<AtomicBool>() }.store(true, Ordering::SeqCst);
        0
    }
    let shared = AtomicBool::new(false);
    // From its end on, aligned for every processor.
    let mut stack = vec![0_u128; 1 << 10];
    let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: No handler of the program runs in the child, and it sends no signal, so nobody else notices it. The function
    // makes one store. Its stack is nobody else's, and this thread waits until it is gone.
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

/// The answer of a function that returns the error's number.
fn answer(code: i32) -> std::result::Result<(), Errno> {
    match code {
        0 => Ok(()),
        code => Err(Errno::from_raw_os_error(code)),
    }
}

/// What the child does before it becomes the program.
struct FileActions(Box<MaybeUninit<libc::posix_spawn_file_actions_t>>);

impl FileActions {
    fn new() -> Result<Self> {
        let mut this = Box::new(MaybeUninit::uninit());
        // SAFETY: `init` initializes what it is given.
        answer(unsafe { libc::posix_spawn_file_actions_init(this.as_mut_ptr()) })?;
        Ok(Self(this))
    }

    fn duplicate(&mut self, from: RawFd, to: RawFd) -> std::result::Result<(), Errno> {
        // SAFETY: `new` initialized it.
        answer(unsafe { libc::posix_spawn_file_actions_adddup2(self.0.as_mut_ptr(), from, to) })
    }

    /// Clears close-on-exec, in the child alone: where a number is duplicated onto itself, as glibc (2.29 and later), musl
    /// and FreeBSD have it.
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
        answer(unsafe { posix_spawn_file_actions_addinherit_np(self.0.as_mut_ptr(), number) })
    }

    fn change_directory(&mut self, directory: &CStr) -> Result<()> {
        // SAFETY: `new` initialized it, and the string is copied.
        let code = unsafe { posix_spawn_file_actions_addchdir_np(self.0.as_mut_ptr(), directory.as_ptr()) };
        Ok(answer(code)?)
    }
}

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: `new` initialized it, and nothing uses it after this.
        unsafe { libc::posix_spawn_file_actions_destroy(self.0.as_mut_ptr()) };
    }
}

/// How the child begins: unless signals are kept, no signal blocked and SIGPIPE at its default, as `std` has it.
struct Attributes(Box<MaybeUninit<libc::posix_spawnattr_t>>);

impl Attributes {
    fn new(launch: &Launch<'_>) -> Result<Self> {
        let mut raw = Box::new(MaybeUninit::uninit());
        // SAFETY: `init` initializes what it is given.
        answer(unsafe { libc::posix_spawnattr_init(raw.as_mut_ptr()) })?;
        let mut this = Self(raw);
        let attributes = this.0.as_mut_ptr();
        let mut flags = 0;
        let mut pipe = no_signals();
        // SAFETY: The attributes and both sets are initialized, and each call copies its set.
        unsafe {
            if !launch.options.keep_signals {
                flags |= libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
                libc::sigaddset(&raw mut pipe, libc::SIGPIPE);
                answer(libc::posix_spawnattr_setsigmask(attributes, &no_signals()))?;
                answer(libc::posix_spawnattr_setsigdefault(attributes, &raw const pipe))?;
            }
            if let Some(group) = launch.options.process_group {
                flags |= libc::POSIX_SPAWN_SETPGROUP;
                answer(libc::posix_spawnattr_setpgroup(attributes, group))?;
            }
            // The flags fit a short in every C library's header; only the constants are ints.
            #[allow(clippy::cast_possible_truncation)]
            answer(libc::posix_spawnattr_setflags(attributes, flags as libc::c_short))?;
        }
        Ok(this)
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
    fn whether_posix_spawn_tells_is_known_of_a_kernel_as_it_is_when_tried() {
        assert_eq!(tells(), shares_memory());
    }
}
