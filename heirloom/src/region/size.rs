//! The rule for the sizes of new regions.

use crate::{Error, ErrorKind, Result, sys};

/// Checks the size of a new region; `what` is its noun for the message.
pub(crate) fn check_size(size: u64, what: &str) -> Result<()> {
    let (kind, why) = if size == 0 {
        (ErrorKind::InvalidInput, "the size must be at least 1")
    } else if isize::try_from(size).is_err() {
        (ErrorKind::TooLarge, "it exceeds the address space")
    } else if size > sys::size_limit() {
        (ErrorKind::TooLarge, "it exceeds this process's limit on file sizes (ulimit -f)")
    } else {
        return Ok(());
    };
    Err(Error::new(kind, format!("cannot create {what} of {size} bytes: {why}")))
}
