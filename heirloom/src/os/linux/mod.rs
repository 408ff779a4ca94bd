//! What only Linux has.

mod regions;

use std::os::fd::OwnedFd;

pub use self::regions::{Census, Holder, RegionInfo, regions};
use super::unix::sealed::Sealed;
use crate::{Child, Error, Result, sys};

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
/// heirloom::os::linux::set_undumpable()?;
/// # Ok::<(), heirloom::Error>(())
/// ```
pub fn set_undumpable() -> Result<()> {
    sys::set_undumpable().map_err(|failure| Error::system("cannot set_undumpable this process", failure))
}

/// What only Linux knows of a child.
///
/// ```
/// use heirloom::Command;
/// use heirloom::os::linux::ChildExt;
///
/// let mut child = Command::new("true").spawn()?;
/// let ended = child.pidfd()?;
/// # child.wait()?;
/// # drop(ended);
/// # Ok::<(), heirloom::Error>(())
/// ```
pub trait ChildExt: Sealed {
    /// A descriptor that becomes readable when it ends, for an event loop or an async runtime: a pidfd, see
    /// [pidfd_open(2)](https://man7.org/linux/man-pages/man2/pidfd_open.2.html). A new one with each call.
    ///
    /// # Errors
    /// - [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput): it was waited for already, so nobody knows whose its number is now.
    /// - [`ErrorKind::OutOfDescriptors`](crate::ErrorKind::OutOfDescriptors), and
    ///   [`ErrorKind::System`](crate::ErrorKind::System) on kernels before 5.3.
    ///
    /// ```
    /// use heirloom::os::linux::ChildExt;
    ///
    /// let mut child = heirloom::Command::new("true").spawn()?;
    /// let ended = child.pidfd()?; // poll it for reading
    /// child.wait()?;
    /// # drop(ended);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    fn pidfd(&self) -> Result<OwnedFd>;
}

impl ChildExt for Child {
    fn pidfd(&self) -> Result<OwnedFd> {
        self.waitable("open a descriptor of")?;
        let opened = sys::process_descriptor(&self.process);
        opened.map_err(|failure| self.failed("open a descriptor of", failure))
    }
}
