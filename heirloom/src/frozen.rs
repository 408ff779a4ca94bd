use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use crate::fill::Filler;
use crate::handle::handle;
use crate::object::Object;
use crate::sys::{self, Filling};
use crate::{AsRegion, Error, RegionKind, Result, inheritance, name};

/// Memory that nobody can change, ever: the kernel refuses every write, by every holder.
///
/// So its mapping is a plain `&[u8]`, also in a child that doesn't trust its parent: a handle is only made after the
/// kernel has said that the seals are there. From [`Region::freeze`](crate::Region::freeze), or straight from bytes, a
/// reader or a file. One of no bytes is fine.
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
pub struct FrozenRegion(pub(crate) Arc<Object>);

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

    /// Freezes all that `reader` gives until its end.
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

    /// Freezes what `file` holds from its current position to its end.
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

    /// Freezes a copy of what a region holds now, which works whatever its holders do to it.
    ///
    /// Of a region that others write meanwhile, the copy may mix old and new bytes.
    ///
    /// # Errors
    /// As for [`FrozenOptions::from_bytes`].
    ///
    /// ```
    /// let region = heirloom::Region::create(4096)?;
    /// let view = region.map()?; // keeps `region` from being frozen itself
    /// view.write_at(0, b"now")?;
    /// let frozen = heirloom::FrozenRegion::copy_of(&region)?;
    /// view.write_at(0, b"new")?;
    /// assert!(frozen.map()?.starts_with(b"now"));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn copy_of(region: &(impl AsRegion + ?Sized)) -> Result<Self> {
        Self::options().copy_of(region)
    }

    /// The choices there are, all at their defaults.
    ///
    /// ```
    /// let region = heirloom::FrozenRegion::options().name("key").from_bytes("hunter2")?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn options() -> FrozenOptions {
        FrozenOptions::default()
    }

    /// Another handle of it, whose child is to map it copy-on-write.
    ///
    /// That is for a child in C: its `PR_MemMap` then gives it bytes of its own to write (`PR_PROT_WRITECOPY`), from these
    /// on. A child in Rust maps as it likes, and finds the wish by [`is_copy_on_write`](Self::is_copy_on_write).
    ///
    /// # Errors
    /// [`ErrorKind::OutOfDescriptors`](crate::ErrorKind::OutOfDescriptors).
    ///
    /// ```
    /// use heirloom::{Command, FrozenRegion};
    ///
    /// let template = FrozenRegion::from_bytes(b"what every worker begins with")?.copy_on_write()?;
    /// let mut command = Command::new("worker");
    /// command.inherit("state", &template)?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn copy_on_write(&self) -> Result<Self> {
        let mut object = self.0.another()?;
        object.copy_on_write = true;
        Ok(Self(object.into()))
    }

    /// Whether it was handed down to be mapped copy-on-write, as [`map_copy`](Self::map_copy) does.
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

    /// Always [`RegionKind::Frozen`].
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

/// How a [`FrozenRegion`] is to be made; from [`FrozenRegion::options`].
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
}

#[allow(clippy::wrong_self_convention)] // They make a region from bytes, not options.
impl FrozenOptions {
    /// A name for whoever debugs: the kernel shows it as `/memfd:heirloom:NAME`. Nothing can be opened by it.
    ///
    /// At most 240 bytes, not empty, without NUL.
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

    /// Freezes a copy of `bytes`.
    ///
    /// # Errors
    /// - [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput): a bad name.
    /// - [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge): more than this process's limit (`ulimit -f`).
    /// - [`ErrorKind::OutOfMemory`](crate::ErrorKind::OutOfMemory),
    ///   [`ErrorKind::OutOfDescriptors`](crate::ErrorKind::OutOfDescriptors).
    /// - [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported): this system or sandbox has no sealed memory.
    ///
    /// ```
    /// let region = heirloom::FrozenRegion::options().from_bytes([1, 2, 3])?;
    /// assert_eq!(*region.map()?, [1, 2, 3]);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn from_bytes(&self, bytes: impl AsRef<[u8]>) -> Result<FrozenRegion> {
        self.fill(|filler| filler.write(bytes.as_ref()))
    }

    /// Freezes all that `reader` gives until its end.
    ///
    /// # Errors
    /// As for `from_bytes`, and what the reader answers.
    ///
    /// ```
    /// let input: &[u8] = b"from anywhere";
    /// let region = heirloom::FrozenRegion::options().name("input").from_reader(input)?;
    /// # assert_eq!(region.size(), 13);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn from_reader(&self, mut reader: impl Read) -> Result<FrozenRegion> {
        self.fill(|filler| filler.read_from(&mut reader))
    }

    /// Freezes what `file` holds from its current position to its end, and leaves it there.
    ///
    /// The kernel copies it, from the file's pages to the region's, without a buffer in between. A pipe, a terminal or a
    /// device will do for a file.
    ///
    /// # Errors
    /// As for `from_bytes`, and what reading the file answers.
    ///
    /// ```
    /// let file = std::fs::File::open("Cargo.toml")?;
    /// let region = heirloom::FrozenRegion::options().name("manifest").from_file(&file)?;
    /// assert_eq!(region.size(), file.metadata()?.len());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_file(&self, file: &File) -> Result<FrozenRegion> {
        self.fill(|filler| filler.take_from(file))
    }

    /// Freezes a copy of what a region holds now.
    ///
    /// # Errors
    /// As for `from_bytes`.
    ///
    /// ```
    /// let region = heirloom::Region::create(4096)?;
    /// let frozen = heirloom::FrozenRegion::options().name("snapshot").copy_of(&region)?;
    /// assert_eq!(frozen.size(), 4096);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn copy_of(&self, region: &(impl AsRegion + ?Sized)) -> Result<FrozenRegion> {
        self.fill(|filler| filler.copy_from(region.object()))
    }

    fn fill(&self, fill: impl FnOnce(&mut Filler) -> Result<()>) -> Result<FrozenRegion> {
        if let Some(name) = &self.name {
            name::check(name)?;
        }
        inheritance::claim_quietly();
        let failed = |failure| Error::system("cannot create a frozen region", failure);
        let mut filler = Filler::new(Filling::new(self.name.as_deref()).map_err(failed)?);
        fill(&mut filler)?;
        let (memory, size) = filler.freeze().map_err(failed)?;
        Ok(FrozenRegion(Arc::new(Object::created(memory, size, sys::granule()))))
    }
}
