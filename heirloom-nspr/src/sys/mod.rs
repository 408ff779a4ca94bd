//! The operating system: the only place that calls it. One file a system, each with the same functions; what every Unix
//! does alike is in `unix`, which each Unix's file passes on.

#[cfg(not(any(target_os = "linux", windows)))]
compile_error!("the C library is for Linux and Windows, so far; the library `heirloom` is for other systems too");

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
