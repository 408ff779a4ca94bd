//! The operating system: the only place that asks which it is. One file or folder a system, each with the same functions.

#[cfg(not(any(target_os = "linux", windows)))]
compile_error!("the command runs on Linux and Windows only, so far; the library `heirloom` runs on other systems too");

#[cfg(target_os = "linux")]
mod linux;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
pub use linux::*;
#[cfg(windows)]
pub use windows::*;
