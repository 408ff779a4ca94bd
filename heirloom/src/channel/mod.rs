//! Channels: messages from one process to another through a ring in shared memory.
//!
//! `docs/format.md` specifies the memory.

mod channel_end;
mod end;
mod export;
#[cfg(heirloom_loom)]
mod interleavings;
mod layout;
mod parts;
mod patience;
mod receiver;
mod sender;
#[cfg(all(test, target_os = "linux", not(heirloom_loom)))]
mod tests;

pub use channel_end::ChannelEnd;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use channel_end::Sealed;
pub(crate) use end::End;
pub(crate) use parts::{EndParts, Role};
pub use receiver::{Message, Receiver};
pub use sender::{Sender, Slot};

use crate::sys::Doorbell;
use crate::transfer::claim_quietly;
use crate::{Error, ErrorKind, Region, Result};

/// Creates a channel whose ring holds at least `capacity` bytes, and returns its two ends.
///
/// The capacity is rounded up to a power of two of at least 4096 bytes. A message takes 8 bytes more than its length, rounded up
/// to a multiple of 8, and has at most half the capacity less 8 bytes.
///
/// Each end belongs to one process: [`Command::inherit_end`](crate::Command::inherit_end) moves it to a child. If that is dropped,
/// or the last process that has its descriptors ends, the other end is told ([`ErrorKind::PeerGone`]). A child that doesn't
/// [`claim`](crate::claim()) passes the descriptors on to its own children, and a fork copies them. An end uses three descriptors: the memory
/// and two pipes, by which the processes wake each other (see [pipe(7)](https://man7.org/linux/man-pages/man7/pipe.7.html)); on
/// Windows four handles, the fourth to wait.
///
/// # Errors
/// - [`ErrorKind::InvalidInput`]: a capacity of 0.
/// - [`ErrorKind::TooLarge`]: a capacity above 4 GiB.
/// - [`ErrorKind::Unsupported`]: the system is not Linux, Android or Windows, or is Linux without `/proc`.
/// - As for [`Region::create`].
///
/// ```
/// # if cfg!(not(any(target_os = "linux", target_os = "android", windows))) { return Ok(()) }
/// let (mut sender, mut receiver) = heirloom::channel(64 << 10)?;
/// sender.send(b"hello")?;
/// assert_eq!(receiver.recv()?.to_vec(), b"hello");
/// # Ok::<(), heirloom::Error>(())
/// ```
pub fn channel(capacity: u64) -> Result<(Sender, Receiver)> {
    let tried = || format!("cannot create a channel of {capacity} bytes");
    let refused = |kind, why: &str| Err(Error::new(kind, format!("{}: {why}", tried())));
    if capacity == 0 {
        return refused(ErrorKind::InvalidInput, "it would hold no message");
    }
    if capacity > layout::LARGEST {
        return refused(ErrorKind::TooLarge, "the largest has 4 GiB");
    }
    claim_quietly();
    let (sending, receiving) = Doorbell::pair().map_err(|failure| Error::system(tried(), failure))?;
    let size = layout::size_for(capacity);
    let memory = Region::options().name("channel").create(size)?.0;
    let parts = |memory, doorbell, role| EndParts { memory, doorbell, role };
    let receiving = parts(memory.duplicate()?.into(), receiving, Role::Receiver);
    Ok((Sender::new(parts(memory, sending, Role::Sender))?, Receiver::new(receiving)?))
}
