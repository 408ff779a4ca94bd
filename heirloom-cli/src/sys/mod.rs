//! The operating system: the only module with `cfg(target_os)`. Each system's file or folder has the same functions.

#[cfg(not(any(target_os = "linux", windows)))]
compile_error!("heirloom-cli supports only Linux and Windows; the library `heirloom` supports other systems too");

#[cfg(target_os = "linux")]
mod linux;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
pub use linux::*;
#[cfg(windows)]
pub use windows::*;
