//! The operating system. No other module calls it. Each system has one file with the same functions; `unix` has those
//! common to all Unix systems, which each Unix file re-exports.

#[cfg(not(any(target_os = "linux", windows)))]
compile_error!("the C library supports only Linux and Windows; the library `heirloom` supports other systems too");

#[cfg(target_os = "linux")]
mod linux;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
pub(crate) use linux::*;
#[cfg(windows)]
pub(crate) use windows::*;
