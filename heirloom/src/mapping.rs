//! Views of a region in this process's address space.

#![allow(unsafe_code)]

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::slice;

use crate::access::{ReadOnlyBytes, SharedBytes};
use crate::sys::View;
use crate::{Error, Result};

/// Pages of this process that show a region; unmapped on drop.
pub(crate) struct Pages {
    bytes: SharedBytes,
    /// What the kernel mapped, which is `bytes` rounded up to whole pages; `None` where nothing is mapped.
    view: Option<View>,
}

impl Pages {
    /// The first `len` bytes of a view.
    pub(crate) fn new(view: View, len: usize) -> Self {
        // SAFETY: A view starts on a page, ends with one behind these bytes, and lives as long as this object.
        let bytes = unsafe { SharedBytes::new(view.start(), len) };
        Self { bytes, view: Some(view) }
    }

    /// The view of a region of no bytes, which no kernel maps.
    pub(crate) fn empty() -> Self {
        // SAFETY: There are no bytes.
        let bytes = unsafe { SharedBytes::new(NonNull::<u64>::dangling().cast(), 0) };
        Self { bytes, view: None }
    }

    fn start(&self) -> NonNull<u8> {
        self.bytes.start()
    }

    fn no_dump(&self) -> Result<()> {
        let kept_out = self.view.as_ref().map_or(Ok(()), View::no_dump);
        kept_out.map_err(|failure| Error::system("cannot keep a mapping out of core dumps", failure))
    }
}

/// What every mapping has, whatever it maps.
macro_rules! mapping {
    ($mapping:ident) => {
        impl $mapping {
            /// Keeps these bytes out of core dumps; what holds a secret wants it.
            ///
            /// It holds for this mapping alone, and for swap it does nothing: see `MADV_DONTDUMP` in
            /// [madvise(2)](https://man7.org/linux/man-pages/man2/madvise.2.html).
            ///
            /// # Errors
            /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) on Windows, which keeps pages out of some dumps only;
            /// [`ErrorKind::System`](crate::ErrorKind::System): the kernel refused.
            ///
            /// ```
            /// use heirloom::{ErrorKind, FrozenRegion};
            ///
            /// let secret = FrozenRegion::from_bytes(b"hunter2")?.map()?;
            /// match secret.no_dump() {
            ///     Err(error) if error.kind() == ErrorKind::Unsupported => eprintln!("{error}"),
            ///     answer => answer?,
            /// }
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            pub fn no_dump(&self) -> Result<()> {
                self.0.no_dump()
            }
        }

        /// Tells where it is and how long, never the bytes.
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

/// A view of a [`Region`](crate::Region): reads and writes that every holder sees.
///
/// What can be done with it is [`SharedBytes`]' page. It outlives its region's handle, and unmaps itself on drop.
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
#[must_use = "the view ends when it is dropped"]
pub struct Mapping(pub(crate) Pages);

mapping!(Mapping);

impl Deref for Mapping {
    type Target = SharedBytes;

    fn deref(&self) -> &SharedBytes {
        &self.0.bytes
    }
}

/// A view of a [`ReadOnlyRegion`](crate::ReadOnlyRegion): reads of what the publisher may still change.
///
/// What can be done with it is [`ReadOnlyBytes`]' page.
///
/// ```
/// let (region, writer) = heirloom::Region::create(4096)?.into_read_only()?;
/// let reader = region.map()?;
/// writer.atomic_u64(8)?.store(7);
/// assert_eq!(reader.load_u64(8)?, 7);
/// # Ok::<(), heirloom::Error>(())
/// ```
#[must_use = "the view ends when it is dropped"]
pub struct ReadOnlyMapping(pub(crate) Pages);

mapping!(ReadOnlyMapping);

impl Deref for ReadOnlyMapping {
    type Target = ReadOnlyBytes;

    fn deref(&self) -> &ReadOnlyBytes {
        &self.0.bytes
    }
}

/// A view of a [`FrozenRegion`](crate::FrozenRegion): a plain `&[u8]`, since the kernel lets nobody change it.
///
/// ```
/// let region = heirloom::FrozenRegion::from_bytes(b"the quick brown fox")?;
/// let text = region.map()?;
/// assert_eq!(text.split(|byte| *byte == b' ').count(), 4);
/// # Ok::<(), heirloom::Error>(())
/// ```
///
/// Writing through it doesn't compile:
/// ```compile_fail,E0594
/// let region = heirloom::FrozenRegion::from_bytes(b"fixed")?;
/// let mut text = region.map()?;
/// text[0] = b'F';
/// # Ok::<(), heirloom::Error>(())
/// ```
#[must_use = "the view ends when it is dropped"]
pub struct FrozenMapping(pub(crate) Pages);

mapping!(FrozenMapping);

impl Deref for FrozenMapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let bytes = &self.0.bytes;
        // SAFETY: The region is sealed against writing and against any change of size, which the kernel told when the
        // handle was made and which is for ever; and the mapping lives as long as the slice.
        unsafe { slice::from_raw_parts(bytes.as_ptr(), bytes.len()) }
    }
}

impl AsRef<[u8]> for FrozenMapping {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// A copy-on-write view of a region that others may write: what is written here nobody else sees.
///
/// A page that was not written here yet still shows the writes of others, so there is no safe slice over it. What can
/// be done with it is [`SharedBytes`]' page. See `MAP_PRIVATE` in
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
#[must_use = "the view ends when it is dropped"]
pub struct CopyMapping(pub(crate) Pages);

mapping!(CopyMapping);

impl Deref for CopyMapping {
    type Target = SharedBytes;

    fn deref(&self) -> &SharedBytes {
        &self.0.bytes
    }
}

/// A copy-on-write view of a [`FrozenRegion`](crate::FrozenRegion): a plain `&mut [u8]`, whose pages are this process's
/// own from the first write on.
///
/// ```
/// let region = heirloom::FrozenRegion::from_bytes(b"draft")?;
/// let mut mine = region.map_copy()?;
/// mine.make_ascii_uppercase();
/// assert_eq!(&*mine, b"DRAFT");
/// assert_eq!(&*region.map()?, b"draft");
/// # Ok::<(), heirloom::Error>(())
/// ```
#[must_use = "the view ends when it is dropped"]
pub struct FrozenCopyMapping(pub(crate) Pages);

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
