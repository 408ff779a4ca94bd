use std::sync::Arc;

use super::as_region::{AsRegion, Sealed};
use super::inner::RegionInner;
use crate::sys::Owned;
use crate::{
    ConvertError, Error, ErrorKind, ExportedRegion, FrozenRegion, ReadOnlyRegion, Region, RegionKind, Result, transfer,
};

/// A region whose kind is known at run time.
///
/// It is for programs that don't know the kind in advance: a launcher, a binding for another language, a debugger. Match
/// on it, or convert it by `TryFrom`.
///
/// ```
/// use heirloom::{AnyRegion, FrozenRegion};
///
/// let exported = FrozenRegion::from_bytes("text")?.export()?;
/// match AnyRegion::import(exported.as_str())? {
///     AnyRegion::Frozen(region) => assert_eq!(&*region.map()?, b"text"),
///     other => println!("expected a frozen region, not a {} one", other.kind()),
/// }
/// # Ok::<(), heirloom::Error>(())
/// ```
#[derive(Clone, Debug)]
pub enum AnyRegion {
    /// Every holder can write it.
    Writable(Region),
    /// Only the mappings from before the conversion can write it.
    ReadOnly(ReadOnlyRegion),
    /// Nobody can write it.
    Frozen(FrozenRegion),
}

impl AnyRegion {
    fn new((inner, kind): (Arc<RegionInner>, RegionKind)) -> Self {
        match kind {
            // `transfer` makes no secret region of an unknown kind.
            RegionKind::Writable | RegionKind::Unsealed | RegionKind::Secret => Self::Writable(Region(inner)),
            RegionKind::ReadOnly => Self::ReadOnly(ReadOnlyRegion(inner)),
            RegionKind::Frozen => Self::Frozen(FrozenRegion(inner)),
        }
    }

    /// Takes the region that this process's parent handed down under `name`.
    ///
    /// # Errors
    /// As for [`Region::inherited`], but [`ErrorKind::WrongKind`] only for a secret region, which is none of these types.
    ///
    /// ```
    /// use heirloom::{AnyRegion, ErrorKind};
    ///
    /// match AnyRegion::inherited("frames") {
    ///     Ok(region) => println!("{} bytes, {}", region.size(), region.kind()),
    ///     Err(error) if error.kind() == ErrorKind::NotInherited => println!("started by hand"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn inherited(name: &str) -> Result<Self> {
        transfer::take(name, None).map(Self::new)
    }

    /// Imports the region that an export string names, over a descriptor of its own.
    ///
    /// # Errors
    /// As for [`Region::import`], but [`ErrorKind::WrongKind`] only for a secret region.
    ///
    /// ```
    /// use heirloom::{AnyRegion, Region, RegionKind};
    ///
    /// let exported = Region::create(4096)?.export()?;
    /// assert_eq!(AnyRegion::import(exported.as_str())?.kind(), RegionKind::Writable);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn import(string: &str) -> Result<Self> {
        transfer::import(string, None).map(Self::new)
    }

    /// Imports the region that an export string names, and takes over the descriptor that the string names.
    ///
    /// # Errors
    /// As for [`import`](Self::import); the descriptor is then unchanged.
    ///
    /// # Safety
    /// Nothing else in this process owns the descriptor of that number.
    ///
    /// ```
    /// use heirloom::{AnyRegion, Region};
    ///
    /// let exported = Region::create(4096)?.export()?;
    /// let string = exported.to_string();
    /// std::mem::forget(exported);
    /// // SAFETY: The forgotten export owns the descriptor no more, and nothing else does.
    /// let region = unsafe { AnyRegion::import_owned(&string) }?;
    /// assert_eq!(region.size(), 4096);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[allow(unsafe_code)]
    pub unsafe fn import_owned(string: &str) -> Result<Self> {
        // SAFETY: The caller keeps the contract.
        unsafe { transfer::import_owned(string, None) }.map(Self::new)
    }

    /// Returns an export string of the region, over a close-on-exec descriptor: see [`Region::export`].
    ///
    /// # Errors
    /// [`ErrorKind::OutOfDescriptors`].
    ///
    /// ```
    /// let region = heirloom::AnyRegion::from(heirloom::Region::create(4096)?);
    /// assert!(region.export()?.as_str().contains(":writable:"));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn export(&self) -> Result<ExportedRegion> {
        transfer::export(self.inner(), self.kind())
    }

    /// Returns an export string of the region, over a descriptor that every child inherits: see
    /// [`Region::export_inheritable`].
    ///
    /// # Errors
    /// [`ErrorKind::OutOfDescriptors`].
    ///
    /// ```
    /// let region = heirloom::AnyRegion::from(heirloom::Region::create(4096)?);
    /// assert!(region.export_inheritable()?.as_str().contains(":writable:"));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn export_inheritable(&self) -> Result<ExportedRegion> {
        transfer::export_inheritable(self.inner(), self.kind())
    }

    /// Returns the region's size in bytes, which never changes.
    ///
    /// ```
    /// let region = heirloom::AnyRegion::from(heirloom::Region::create(4096)?);
    /// assert_eq!(region.size(), 4096);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn size(&self) -> u64 {
        self.inner().size()
    }

    /// Returns what the region's holders can do with it.
    ///
    /// ```
    /// use heirloom::{AnyRegion, FrozenRegion, RegionKind};
    ///
    /// let region = AnyRegion::from(FrozenRegion::from_bytes("text")?);
    /// assert_eq!(region.kind(), RegionKind::Frozen);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn kind(&self) -> RegionKind {
        Sealed::kind(self)
    }
}

impl Sealed for AnyRegion {
    fn inner(&self) -> &Arc<RegionInner> {
        match self {
            Self::Writable(region) => region.inner(),
            Self::ReadOnly(region) => region.inner(),
            Self::Frozen(region) => region.inner(),
        }
    }

    fn kind(&self) -> RegionKind {
        match self {
            Self::Writable(region) => region.kind(),
            Self::ReadOnly(region) => region.kind(),
            Self::Frozen(region) => region.kind(),
        }
    }
}

impl AsRegion for AnyRegion {}

macro_rules! conversions {
    ($($variant:ident($region:ident),)*) => {$(
        impl From<$region> for AnyRegion {
            fn from(region: $region) -> Self {
                Self::$variant(region)
            }
        }

        /// The region comes back where it is of another kind: [`ErrorKind::WrongKind`].
        impl TryFrom<AnyRegion> for $region {
            type Error = ConvertError<AnyRegion>;

            fn try_from(region: AnyRegion) -> Result<Self, Self::Error> {
                match region {
                    AnyRegion::$variant(region) => Ok(region),
                    other => {
                        let message = format!("cannot take {} as a {}: it is {}", other.inner(), stringify!($region), other.kind());
                        Err(ConvertError::new(Error::new(ErrorKind::WrongKind, message), other))
                    }
                }
            }
        }
    )*};
}

conversions! {
    Writable(Region),
    ReadOnly(ReadOnlyRegion),
    Frozen(FrozenRegion),
}

/// Takes a descriptor from elsewhere and asks the kernel for its kind: the first of frozen, read-only and writable whose
/// seals are there. On failure the descriptor comes back.
impl TryFrom<Owned> for AnyRegion {
    type Error = ConvertError<Owned>;

    fn try_from(descriptor: Owned) -> Result<Self, Self::Error> {
        transfer::receive(descriptor, None).map(Self::new)
    }
}

/// Returns the descriptor if this is the only handle, and a duplicate otherwise.
impl TryFrom<AnyRegion> for Owned {
    type Error = Error;

    fn try_from(region: AnyRegion) -> Result<Self> {
        match region {
            AnyRegion::Writable(region) => region.0,
            AnyRegion::ReadOnly(region) => region.0,
            AnyRegion::Frozen(region) => region.0,
        }
        .into_descriptor()
    }
}
