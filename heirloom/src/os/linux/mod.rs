//! Extensions for Linux and Android.

mod channel;
mod command;
mod discard;
mod frozen;
mod mapping;
mod regions;
mod secret;

use std::os::fd::OwnedFd;

pub use self::command::CommandExt;
pub use self::discard::DiscardExt;
pub use self::frozen::FrozenOptionsExt;
pub use self::mapping::MappingExt;
pub use self::regions::{Census, Holder, RegionInfo, regions};
pub use self::secret::{SecretMapping, SecretRegion};
use super::unix::sealed::Sealed;
use crate::{Child, Error, Result, sys};

/// Makes this process undumpable: other processes of the same user can then no longer trace it, read its memory, or open
/// its descriptors by `/proc/PID/fd` or `pidfd_getfd`.
///
/// No region can close that way by itself: see `SECURITY.md`. Each holder must call this, and again after every `exec`.
/// The process leaves no core dumps either. See `PR_SET_DUMPABLE` in
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
    sys::set_undumpable().map_err(|failure| Error::system("cannot make this process undumpable", failure))
}

/// Extends [`Child`] by what Linux offers.
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
    /// Opens a pidfd: a descriptor that becomes readable when the child ends, for an event loop or an async runtime.
    ///
    /// Each call opens a new one. See [pidfd_open(2)](https://man7.org/linux/man-pages/man2/pidfd_open.2.html).
    ///
    /// # Errors
    /// - [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput): the child was waited for already, so its process id may belong
    ///   to another process.
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
        self.check_waitable("open a pidfd of")?;
        let opened = self.process.pidfd();
        opened.map_err(|failure| self.failed("open a pidfd of", failure))
    }
}
