use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use super::fill::Filler;
use super::inner::RegionInner;
use crate::{Error, FrozenRegion, Result, sys};

/// Memory that is filled by writing and then frozen; from [`FrozenOptions::writer`](crate::FrozenOptions::writer).
///
/// It is for code that writes into an [`io::Write`]: serializers, compressors, formatters. The bytes go straight into the memory of
/// the region; on Windows and macOS, where memory has its final size from creation, they are buffered until `freeze`. Each `write`
/// is a system call, so put a [`BufWriter`](std::io::BufWriter) in front of many small ones. Nothing is left of a writer that is
/// dropped.
///
/// ```
/// use std::io::Write;
///
/// let mut writer = heirloom::FrozenRegion::options().name("numbers").writer()?;
/// for number in 1..4_u32 {
///     writer.write_all(&number.to_ne_bytes())?;
/// }
/// let region = writer.freeze()?;
/// assert_eq!(*region.map()?, *[1_u32, 2, 3].map(u32::to_ne_bytes).as_flattened());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping a writer drops what was written"]
pub struct FrozenWriter(pub(super) Filler);

impl FrozenWriter {
    /// Freezes what was written.
    ///
    /// # Errors
    /// - [`ErrorKind::OutOfMemory`](crate::ErrorKind::OutOfMemory),
    ///   [`ErrorKind::OutOfDescriptors`](crate::ErrorKind::OutOfDescriptors).
    /// - [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported): this system or sandbox has no memory that can be sealed.
    /// - [`ErrorKind::Mismatch`](crate::ErrorKind::Mismatch): another process resized the memory, or a write failed halfway.
    ///
    /// ```
    /// let empty = heirloom::FrozenRegion::options().writer()?.freeze()?;
    /// assert_eq!(empty.size(), 0);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn freeze(self) -> Result<FrozenRegion> {
        let (memory, size) = self.0.freeze().map_err(failed)?;
        Ok(FrozenRegion(Arc::new(RegionInner::created(memory, size, sys::allocation_granularity()))))
    }
}

/// Writes all of the bytes or fails: with [`io::ErrorKind::FileTooLarge`] beyond
/// [`max_size`](crate::FrozenOptions::max_size), and with [`io::ErrorKind::OutOfMemory`] before memory runs out.
impl Write for FrozenWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Shows the size so far, never the bytes.
impl fmt::Debug for FrozenWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrozenWriter").field("size", &self.0.size()).finish()
    }
}

pub(super) fn failed(failure: sys::Failure) -> Error {
    Error::system("cannot create a frozen region", failure)
}
