//! Starts programs.

#[cfg(unix)]
mod diagnose;
#[cfg(unix)]
mod exec;
#[cfg(all(unix, not(any(target_os = "macos", target_os = "freebsd"))))]
mod fork;
#[cfg(any(target_os = "macos", target_os = "freebsd"))]
mod posix_spawn;
#[cfg(unix)]
mod prepared;
#[cfg(unix)]
mod setup;
#[cfg(unix)]
mod sigpipe;
#[cfg(unix)]
mod std_command;
#[cfg(target_os = "linux")]
mod vfork;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use exec::exec;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use std_command::confine_with_std;
#[cfg(unix)]
pub(crate) use std_command::pass_with_std;
// On Android, OpenBSD and NetBSD, `posix_spawn` doesn't report a program that can't be executed, or can't change the
// directory.
#[cfg(all(unix, not(any(target_os = "linux", target_os = "macos", target_os = "freebsd"))))]
pub(crate) use fork::spawn;
#[cfg(any(target_os = "macos", target_os = "freebsd"))]
pub(crate) use posix_spawn::spawn;
#[cfg(target_os = "linux")]
pub(crate) use vfork::spawn;
#[cfg(windows)]
pub(crate) use windows::spawn;
