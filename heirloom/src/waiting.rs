//! Waits until another process changes a number, and wakes whoever waits.

use std::time::{Duration, Instant};

use crate::mapping::{Mapping, MappingInner, ReadOnlyMapping};
use crate::sys::{self, Wake};
use crate::{Error, Result};

/// The longest sleep before the number is looked at again. Any holder can take a wake away from the others, Linux's
/// `FUTEX_REQUEUE` for example allows it to a reader: so nobody relies on being woken.
const NAP: Duration = Duration::from_secs(1);

impl MappingInner {
    /// Waits until the number at `offset` is not `current`, at most for `timeout`.
    fn wait(&self, offset: usize, current: u32, timeout: Option<Duration>) -> Result<Option<u32>> {
        let failed = |failure| Error::system(format_args!("cannot wait for the number at offset {offset}"), failure);
        let mut start = None;
        loop {
            let now = self.bytes.load_u32(offset)?;
            if now != current {
                return Ok(Some(now));
            }
            let rest =
                timeout.map_or(NAP, |timeout| timeout.saturating_sub(start.get_or_insert_with(Instant::now).elapsed()));
            if rest.is_zero() {
                return Ok(None);
            }
            sys::wait_while(self.bytes.number(offset)?, current, rest.min(NAP)).map_err(failed)?;
        }
    }

    fn wake(&self, offset: usize, wake: Wake) -> Result<()> {
        sys::wake(self.bytes.number(offset)?, wake).map_err(|failure| {
            Error::system(format_args!("cannot wake the waiters of the number at offset {offset}"), failure)
        })
    }
}

/// Implements what a process that only reads can do as well.
macro_rules! waiting {
    ($mapping:ident) => {
        impl $mapping {
            /// Waits until the 32-bit number at `offset` is not `current`, and returns it, with acquire ordering.
            ///
            /// It sleeps in the kernel until a holder calls [`Mapping::wake_one`] or [`Mapping::wake_all`] for that offset. At
            /// least once a second it looks at the number without being woken. So a holder that forgets to wake, dies before it
            /// does or takes the wake for itself delays the others by a second at most. A number that changes and changes back
            /// may go unnoticed: let numbers grow.
            ///
            /// It sees no death: a number that a dead process should have changed stays as it is. Use
            /// [`wait_timeout`](Self::wait_timeout) and look at the process from time to time.
            ///
            /// See [futex(2)](https://man7.org/linux/man-pages/man2/futex.2.html).
            ///
            /// # Errors
            /// - [`ErrorKind::OutOfBounds`](crate::ErrorKind::OutOfBounds): the number exceeds the mapping.
            /// - [`ErrorKind::Misaligned`](crate::ErrorKind::Misaligned): `offset` is not a multiple of 4.
            /// - [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported): the number is still `current`, and the system has no
            ///   such wait: Windows, NetBSD, macOS before 14.4; on FreeBSD a mapping for reading.
            ///
            /// ```
            /// # if cfg!(any(windows, target_os = "netbsd")) { return Ok(()) }
            /// let (region, writer) = heirloom::Region::create(4096)?.into_read_only()?;
            /// let reader = region.map()?;
            /// let waiter = std::thread::spawn(move || reader.wait(0, 0));
            /// writer.atomic_u32(0)?.store(1);
            /// writer.wake_all(0)?;
            /// assert_eq!(waiter.join().unwrap()?, 1);
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            pub fn wait(&self, offset: usize, current: u32) -> Result<u32> {
                // Without a timeout, a wait ends with a number.
                self.0.wait(offset, current, None).map(|number| number.unwrap_or(current))
            }

            /// Waits as [`wait`](Self::wait) does, but at most for `timeout`; `None` if that has passed.
            ///
            /// # Errors
            /// As for [`wait`](Self::wait).
            ///
            /// ```
            /// # if cfg!(any(windows, target_os = "netbsd")) { return Ok(()) }
            /// use std::time::Duration;
            ///
            /// let view = heirloom::Region::create(4096)?.map()?;
            /// assert_eq!(view.wait_timeout(0, 0, Duration::from_millis(1))?, None);
            /// assert_eq!(view.wait_timeout(0, 7, Duration::from_millis(1))?, Some(0));
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            pub fn wait_timeout(&self, offset: usize, current: u32, timeout: Duration) -> Result<Option<u32>> {
                self.0.wait(offset, current, Some(timeout))
            }
        }
    };
}

waiting!(Mapping);
waiting!(ReadOnlyMapping);

impl Mapping {
    /// Wakes one thread, of any process, that waits for the number at `offset`.
    ///
    /// Call it after the number was changed by an operation of [`atomic_u32`](crate::SharedBytes::atomic_u32). A wake is a system
    /// call, which is wasted where nobody waits: let a bit of the number say that somebody does, or wake for every batch.
    ///
    /// Another holder can wait for the same number and so take the wake. Use it only if one waiter is as good as another, and
    /// each wakes the next where it leaves something to do.
    ///
    /// # Errors
    /// - [`ErrorKind::OutOfBounds`](crate::ErrorKind::OutOfBounds): the number exceeds the mapping.
    /// - [`ErrorKind::Misaligned`](crate::ErrorKind::Misaligned): `offset` is not a multiple of 4.
    /// - [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported): on Windows, NetBSD and macOS before 14.4.
    ///
    /// ```
    /// # if cfg!(any(windows, target_os = "netbsd")) { return Ok(()) }
    /// let view = heirloom::Region::create(4096)?.map()?;
    /// let jobs = view.atomic_u32(0)?;
    /// jobs.fetch_add(1);
    /// view.wake_one(0)?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn wake_one(&self, offset: usize) -> Result<()> {
        self.0.wake(offset, Wake::One)
    }

    /// Wakes all threads, of all processes, that wait for the number at `offset`.
    ///
    /// Call it after the number was changed, see [`wake_one`](Self::wake_one).
    ///
    /// # Errors
    /// As for [`wake_one`](Self::wake_one).
    ///
    /// ```
    /// # if cfg!(any(windows, target_os = "netbsd")) { return Ok(()) }
    /// let view = heirloom::Region::create(4096)?.map()?;
    /// view.atomic_u32(0)?.store(1);
    /// view.wake_all(0)?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn wake_all(&self, offset: usize) -> Result<()> {
        self.0.wake(offset, Wake::All)
    }
}
