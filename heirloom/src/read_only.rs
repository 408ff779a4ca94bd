use std::sync::Arc;

use crate::handle::handle;
use crate::object::{self, Object};
use crate::{ConvertError, Error, ErrorKind, FrozenRegion, Region, RegionKind, Result};

/// Memory that only the mappings from before its publishing write; from [`Region::into_read_only`].
///
/// A holder reads what the publisher goes on writing: a copy may mix old and new bytes, and an atomic load is one whole.
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
/// It can't be mapped for writing, nor written:
/// ```compile_fail,E0599
/// let (region, _writer) = heirloom::Region::create(4096)?.into_read_only()?;
/// region.map()?.write_at(0, b"no")?;
/// # Ok::<(), heirloom::Error>(())
/// ```
#[derive(Clone)]
pub struct ReadOnlyRegion(pub(crate) Arc<Object>);

handle!(ReadOnlyRegion, ReadOnly, ReadOnlyMapping by ReadOnly, CopyMapping, "Region::create(4096)?.into_read_only()?.0");

impl ReadOnlyRegion {
    /// Ends all writing, the publisher's too.
    ///
    /// # Errors
    /// The region comes back with them: [`ErrorKind::StillWritable`] while the publisher's mapping lives, and
    /// [`ErrorKind::Sealed`] where a holder forbade further seals.
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

    /// Always [`RegionKind::ReadOnly`].
    ///
    /// ```
    /// use heirloom::{RegionKind, Region};
    /// assert_eq!(Region::create(4096)?.into_read_only()?.0.kind(), RegionKind::ReadOnly);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn kind(&self) -> RegionKind {
        RegionKind::ReadOnly
    }
}

/// For a region that somebody else published, or froze: the kernel is asked, and the region comes back where nobody did.
impl TryFrom<Region> for ReadOnlyRegion {
    type Error = ConvertError<Region>;

    fn try_from(region: Region) -> Result<Self, ConvertError<Region>> {
        let refused = match region.0.status() {
            Ok(status) if object::flaw(&status, RegionKind::ReadOnly).is_none() => return Ok(Self(region.0)),
            Ok(_) => Error::new(
                ErrorKind::WrongKind,
                format!("cannot take {} for a published one: nobody published it", region.0),
            ),
            Err(error) => error,
        };
        Err(ConvertError::new(refused, region))
    }
}
