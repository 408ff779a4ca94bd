//! What only Linux has.

use crate::{Error, Result, sys};

/// Shuts this process to other processes of the same user: they can no longer trace it, read its memory, or reach its
/// descriptors by `/proc/PID/fd` or `pidfd_getfd`.
///
/// That is the one door that no region can close by itself, see `SECURITY.md`. Each holder must shut its own, after
/// every `exec` again. Nor does the process leave core dumps any more. See `PR_SET_DUMPABLE` in
/// [PR_SET_DUMPABLE(2const)](https://man7.org/linux/man-pages/man2/PR_SET_DUMPABLE.2const.html).
///
/// # Errors
/// [`ErrorKind::System`](crate::ErrorKind::System): the kernel refused.
///
/// ```
/// heirloom::os::linux::shield()?;
/// # Ok::<(), heirloom::Error>(())
/// ```
pub fn shield() -> Result<()> {
    sys::shield().map_err(|failure| Error::system("cannot shield this process", failure))
}
