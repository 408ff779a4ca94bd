use std::sync::Arc;

use super::common::handle;
use super::inner::{Backing, RegionInner};
use crate::{ConvertError, FrozenRegion, Mapping, ReadOnlyRegion, RegionKind, RegionOptions, Result};

/// Anonymous memory that every holder can read and write.
///
/// Its size is fixed at creation: no holder can shrink it under another. Clones are handles of the same region over the
/// same descriptor. The memory is freed when the last handle, mapping or child that holds it is gone.
///
/// ```
/// use heirloom::{Command, Region};
///
/// let frames = Region::create(64 << 20)?; // 64 MiB, zeroed
/// let view = frames.map()?;
/// let mut child = Command::new("true").inherit("frames", &frames)?.spawn()?;
/// child.wait()?;
/// # Ok::<(), heirloom::Error>(())
/// ```
///
/// Freezing consumes the handle. A clone keeps its type and kind, and its `map` then fails with
/// [`ErrorKind::Sealed`](crate::ErrorKind::Sealed).
/// ```compile_fail,E0382
/// let region = heirloom::Region::create(4096)?;
/// let frozen = region.freeze()?;
/// region.map()?;
/// # Ok::<(), heirloom::Error>(())
/// ```
#[derive(Clone)]
pub struct Region(pub(crate) Arc<RegionInner>);

handle!(Region, Writable, Mapping by Shared, CopyMapping, "Region::create(4096)?");

impl Region {
    /// Creates a region of `size` bytes, zeroed and close-on-exec.
    ///
    /// The memory is used page by page as it is touched.
    ///
    /// # Errors
    /// As for [`RegionOptions::create`].
    ///
    /// ```
    /// let region = heirloom::Region::create(1 << 30)?;
    /// # assert_eq!(region.size(), 1 << 30);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn create(size: u64) -> Result<Self> {
        Self::options().create(size)
    }

    /// Returns the options for a new region, all at their defaults.
    ///
    /// ```
    /// let region = heirloom::Region::options().name("frames").create(4096)?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn options() -> RegionOptions {
        RegionOptions::default()
    }

    /// Seals the region against new writers: from now on no process can map it for writing or write to it by another call.
    ///
    /// Returns the read-only region and the mapping through which this process keeps writing. Dropping that mapping is
    /// final: nobody can write then. Other mappings that existed before the call stay writable.
    ///
    /// A region that is converted before any child inherits it has one writer, the holder of the returned mapping. After
    /// that, an older mapping or a pinned page can still write, even through a mapping that was made for reading: see
    /// `SECURITY.md`, and `F_SEAL_FUTURE_WRITE` in
    /// [F_ADD_SEALS(2const)](https://man7.org/linux/man-pages/man2/F_ADD_SEALS.2const.html).
    ///
    /// # Errors
    /// The region comes back by [`ConvertError::into_inner`].
    /// - [`ErrorKind::Sealed`](crate::ErrorKind::Sealed): it is read-only or frozen already, or a holder forbade further seals.
    /// - [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported): its backing or the kernel (Linux before 5.1) has no such seal.
    /// - [`ErrorKind::StillWritable`](crate::ErrorKind::StillWritable): on Windows and macOS, another process may hold it for
    ///   writing.
    /// - [`ErrorKind::OutOfMemory`](crate::ErrorKind::OutOfMemory): the address space is full.
    ///
    /// ```
    /// let (region, writer) = heirloom::Region::create(4096)?.into_read_only()?;
    /// writer.write_at(0, b"news")?;
    ///
    /// let mut read = [0; 4];
    /// region.map()?.read_at(0, &mut read)?;
    /// assert_eq!(&read, b"news");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn into_read_only(self) -> Result<(ReadOnlyRegion, Mapping), ConvertError<Self>> {
        match self.map().and_then(|mapping| self.0.make_read_only().map(|()| mapping)) {
            Ok(mapping) => Ok((ReadOnlyRegion(self.0), mapping)),
            Err(error) => Err(ConvertError::new(error, self)),
        }
    }

    /// Seals the region against all writing: from now on no process can change a byte, for as long as the region lives.
    ///
    /// Succeeds if another holder froze it already. Any holder of a writable or read-only region can make it fail.
    ///
    /// # Errors
    /// The region comes back by [`ConvertError::into_inner`].
    /// - [`ErrorKind::StillWritable`](crate::ErrorKind::StillWritable): a process, possibly this one, maps it for writing or has a
    ///   page of it pinned. On Windows and macOS, also if another process may hold it for writing.
    /// - [`ErrorKind::Sealed`](crate::ErrorKind::Sealed): a holder forbade further seals. [`FrozenRegion::copy_of`] makes a
    ///   frozen copy in both cases.
    /// - [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported): its backing can't be sealed.
    ///
    /// A holder of a writable region can also make this call and `into_read_only` wait, even for ever: see "Limits" in
    /// `SECURITY.md`.
    ///
    /// ```
    /// let region = heirloom::Region::create(4096)?;
    /// region.map()?.write_at(0, b"final")?;
    /// let frozen = region.freeze()?;
    /// assert!(frozen.map()?.starts_with(b"final"));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn freeze(self) -> Result<FrozenRegion, ConvertError<Self>> {
        match self.0.freeze() {
            Ok(()) => Ok(FrozenRegion(self.0)),
            Err(error) => Err(ConvertError::new(error, self)),
        }
    }

    /// Returns [`RegionKind::Writable`], or [`RegionKind::Unsealed`] for a file in a directory.
    ///
    /// ```
    /// use heirloom::{Region, RegionKind};
    /// assert_eq!(Region::create(4096)?.kind(), RegionKind::Writable);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn kind(&self) -> RegionKind {
        if self.0.backing == Backing::File { RegionKind::Unsealed } else { RegionKind::Writable }
    }
}
