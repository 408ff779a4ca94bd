//! The operating system: the only place that calls it. One file a system, each with the same functions; what every Unix
//! does alike is in `unix`, which each Unix's file passes on.

#[cfg(not(target_os = "linux"))]
compile_error!("the C library runs on Linux only, so far; the library `heirloom` runs on other systems too");

#[cfg(target_os = "linux")]
mod linux;
#[cfg(unix)]
mod unix;

#[cfg(target_os = "linux")]
pub(crate) use linux::*;
