use std::sync::Arc;

use super::common::handle;
use super::inner::{RegionInner, validate};
use crate::{ConvertError, Error, ErrorKind, FrozenRegion, Region, RegionKind, Result};

/// Anonymous memory that only mappings from before its conversion can write; from [`Region::into_read_only`].
///
/// A holder reads memory that the writer keeps changing: a copy may mix old and new bytes, an atomic load is never torn.
///
/// ```
/// use heirloom::{Command, Region};
///
/// let (prices, writer) = Region::create(4096)?.into_read_only()?;
/// let mut child = Command::new("true").inherit("prices", &prices)?.spawn()?;
/// writer.atomic_u64(0)?.store(42); // the child sees it, and can't change it
/// child.wait()?;
/// # Ok::<(), heirloom::Error>(())
/// ```
///
/// Its mappings have no way to write:
/// ```compile_fail,E0599
/// let (region, _writer) = heirloom::Region::create(4096)?.into_read_only()?;
/// region.map()?.write_at(0, b"no")?;
/// # Ok::<(), heirloom::Error>(())
/// ```
#[derive(Clone)]
pub struct ReadOnlyRegion(pub(crate) Arc<RegionInner>);

handle!(ReadOnlyRegion, ReadOnly, ReadOnlyMapping by ReadOnly, CopyMapping, "Region::create(4096)?.into_read_only()?.0");

impl ReadOnlyRegion {
    /// Seals the region against all writing, the writer's included.
    ///
    /// # Errors
    /// The region comes back by [`ConvertError::into_inner`].
    /// - [`ErrorKind::StillWritable`]: the writer's mapping is still alive.
    /// - [`ErrorKind::Sealed`]: a holder forbade further seals.
    ///
    /// ```
    /// let (region, writer) = heirloom::Region::create(4096)?.into_read_only()?;
    /// writer.write_at(0, b"final")?;
    /// drop(writer);
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

    /// Returns [`RegionKind::ReadOnly`].
    ///
    /// ```
    /// use heirloom::{Region, RegionKind};
    /// assert_eq!(Region::create(4096)?.into_read_only()?.0.kind(), RegionKind::ReadOnly);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn kind(&self) -> RegionKind {
        RegionKind::ReadOnly
    }
}

/// Recognises a region that another holder made read-only or froze: asks the kernel for its seals, and returns the region
/// with [`ErrorKind::WrongKind`] if they are missing.
impl TryFrom<Region> for ReadOnlyRegion {
    type Error = ConvertError<Region>;

    fn try_from(region: Region) -> Result<Self, ConvertError<Region>> {
        let error = match region.0.status() {
            Ok(status) => match validate(&status, RegionKind::ReadOnly) {
                Ok(()) => return Ok(Self(region.0)),
                Err(why) => Error::new(ErrorKind::WrongKind, format!("cannot take {} as read-only: {why}", region.0)),
            },
            Err(error) => error,
        };
        Err(ConvertError::new(error, region))
    }
}
