use std::sync::Arc;

use crate::Kind;
use crate::object::Object;

/// What can be handed down: [`Region`](crate::Region), [`ReadOnlyRegion`](crate::ReadOnlyRegion) and
/// [`FrozenRegion`](crate::FrozenRegion), and nothing else.
///
/// ```
/// use heirloom::{Command, FrozenRegion, Heirloom, Region, Result};
///
/// fn worker(jobs: &impl Heirloom, text: &impl Heirloom) -> Result<Command> {
///     let mut command = Command::new("worker");
///     command.inherit("jobs", jobs)?.inherit("text", text)?;
///     Ok(command)
/// }
///
/// worker(&Region::create(4096)?, &FrozenRegion::from_bytes(b"some text")?)?;
/// # Ok::<(), heirloom::Error>(())
/// ```
pub trait Heirloom: Sealed {}

pub trait Sealed {
    fn object(&self) -> &Arc<Object>;
    fn kind(&self) -> Kind;
}
