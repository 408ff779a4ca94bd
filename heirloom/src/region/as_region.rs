use std::sync::Arc;

use super::inner::RegionInner;
use super::kind::RegionKind;

/// A region of any type: [`Region`](crate::Region), [`ReadOnlyRegion`](crate::ReadOnlyRegion),
/// [`FrozenRegion`](crate::FrozenRegion), [`AnyRegion`](crate::AnyRegion), or on Linux `os::linux::SecretRegion`.
///
/// Calls that pass a region on take it as this trait. Other crates can't implement it.
///
/// ```
/// use heirloom::{AsRegion, Command, FrozenRegion, Region, Result};
///
/// fn worker(regions: &[(&str, &dyn AsRegion)]) -> Result<Command> {
///     let mut command = Command::new("worker");
///     for (name, region) in regions {
///         command.inherit(name, *region)?;
///     }
///     Ok(command)
/// }
///
/// worker(&[("jobs", &Region::create(4096)?), ("text", &FrozenRegion::from_bytes(b"some text")?)])?;
/// # Ok::<(), heirloom::Error>(())
/// ```
pub trait AsRegion: Sealed {}

pub trait Sealed {
    fn inner(&self) -> &Arc<RegionInner>;
    fn kind(&self) -> RegionKind;
}
