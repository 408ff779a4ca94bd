use std::fs::File;
use std::io::{Read, Seek};
use std::sync::Arc;

use super::common::handle;
use super::fill::{Filler, check_max};
use super::frozen_writer::{FrozenWriter, failed};
use super::inner::RegionInner;
use super::name::check_name;
use crate::sys::{self, Filling};
use crate::transfer::claim_quietly;
use crate::{AsRegion, Error, ErrorKind, RegionKind, Result};

/// Anonymous memory that is sealed against all writing, by every holder, for ever.
///
/// Its mapping is a plain `&[u8]`. That is sound in a child that doesn't trust its parent, too: a handle exists only after
/// the kernel has confirmed the seals. (Windows and macOS have no seals: there it relies on the creating process.)
///
/// It is made by [`Region::freeze`](crate::Region::freeze), or directly from bytes, a reader, a file or a
/// writer. It may be empty.
///
/// ```
/// use heirloom::{Command, FrozenRegion};
///
/// let key = FrozenRegion::from_bytes(b"a secret")?;
/// let mut child = Command::new("true").inherit("key", &key)?.spawn()?;
/// child.wait()?;
/// # Ok::<(), heirloom::Error>(())
/// ```
#[derive(Clone)]
pub struct FrozenRegion(pub(crate) Arc<RegionInner>);

handle!(FrozenRegion, Frozen, FrozenMapping by ReadOnly, FrozenCopyMapping, "FrozenRegion::from_bytes([0; 4096])?");

impl FrozenRegion {
    /// Freezes a copy of `bytes`.
    ///
    /// # Errors
    /// As for [`FrozenOptions::from_bytes`].
    ///
    /// ```
    /// let region = heirloom::FrozenRegion::from_bytes("text")?;
    /// assert_eq!(&*region.map()?, b"text");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn from_bytes(bytes: impl AsRef<[u8]>) -> Result<Self> {
        Self::options().from_bytes(bytes)
    }

    /// Freezes everything that `reader` returns until its end.
    ///
    /// # Errors
    /// As for [`FrozenOptions::from_reader`].
    ///
    /// ```
    /// let region = heirloom::FrozenRegion::from_reader(&b"from anywhere"[..])?;
    /// assert_eq!(&*region.map()?, b"from anywhere");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn from_reader(reader: impl Read) -> Result<Self> {
        Self::options().from_reader(reader)
    }

    /// Freezes the contents of `file` from its current position to its end.
    ///
    /// If another process writes the file at the same time, the region may mix old and new bytes; this is not detected.
    ///
    /// # Errors
    /// As for [`FrozenOptions::from_file`].
    ///
    /// ```
    /// let file = std::fs::File::open("Cargo.toml")?;
    /// let region = heirloom::FrozenRegion::from_file(&file)?;
    /// assert!(region.map()?.starts_with(b"[package]"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_file(file: &File) -> Result<Self> {
        Self::options().from_file(file)
    }

    /// Freezes a copy of the current contents of a region, which no holder of that region can prevent.
    ///
    /// If another process writes at the same time, the copy may mix old and new bytes.
    ///
    /// # Errors
    /// As for [`FrozenOptions::copy_of`].
    ///
    /// ```
    /// let region = heirloom::Region::create(4096)?;
    /// let view = region.map()?; // `region` itself can't be frozen while this lives
    /// view.write_at(0, b"now")?;
    /// let frozen = heirloom::FrozenRegion::copy_of(&region)?;
    /// view.write_at(0, b"new")?;
    /// assert!(frozen.map()?.starts_with(b"now"));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn copy_of(region: &(impl AsRegion + ?Sized)) -> Result<Self> {
        Self::options().copy_of(region)
    }

    /// Returns the options for a new frozen region, all at their defaults.
    ///
    /// ```
    /// let region = heirloom::FrozenRegion::options().name("key").from_bytes("hunter2")?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn options() -> FrozenOptions {
        FrozenOptions::default()
    }

    /// Returns another handle, which asks the child that inherits it to map it copy-on-write.
    ///
    /// In a child in C, `PR_MemMap` then makes a private writable mapping (`PR_PROT_WRITECOPY`). A child in Rust chooses
    /// for itself, and reads the request by [`is_copy_on_write`](Self::is_copy_on_write).
    ///
    /// # Errors
    /// [`ErrorKind::OutOfDescriptors`](crate::ErrorKind::OutOfDescriptors).
    ///
    /// ```
    /// use heirloom::{Command, FrozenRegion};
    ///
    /// let template = FrozenRegion::from_bytes(b"initial state")?.copy_on_write()?;
    /// let mut command = Command::new("worker");
    /// command.inherit("state", &template)?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn copy_on_write(&self) -> Result<Self> {
        let mut inner = self.0.duplicate()?;
        inner.copy_on_write = true;
        Ok(Self(inner.into()))
    }

    /// Returns whether the exporting process asked for a copy-on-write mapping, as [`map_copy`](Self::map_copy) makes.
    ///
    /// ```
    /// use heirloom::FrozenRegion;
    ///
    /// let template = FrozenRegion::from_bytes(b"draft")?;
    /// assert!(!template.is_copy_on_write());
    /// assert!(template.copy_on_write()?.is_copy_on_write());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn is_copy_on_write(&self) -> bool {
        self.0.copy_on_write
    }

    /// Returns [`RegionKind::Frozen`].
    ///
    /// ```
    /// use heirloom::{FrozenRegion, RegionKind};
    /// assert_eq!(FrozenRegion::from_bytes("x")?.kind(), RegionKind::Frozen);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn kind(&self) -> RegionKind {
        RegionKind::Frozen
    }
}

/// Options for a new [`FrozenRegion`]; from [`FrozenRegion::options`].
///
/// ```
/// use heirloom::FrozenRegion;
///
/// let words = FrozenRegion::options().name("words").from_bytes("one two three")?;
/// # assert_eq!(words.size(), 13);
/// # Ok::<(), heirloom::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct FrozenOptions {
    name: Option<String>,
    max_size: Option<u64>,
    /// Only `os::linux` sets it.
    pub(crate) huge_pages: bool,
}

#[allow(clippy::wrong_self_convention)] // `from_bytes` and its kin make a region, not options.
impl FrozenOptions {
    /// Sets a name for debugging, which Linux shows as `/memfd:heirloom/NAME`. Nothing can be opened by it.
    ///
    /// It has 1 to 240 bytes and no NUL.
    ///
    /// ```
    /// let region = heirloom::FrozenRegion::options().name("key").from_bytes("hunter2")?;
    /// assert!(format!("{region:?}").contains("key"));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn name(&mut self, name: impl Into<String>) -> &mut Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the largest size in bytes, for input that isn't trusted. Without it, an endless input takes most of the memory that
    /// is left before it is an error.
    ///
    /// More is [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge), and exactly as much is accepted. Bytes, a region and a
    /// file that are larger are refused before anything is copied. Of a pipe or a reader, at most one byte beyond the maximum
    /// is taken.
    ///
    /// ```
    /// use heirloom::{ErrorKind, FrozenRegion};
    ///
    /// let mut options = FrozenRegion::options();
    /// options.max_size(1 << 20);
    /// let endless = std::io::repeat(0);
    /// assert_eq!(options.from_reader(endless).unwrap_err().kind(), ErrorKind::TooLarge);
    /// assert_eq!(options.from_bytes(vec![0; 1 << 20])?.size(), 1 << 20);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn max_size(&mut self, bytes: u64) -> &mut Self {
        self.max_size = Some(bytes);
        self
    }

    /// Freezes a copy of `bytes`.
    ///
    /// # Errors
    /// - [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput): a bad name.
    /// - [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge): the size exceeds [`max_size`](Self::max_size), or this process's
    ///   limit (`ulimit -f`), see [`RegionOptions::create`](crate::RegionOptions::create).
    /// - [`ErrorKind::OutOfMemory`](crate::ErrorKind::OutOfMemory),
    ///   [`ErrorKind::OutOfDescriptors`](crate::ErrorKind::OutOfDescriptors).
    /// - [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported): this system or sandbox has no memory that can be sealed.
    ///
    /// ```
    /// let region = heirloom::FrozenRegion::options().from_bytes([1, 2, 3])?;
    /// assert_eq!(*region.map()?, [1, 2, 3]);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn from_bytes(&self, bytes: impl AsRef<[u8]>) -> Result<FrozenRegion> {
        let bytes = bytes.as_ref();
        self.fill(|| Some(bytes.len() as u64), |filler| filler.write(bytes))
    }

    /// Freezes everything that `reader` returns until its end.
    ///
    /// # Errors
    /// As for `from_bytes`, and the reader's own errors.
    ///
    /// ```
    /// let input: &[u8] = b"from anywhere";
    /// let region = heirloom::FrozenRegion::options().name("input").from_reader(input)?;
    /// # assert_eq!(region.size(), 13);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn from_reader(&self, mut reader: impl Read) -> Result<FrozenRegion> {
        self.fill(|| None, |filler| filler.read_from(&mut reader))
    }

    /// Freezes the contents of `file` from its current position to its end, and leaves the position there.
    ///
    /// The kernel copies from the file's pages to the region's without a buffer in between. The file may be a pipe, a
    /// terminal or a device. If another process writes the file at the same time, the region may mix old and new bytes;
    /// this is not detected.
    ///
    /// # Errors
    /// As for `from_bytes`, and the errors of reading the file.
    ///
    /// ```
    /// let file = std::fs::File::open("Cargo.toml")?;
    /// let region = heirloom::FrozenRegion::options().name("manifest").from_file(&file)?;
    /// assert_eq!(region.size(), file.metadata()?.len());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_file(&self, file: &File) -> Result<FrozenRegion> {
        self.fill(|| rest_of(file, self.max_size), |filler| filler.copy_file(file))
    }

    /// Freezes a copy of the current contents of a region.
    ///
    /// # Errors
    /// As for `from_bytes`, and [`ErrorKind::WrongKind`](crate::ErrorKind::WrongKind) for a secret region, whose bytes other
    /// processes could read in a copy.
    ///
    /// ```
    /// let region = heirloom::Region::create(4096)?;
    /// let frozen = heirloom::FrozenRegion::options().name("snapshot").copy_of(&region)?;
    /// assert_eq!(frozen.size(), 4096);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn copy_of(&self, region: &(impl AsRegion + ?Sized)) -> Result<FrozenRegion> {
        let inner = region.inner();
        if region.kind() == RegionKind::Secret {
            let message = format!("cannot freeze a copy of {inner}: other processes could read the copy");
            let advice = "map it, and freeze what need not be secret by FrozenRegion::from_bytes";
            return Err(Error::advised(ErrorKind::WrongKind, message, advice));
        }
        self.fill(|| Some(inner.size()), |filler| filler.copy_from(inner))
    }

    /// Returns a writer: what is written to it becomes the region.
    ///
    /// # Errors
    /// As for `from_bytes`.
    ///
    /// ```
    /// use std::io::Write;
    ///
    /// let mut writer = heirloom::FrozenRegion::options().max_size(1 << 20).writer()?;
    /// write!(writer, "{} + {} = {}", 1, 2, 1 + 2)?;
    /// assert_eq!(&*writer.freeze()?.map()?, b"1 + 2 = 3");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn writer(&self) -> Result<FrozenWriter> {
        self.start(|| None)
    }

    /// Freezes what `fill` writes, of which `expected` tells the size, if it is known.
    fn fill(
        &self,
        expected: impl FnOnce() -> Option<u64>,
        fill: impl FnOnce(&mut Filler) -> Result<()>,
    ) -> Result<FrozenRegion> {
        let mut writer = self.start(expected)?;
        fill(&mut writer.0)?;
        writer.freeze()
    }

    /// Creates memory to fill.
    fn start(&self, expected: impl FnOnce() -> Option<u64>) -> Result<FrozenWriter> {
        if let Some(name) = &self.name {
            check_name(name)?;
        }
        // Asking a file costs calls.
        let expected = if self.huge_pages || self.max_size.is_some() { expected() } else { None };
        let max = self.max_size.unwrap_or(u64::MAX);
        check_max(expected.unwrap_or(0), max)?;
        claim_quietly();
        let huge = self.huge_pages.then(|| expected.unwrap_or(u64::MAX));
        let memory = Filling::new(self.name.as_deref(), huge).map_err(failed)?;
        Ok(FrozenWriter(Filler::new(memory, max)))
    }
}

/// Returns how many bytes are behind the position of a file; `None` for a pipe and the like.
fn rest_of(mut file: &File, max: Option<u64>) -> Option<u64> {
    // Some files in /proc have a size of 0 whatever they contain.
    let size = file.metadata().ok().filter(|status| status.is_file() && status.len() > 0)?.len();
    let position = file.stream_position().ok()?;
    let rest = size.saturating_sub(position);
    // Those in /sys have a size of a page, and fewer bytes.
    let is_certain = max.is_none_or(|max| rest <= max || sys::has_byte_at(file, position + max));
    is_certain.then_some(rest)
}
