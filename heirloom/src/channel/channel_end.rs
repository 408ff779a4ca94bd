use super::end::End;

/// An end of a channel: [`Sender`](crate::Sender) or [`Receiver`](crate::Receiver).
///
/// Calls that move an end to another process take it as this trait. Other crates can't implement it.
///
/// ```
/// use heirloom::{ChannelEnd, Command, Result};
///
/// fn give(command: &mut Command, name: &str, end: impl ChannelEnd) -> Result<()> {
///     command.inherit_end(name, end)?;
///     Ok(())
/// }
/// ```
pub trait ChannelEnd: Sealed {}

pub trait Sealed {
    fn end(&self) -> &End;

    fn into_end(self) -> End;
}
