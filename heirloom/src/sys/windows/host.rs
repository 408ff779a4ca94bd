//! Limits of the system, and what it reports about this process and its parent.

#![allow(unsafe_code)]

use windows_sys::Win32::System::SystemInformation::{GlobalMemoryStatusEx, MEMORYSTATUSEX};

use super::error::len_of;
use crate::sys::status::Identity;

/// The longest environment variable in bytes, with its name, the `=` and the NUL; this library's variables are ASCII.
pub(crate) const LONGEST_VARIABLE: usize = 32_767;

/// Returns no limit: Windows has none for a process.
pub(crate) const fn size_limit() -> u64 {
    u64::MAX
}

/// Returns how many bytes can be allocated.
pub(crate) fn available_memory() -> u64 {
    let mut status = MEMORYSTATUSEX::default();
    status.dwLength = len_of(&status);
    // SAFETY: The call fills in `status`, which lives until it returns and holds its own length.
    match unsafe { GlobalMemoryStatusEx(&raw mut status) } {
        // Then the allocation itself fails if there is too little.
        0 => u64::MAX,
        _ => status.ullAvailPageFile,
    }
}

/// Returns `false`: Windows doesn't show the handles of the parent.
pub(crate) const fn parent_passes(_: i32, _: Identity) -> bool {
    false
}

/// Returns `false`: on Windows no program gets rights from its file.
pub(crate) const fn is_privileged() -> bool {
    false
}
