//! Extensions that only some systems have.

#[cfg(any(target_os = "linux", target_os = "android"))]
pub mod linux;
#[cfg(unix)]
pub mod unix;
#[cfg(windows)]
pub mod windows;
