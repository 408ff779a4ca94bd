//! Linux only.

#![allow(unsafe_code)]

pub mod c_library;
pub mod hostile;
pub mod intercept;
pub mod intruder;
pub mod old_kernels;
pub mod sealed_off;
pub mod single_step;
pub mod watch;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;

/// The number of `memfd_secret`.
pub const MEMFD_SECRET: libc::c_long = 447;

/// Creates memory of `memfd_secret` without a size. Returns `None`, and reports the skip, where the kernel has none.
///
/// # Panics
/// If the kernel fails in another way.
#[must_use]
pub fn secret_memory() -> Option<OwnedFd> {
    // SAFETY: The argument is a number.
    let number = unsafe { libc::syscall(MEMFD_SECRET, libc::O_CLOEXEC) };
    if let Err(error) = check(number) {
        assert_eq!(error.raw_os_error(), Some(libc::ENOSYS), "{error}");
        super::skip("this kernel has no secret memory");
        return None;
    }
    // SAFETY: The kernel has just created the descriptor, so nothing else owns it.
    Some(unsafe { OwnedFd::from_raw_fd(RawFd::try_from(number).unwrap()) })
}

/// Lists the regions among this process's descriptors: number and inode.
///
/// # Panics
/// If `/proc` cannot be read.
#[must_use]
pub fn open_regions() -> BTreeMap<RawFd, u64> {
    let mut regions = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/fd").unwrap() {
        let path = entry.unwrap().path();
        // The descriptor of the directory listing itself may be closed by now.
        let (Ok(link), Ok(status)) = (fs::read_link(&path), fs::metadata(&path)) else { continue };
        if link.to_string_lossy().starts_with("/memfd:heirloom/") {
            let number = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
            regions.insert(number, status.ino());
        }
    }
    regions
}

/// Lists this process's descriptors: number, and target with flags. Leaves out the one that reads the directory.
///
/// # Panics
/// If `/proc` cannot be read.
#[must_use]
pub fn descriptors() -> BTreeMap<RawFd, String> {
    let listed = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| {
        let path = entry.unwrap().path();
        let link = fs::read_link(&path).ok()?;
        let number: RawFd = path.file_name()?.to_str()?.parse().ok()?;
        // SAFETY: The argument is an integer, and no memory is accessed.
        let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
        (flags >= 0).then(|| (number, format!("{} {flags}", link.display())))
    });
    let listed: Vec<_> = listed.collect();
    // The directory is closed only now.
    listed.into_iter().filter(|(number, _)| fs::metadata(format!("/proc/self/fd/{number}")).is_ok()).collect()
}

/// The environment variables that the system adds: none.
pub const ADDED_BY_THE_SYSTEM: &[&str] = &[];

/// The type that owns a descriptor.
pub use std::os::fd::OwnedFd as Owned;

/// Returns the number of a descriptor.
pub fn number(of: &impl AsFd) -> i32 {
    of.as_fd().as_raw_fd()
}

/// Whether the descriptor of that number is open and inheritable.
#[must_use]
pub fn is_inheritable(number: i32) -> bool {
    // SAFETY: The argument is an integer, and no memory is accessed.
    unsafe { libc::fcntl(number, libc::F_GETFD) == 0 }
}

/// Makes the descriptor of that number inheritable or not.
///
/// # Panics
/// If no descriptor of that number is open.
pub fn set_inheritable(number: i32, on: bool) {
    let flags = if on { 0 } else { libc::FD_CLOEXEC };
    // SAFETY: The arguments are integers, and no memory is accessed.
    check(unsafe { libc::fcntl(number, libc::F_SETFD, flags) }).unwrap();
}

/// Takes ownership of a descriptor.
///
/// # Safety
/// It is open, and nothing else in this process owns it.
#[must_use]
pub unsafe fn take_over(number: i32) -> Owned {
    // SAFETY: The caller guarantees it.
    unsafe { Owned::from_raw_fd(number) }
}

/// Writes into a pipe if that has space now.
pub fn write_at_once(pipe: &Owned, bytes: [u8; 8]) {
    let _ = rustix::io::write(pipe, &bytes);
}

/// Ends this process by the kernel, so that it can't prepare for it.
///
/// # Panics
/// If the kernel doesn't.
pub fn die() -> ! {
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
    unreachable!("killed");
}

/// Tries something in a forked child, and returns its error, which the child passes as its exit code.
pub(crate) fn in_a_fork(act: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    // SAFETY: What is tried makes only system calls, or belongs to a program with one thread, whose fork may run any code.
    let pid = unsafe { libc::fork() };
    check(pid)?;
    if pid == 0 {
        let code = act().map_or_else(|error| error.raw_os_error().unwrap_or(255), |()| 0);
        // SAFETY: `_exit` runs none of the parent's exit handlers.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: `pid` is a child of this process, and the status outlives the call.
    check(unsafe { libc::waitpid(pid, &raw mut status, 0) })?;
    match libc::WEXITSTATUS(status) {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// Converts the result of a C function that returns -1 on error.
///
/// # Errors
/// Returns the thread's last error.
pub fn check(answer: impl Into<i64>) -> io::Result<()> {
    if answer.into() < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
