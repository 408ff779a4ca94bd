use std::sync::Arc;

use crate::handle::handle;
use crate::object::Object;
use crate::{ConvertError, FrozenRegion, Mapping, ReadOnlyRegion, RegionKind, RegionOptions, Result};

/// Memory without a name that every holder may write.
///
/// Its size is fixed from birth: no holder can shrink it under another. Clones are handles to the same region, over the
/// same descriptor; the memory lives until the last handle, mapping or child that holds it is gone.
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
/// Once frozen it is gone:
/// ```compile_fail,E0382
/// let region = heirloom::Region::create(4096)?;
/// let frozen = region.freeze()?;
/// region.map()?;
/// # Ok::<(), heirloom::Error>(())
/// ```
#[derive(Clone)]
pub struct Region(pub(crate) Arc<Object>);

handle!(Region, Writable, Mapping by Shared, CopyMapping, "Region::create(4096)?");

impl Region {
    /// Makes a region of `size` bytes, all zero; close-on-exec, so that only children get it that are given it.
    ///
    /// # Errors
    /// As for [`RegionOptions::create`].
    ///
    /// ```
    /// let region = heirloom::Region::create(1 << 30)?; // no memory is used before it is touched
    /// # assert_eq!(region.size(), 1 << 30);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn create(size: u64) -> Result<Self> {
        Self::options().create(size)
    }

    /// The choices there are, all at their defaults.
    ///
    /// ```
    /// let region = heirloom::Region::options().name("frames").create(4096)?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn options() -> RegionOptions {
        RegionOptions::default()
    }

    /// Ends the making of writers: from now on nobody, in any process, can make a new writable mapping or write by any
    /// other call.
    ///
    /// Returns the region for the readers, and the mapping through which this process goes on writing. Keep that: once it
    /// is dropped, nobody can ever write again. Other mappings from before stay writable too.
    ///
    /// Published before it is handed down, a region has one writer: the holder of that mapping. What else was mapped
    /// before, even for reading only, or pinned, can still write: see `SECURITY.md`, and `F_SEAL_FUTURE_WRITE` in
    /// [F_ADD_SEALS(2const)](https://man7.org/linux/man-pages/man2/F_ADD_SEALS.2const.html).
    ///
    /// # Errors
    /// The region comes back with them.
    /// - [`ErrorKind::Sealed`](crate::ErrorKind::Sealed): it was published or frozen before, or a holder forbade further
    ///   seals.
    /// - [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported): its backing, or a kernel before 5.1, has no such seal.
    /// - [`ErrorKind::StillWritable`](crate::ErrorKind::StillWritable): on Windows, other processes may hold it for writing.
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

    /// Ends all writing: from now on nobody, in any process, can change a byte, for as long as the region lives.
    ///
    /// Another holder may have done it already: that is a success.
    ///
    /// # Errors
    /// The region comes back with them.
    /// - [`ErrorKind::StillWritable`](crate::ErrorKind::StillWritable): some process has it mapped for writing, this one
    ///   included, or has a page of it pinned; on Windows, also where another process may hold it for writing at all.
    /// - [`ErrorKind::Sealed`](crate::ErrorKind::Sealed): a holder forbade further seals, as any holder of a writable
    ///   region can. [`FrozenRegion::copy_of`] is the way out of both.
    /// - [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported): its backing can't be sealed.
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

    /// [`RegionKind::Writable`], or [`RegionKind::Unsealed`] where it is a file in a directory.
    ///
    /// ```
    /// use heirloom::{RegionKind, Region};
    /// assert_eq!(Region::create(4096)?.kind(), RegionKind::Writable);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn kind(&self) -> RegionKind {
        if self.0.unsealed { RegionKind::Unsealed } else { RegionKind::Writable }
    }
}
