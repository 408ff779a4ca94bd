//! Error codes.

use std::io;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_COMMITMENT_LIMIT, ERROR_DISK_FULL, ERROR_NO_SYSTEM_RESOURCES, ERROR_NOT_ENOUGH_MEMORY,
    ERROR_OUTOFMEMORY, ERROR_TOO_MANY_OPEN_FILES,
};

use crate::sys::failure::{Failure, Reason};

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let reason = match code_of(&error) {
            Some(ERROR_TOO_MANY_OPEN_FILES | ERROR_NO_SYSTEM_RESOURCES) => Reason::OutOfHandles,
            Some(ERROR_NOT_ENOUGH_MEMORY | ERROR_OUTOFMEMORY) => Reason::OutOfMemory,
            None if error.kind() == io::ErrorKind::OutOfMemory => Reason::OutOfMemory,
            Some(ERROR_COMMITMENT_LIMIT) => Reason::PagingFileFull,
            Some(ERROR_DISK_FULL) => Reason::NoSpace,
            _ => Reason::Other,
        };
        Self::new(reason, error)
    }
}

/// Returns the error of the last failed call in this thread.
pub(crate) fn last_failure() -> Failure {
    io::Error::last_os_error().into()
}

/// Returns the error with this code.
#[allow(clippy::cast_possible_wrap)] // Codes are small.
pub(crate) fn os_error(code: u32) -> io::Error {
    io::Error::from_raw_os_error(code as i32)
}

pub(crate) fn code_of(error: &io::Error) -> Option<u32> {
    error.raw_os_error().and_then(|code| u32::try_from(code).ok())
}

/// Returns the failure of a call that this library refuses without asking the system.
pub(crate) fn refused(reason: Reason) -> Failure {
    let os = match reason {
        Reason::Sealed => os_error(ERROR_ACCESS_DENIED),
        Reason::MayBeHeldForWriting => {
            io::Error::other("another process may have a writable handle, which Windows can't revoke")
        }
        _ => io::ErrorKind::ResourceBusy.into(),
    };
    Failure::new(reason, os)
}

/// Returns the size of a structure that the system fills in or reads.
#[allow(clippy::cast_possible_truncation)] // The structures are small.
pub(crate) fn len_of<T>(_: &T) -> u32 {
    size_of::<T>() as u32
}
