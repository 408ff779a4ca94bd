//! Mappings: regions in this process's address space.

#![allow(unsafe_code)]

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::slice;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::time::Duration;

use crate::access::{ReadOnlyBytes, SharedBytes};
#[cfg(any(target_os = "linux", target_os = "android"))]
use crate::sys::Protection;
use crate::sys::View;
use crate::{Error, Result};

/// What every mapping type wraps; unmapped on drop.
pub(crate) struct MappingInner {
    pub(crate) bytes: SharedBytes,
    /// The mapped pages, which hold `bytes` and the rest of the last page; `None` for an empty region.
    view: Option<View>,
    /// The alignment of mapping offsets, in bytes: the size of the pages.
    #[allow(dead_code)] // Only Linux makes holes.
    pub(crate) granularity: usize,
}

impl MappingInner {
    /// Shows the first `len` bytes of a view.
    pub(crate) fn new(view: View, len: usize, granularity: usize) -> Self {
        // SAFETY: A view starts and ends on a page boundary, holds at least `len` bytes, and lives as long as this object.
        let bytes = unsafe { SharedBytes::new(view.start(), len) };
        Self { bytes, view: Some(view), granularity }
    }

    /// Returns the mapping of an empty region, which no kernel maps.
    pub(crate) fn empty() -> Self {
        // SAFETY: The pointer is aligned, and there are no bytes to access.
        let bytes = unsafe { SharedBytes::new(NonNull::<u64>::dangling().cast(), 0) };
        Self { bytes, view: None, granularity: 1 }
    }

    fn start(&self) -> NonNull<u8> {
        self.bytes.start()
    }

    /// Puts the bytes into huge pages until `limit` has passed, and returns how many are. The address may change.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn use_huge_pages(&mut self, limit: Duration) -> Result<usize> {
        let len = self.bytes.len();
        let Some(view) = &mut self.view else { return Ok(0) };
        // SAFETY: The byte is within the mapping. Other processes may write it meanwhile.
        let touch = |byte| _ = unsafe { SharedBytes::new(byte, 1) }.read_at(0, &mut [0]);
        let huge = view.use_huge_pages(len, limit, touch);
        // SAFETY: As in `new`. The bytes were moved with the view, also where the call failed later.
        self.bytes = unsafe { SharedBytes::new(view.start(), len) };
        huge.map_err(|failure| {
            Error::system(format_args!("cannot use huge pages for a mapping of {len} bytes"), failure)
        })
    }

    /// Gives whole pages back to the system, which are zero afterwards.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn discard_pages(&self, offset: usize, len: usize) -> Result<()> {
        let discarded = self.view.as_ref().map_or(Ok(()), |view| view.discard(offset, len));
        discarded.map_err(|failure| {
            Error::system(format_args!("cannot give {len} bytes at offset {offset} back to the system"), failure)
        })
    }

    /// Seals the mapping, which has that protection, until this process ends.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn seal(&self, protection: Protection) -> Result<()> {
        let sealed = self.view.as_ref().map_or(Ok(()), |view| view.seal(protection));
        sealed.map_err(|failure| {
            Error::system(format_args!("cannot seal a mapping of {} bytes", self.bytes.len()), failure)
        })
    }

    /// Leaves the mapping out of every process that a fork makes of this one.
    ///
    /// # Safety
    /// As for `MappingExt::exclude_from_fork`.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) unsafe fn exclude_from_fork(&self) -> Result<()> {
        let Some(view) = &self.view else { return Ok(()) };
        // SAFETY: The caller guarantees it.
        let excluded = unsafe { view.exclude_from_fork() };
        excluded.map_err(|failure| Error::system("cannot exclude a mapping from forks", failure))
    }

    fn no_dump(&self) -> Result<()> {
        let excluded = self.view.as_ref().map_or(Ok(()), View::no_dump);
        excluded.map_err(|failure| Error::system("cannot exclude a mapping from core dumps", failure))
    }
}

/// Implements what every mapping type has.
macro_rules! mapping {
    ($mapping:ident) => {
        impl $mapping {
            /// Excludes this mapping from core dumps, for secrets.
            ///
            /// Other mappings of the region are unaffected, and the bytes can still be swapped out: see `MADV_DONTDUMP` in
            /// [madvise(2)](https://man7.org/linux/man-pages/man2/madvise.2.html).
            ///
            /// # Errors
            /// - [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported): on Windows, macOS, OpenBSD and NetBSD.
            /// - [`ErrorKind::System`](crate::ErrorKind::System): the kernel refused.
            ///
            /// ```
            /// use heirloom::{ErrorKind, FrozenRegion};
            ///
            /// let secret = FrozenRegion::from_bytes(b"hunter2")?.map()?;
            /// match secret.no_dump() {
            ///     Err(error) if error.kind() == ErrorKind::Unsupported => eprintln!("{error}"),
            ///     result => result?,
            /// }
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            pub fn no_dump(&self) -> Result<()> {
                self.0.no_dump()
            }
        }

        /// Shows address and length, never the bytes.
        impl fmt::Debug for $mapping {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($mapping))
                    .field("address", &self.0.start())
                    .field("len", &self.0.bytes.len())
                    .finish()
            }
        }
    };
}

/// A mapping of a [`Region`](crate::Region): every holder sees its writes.
///
/// It dereferences to [`SharedBytes`], which has the methods. It keeps the memory alive after its region's handle is
/// dropped, and unmaps on drop.
///
/// ```
/// let region = heirloom::Region::create(4096)?;
/// let view = region.map()?;
/// drop(region);
///
/// view.write_at(100, b"hello")?;
/// let mut word = [0; 5];
/// view.read_at(100, &mut word)?;
/// assert_eq!(&word, b"hello");
/// # Ok::<(), heirloom::Error>(())
/// ```
#[must_use = "dropping a mapping unmaps it"]
pub struct Mapping(pub(crate) MappingInner);

mapping!(Mapping);

#[cfg(all(test, target_os = "linux"))]
impl Mapping {
    /// Makes another over the same addresses: to a tool that watches accesses, two mappings are different memory.
    ///
    /// # Safety
    /// It is used no longer than this one lives.
    pub(crate) unsafe fn again(&self) -> Self {
        let mut same = MappingInner::empty();
        // SAFETY: As in `new`; the caller keeps this mapping.
        same.bytes = unsafe { SharedBytes::new(self.0.start(), self.0.bytes.len()) };
        Self(same)
    }
}

impl Deref for Mapping {
    type Target = SharedBytes;

    fn deref(&self) -> &SharedBytes {
        &self.0.bytes
    }
}

/// A mapping of a [`ReadOnlyRegion`](crate::ReadOnlyRegion): it reads bytes that the writer may still change.
///
/// It dereferences to [`ReadOnlyBytes`], which has the methods.
///
/// ```
/// let (region, writer) = heirloom::Region::create(4096)?.into_read_only()?;
/// let reader = region.map()?;
/// writer.atomic_u64(8)?.store(7);
/// assert_eq!(reader.load_u64(8)?, 7);
/// # Ok::<(), heirloom::Error>(())
/// ```
#[must_use = "dropping a mapping unmaps it"]
pub struct ReadOnlyMapping(pub(crate) MappingInner);

mapping!(ReadOnlyMapping);

impl Deref for ReadOnlyMapping {
    type Target = ReadOnlyBytes;

    fn deref(&self) -> &ReadOnlyBytes {
        &self.0.bytes
    }
}

/// A mapping of a [`FrozenRegion`](crate::FrozenRegion): a plain `&[u8]`, since the region is sealed against all writing.
///
/// ```
/// let region = heirloom::FrozenRegion::from_bytes(b"the quick brown fox")?;
/// let text = region.map()?;
/// assert_eq!(text.split(|byte| *byte == b' ').count(), 4);
/// # Ok::<(), heirloom::Error>(())
/// ```
///
/// Writing to it doesn't compile:
/// ```compile_fail,E0594
/// let region = heirloom::FrozenRegion::from_bytes(b"fixed")?;
/// let mut text = region.map()?;
/// text[0] = b'F';
/// # Ok::<(), heirloom::Error>(())
/// ```
#[must_use = "dropping a mapping unmaps it"]
pub struct FrozenMapping(pub(crate) MappingInner);

mapping!(FrozenMapping);

impl Deref for FrozenMapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let bytes = &self.0.bytes;
        // SAFETY: The region is sealed against writing and resizing: the kernel confirmed it when the handle was made, and
        // seals can't be removed. Where the system has no seals, the creating process guarantees it: it kept no writable
        // handle. The mapping outlives the slice.
        unsafe { slice::from_raw_parts(bytes.as_ptr(), bytes.len()) }
    }
}

impl AsRef<[u8]> for FrozenMapping {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// A copy-on-write mapping of a region that other processes may write: no other mapping sees its writes.
///
/// A page that this mapping has not written yet still shows other writers' changes, so there is no safe slice over it. It
/// dereferences to [`SharedBytes`], which has the methods. See `MAP_PRIVATE` in
/// [mmap(2)](https://man7.org/linux/man-pages/man2/mmap.2.html).
///
/// ```
/// let region = heirloom::Region::create(4096)?;
/// let private = region.map_copy()?;
/// private.write_at(0, b"mine")?;
///
/// let mut seen = [1; 4];
/// region.map()?.read_at(0, &mut seen)?;
/// assert_eq!(seen, [0; 4]);
/// # Ok::<(), heirloom::Error>(())
/// ```
///
/// No other process can wake who waits for a private page, so it has no `wait`:
/// ```compile_fail,E0599
/// let private = heirloom::Region::create(4096)?.map_copy()?;
/// private.wait(0, 0)?;
/// # Ok::<(), heirloom::Error>(())
/// ```
#[must_use = "dropping a mapping unmaps it"]
pub struct CopyMapping(pub(crate) MappingInner);

mapping!(CopyMapping);

impl Deref for CopyMapping {
    type Target = SharedBytes;

    fn deref(&self) -> &SharedBytes {
        &self.0.bytes
    }
}

/// A copy-on-write mapping of a [`FrozenRegion`](crate::FrozenRegion): a plain `&mut [u8]`, whose pages become private on
/// the first write.
///
/// ```
/// let region = heirloom::FrozenRegion::from_bytes(b"draft")?;
/// let mut mine = region.map_copy()?;
/// mine.make_ascii_uppercase();
/// assert_eq!(&*mine, b"DRAFT");
/// assert_eq!(&*region.map()?, b"draft");
/// # Ok::<(), heirloom::Error>(())
/// ```
#[must_use = "dropping a mapping unmaps it"]
pub struct FrozenCopyMapping(pub(crate) MappingInner);

mapping!(FrozenCopyMapping);

impl Deref for FrozenCopyMapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let bytes = &self.0.bytes;
        // SAFETY: Nobody can write the region below, nobody else maps the copies above, and `&self` keeps `&mut self`
        // away.
        unsafe { slice::from_raw_parts(bytes.as_ptr(), bytes.len()) }
    }
}

impl DerefMut for FrozenCopyMapping {
    fn deref_mut(&mut self) -> &mut [u8] {
        let bytes = &self.0.bytes;
        // SAFETY: As above, and `&mut self` makes this the only reference.
        unsafe { slice::from_raw_parts_mut(bytes.as_mut_ptr(), bytes.len()) }
    }
}

impl AsRef<[u8]> for FrozenCopyMapping {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for FrozenCopyMapping {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}
