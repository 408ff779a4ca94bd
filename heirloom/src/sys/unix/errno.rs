//! Error numbers.

use std::io;

use rustix::io::Errno;

use crate::sys::failure::{Failure, Reason};

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        let reason = match errno {
            Errno::MFILE | Errno::NFILE => Reason::OutOfDescriptors,
            Errno::NOMEM => Reason::OutOfMemory,
            Errno::NOSPC | Errno::DQUOT => Reason::NoSpace,
            Errno::FBIG => Reason::FileTooLarge,
            _ => Reason::Other,
        };
        Self::new(reason, errno)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(errno) => errno.into(),
            None if error.kind() == io::ErrorKind::OutOfMemory => Errno::NOMEM.into(),
            None => Self::new(Reason::Other, error),
        }
    }
}

/// Returns the error of the C library's last failed call in this thread.
pub(crate) fn last_errno() -> Errno {
    errno_of(&io::Error::last_os_error())
}

pub(crate) fn errno_of(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// Repeats a call until no signal interrupts it.
pub(crate) fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            answer => return answer,
        }
    }
}
