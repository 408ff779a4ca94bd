//! Giving memory back to the system.

use crate::os::unix::sealed::Sealed;
use crate::{Mapping, Result};

/// Extends [`Mapping`] by giving memory back while the region lives.
///
/// ```
/// use heirloom::Region;
/// use heirloom::os::linux::DiscardExt;
///
/// let view = Region::create(1 << 20)?.map()?;
/// view.write_at(0, &[7; 1 << 20])?;
/// view.discard(4096, 512 << 10)?;
/// assert_eq!((view.load_u32(0)?, view.load_u32(4096)?), (0x0707_0707, 0));
/// # Ok::<(), heirloom::Error>(())
/// ```
pub trait DiscardExt: Sealed {
    /// Fills `len` bytes at `offset` with zeros, for every holder, and gives the whole pages among them back to the system, as
    /// far as it can split huge ones.
    ///
    /// The size stays, and a page gets memory again at its next access. A concurrent reader may see each byte old or zero, and
    /// what a concurrent writer writes may be lost. What was reserved is given up too: of huge pages of the pool, of a file in
    /// a directory, and of `populate`. If there is nothing left by the next access, that ends the process. See
    /// `MADV_REMOVE` in [madvise(2)](https://man7.org/linux/man-pages/man2/madvise.2.html).
    ///
    /// # Errors
    /// - [`ErrorKind::OutOfBounds`](crate::ErrorKind::OutOfBounds): the range exceeds the mapping; nothing was changed.
    /// - [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported): the region was made read-only, pages of the range are locked
    ///   in memory, or a directory's file system has no holes. Some of the bytes may be zero.
    ///
    /// ```
    /// use heirloom::os::linux::DiscardExt;
    /// use heirloom::{ErrorKind, Region};
    ///
    /// let view = Region::create(4096)?.map()?;
    /// assert_eq!(view.discard(1, 4096).unwrap_err().kind(), ErrorKind::OutOfBounds);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    fn discard(&self, offset: usize, len: usize) -> Result<()>;
}

impl DiscardExt for Mapping {
    fn discard(&self, offset: usize, len: usize) -> Result<()> {
        let end = self.end_of(offset, len)?;
        let page = self.0.granularity;
        let (first, last) = (offset.checked_next_multiple_of(page).unwrap_or(usize::MAX), end - end % page);
        if first >= last {
            return self.write_at(offset, &vec![0; len]);
        }
        self.0.discard_pages(first, last - first)?;
        self.write_at(offset, &vec![0; first - offset])?;
        self.write_at(last, &vec![0; end - last])
    }
}
