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
use super::prepared::Prepared;
use crate::sys::failure::{Failure, Reason, Result};
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
    let prepared = Prepared::new(launch)?;
    let mut actions = FileActions::new()?;
    for (number, fd) in (0..).zip(launch.standard) {
        if let Some(fd) = fd {
            actions.duplicate(fd.as_raw_fd(), number)?;
        }
    }
    for fd in launch.pass {
        actions.inherit(fd.as_raw_fd())?;
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

/// Converts the return value of a function that returns an error number.
fn check(code: i32) -> std::result::Result<(), Errno> {
    match code {
        0 => Ok(()),
        code => Err(Errno::from_raw_os_error(code)),
    }
}

/// Converts the return value of a function that adds a descriptor to the file actions: some check its number.
fn added(code: i32) -> Result<()> {
    check(code).map_err(|errno| match errno {
        Errno::BADF => Failure::new(Reason::DescriptorNumber, errno),
        errno => errno.into(),
    })
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

    fn duplicate(&mut self, from: RawFd, to: RawFd) -> Result<()> {
        // SAFETY: `new` initialized it.
        added(unsafe { libc::posix_spawn_file_actions_adddup2(self.0.as_mut_ptr(), from, to) })
    }

    /// Clears close-on-exec, in the child alone: FreeBSD does so if a descriptor is duplicated onto itself.
    #[cfg(not(target_os = "macos"))]
    fn inherit(&mut self, number: RawFd) -> Result<()> {
        self.duplicate(number, number)
    }

    /// Clears close-on-exec, in the child alone.
    #[cfg(target_os = "macos")]
    fn inherit(&mut self, number: RawFd) -> Result<()> {
        unsafe extern "C" {
            fn posix_spawn_file_actions_addinherit_np(
                actions: *mut libc::posix_spawn_file_actions_t,
                number: c_int,
            ) -> c_int;
        }
        // SAFETY: `new` initialized it.
        added(unsafe { posix_spawn_file_actions_addinherit_np(self.0.as_mut_ptr(), number) })
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
