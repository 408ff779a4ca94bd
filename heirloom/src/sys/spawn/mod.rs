//! Starts programs on Unix.

mod diagnose;
mod exec;
mod fork;
#[cfg(any(target_os = "linux", target_os = "macos", target_os = "freebsd"))]
mod posix_spawn;
mod prepared;
mod signals;

pub(crate) use exec::exec;
pub(crate) use fork::pass_with_std;
// On the other systems, `posix_spawn` doesn't report a program that can't be executed, or can't change the directory.
#[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "freebsd")))]
pub(crate) use fork::spawn;
#[cfg(any(target_os = "linux", target_os = "macos", target_os = "freebsd"))]
pub(crate) use posix_spawn::spawn;
