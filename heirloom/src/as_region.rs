use std::sync::Arc;

use crate::RegionKind;
use crate::object::Object;

/// What can be handed down: [`Region`](crate::Region), [`ReadOnlyRegion`](crate::ReadOnlyRegion) and
/// [`FrozenRegion`](crate::FrozenRegion), and nothing else.
///
/// ```
/// use heirloom::{Command, FrozenRegion, AsRegion, Region, Result};
///
/// fn worker(jobs: &impl AsRegion, text: &impl AsRegion) -> Result<Command> {
///     let mut command = Command::new("worker");
///     command.inherit("jobs", jobs)?.inherit("text", text)?;
///     Ok(command)
/// }
///
/// worker(&Region::create(4096)?, &FrozenRegion::from_bytes(b"some text")?)?;
/// # Ok::<(), heirloom::Error>(())
/// ```
pub trait AsRegion: Sealed {}

pub trait Sealed {
    fn object(&self) -> &Arc<Object>;
    fn kind(&self) -> RegionKind;
}
