use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use super::channel_end::{ChannelEnd, Sealed};
use super::end::{End, Limit};
use super::layout::{Position, WRAP, units_for};
use super::parts::{EndParts, Role};
use crate::access::SharedBytes;
use crate::{Error, ErrorKind, Result, transfer};

/// The sending end of a channel; from [`channel`](crate::channel()).
///
/// Dropping it closes the channel: the receiver gets what was sent, and then
/// [`ErrorKind::PeerGone`](crate::ErrorKind::PeerGone).
///
/// A sender learns that the receiver is gone when the ring is full. Until then messages go into the ring as into a pipe's buffer.
///
/// After a fork without an exec, only one of the two processes may use or drop it.
///
/// ```
/// # if cfg!(not(any(target_os = "linux", target_os = "android", windows))) { return Ok(()) }
/// let (mut sender, mut receiver) = heirloom::channel(4096)?;
/// sender.send(b"one")?;
/// sender.send(b"two")?;
/// drop(sender);
/// assert_eq!(receiver.recv()?.to_vec(), b"one");
/// assert_eq!(receiver.recv()?.to_vec(), b"two");
/// assert_eq!(receiver.recv().unwrap_err().kind(), heirloom::ErrorKind::PeerGone);
/// # Ok::<(), heirloom::Error>(())
/// ```
pub struct Sender(pub(super) End);

impl Sender {
    pub(super) fn new(parts: EndParts) -> Result<Self> {
        End::new(parts).map(Self)
    }

    /// Takes the sender that this process's parent moved here under `name`.
    ///
    /// # Errors
    /// As for [`Region::inherited`](crate::Region::inherited).
    ///
    /// ```no_run
    /// heirloom::claim()?; // the first line of the child's main
    /// let mut answers = heirloom::Sender::inherited("answers")?;
    /// answers.send(b"ready")?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn inherited(name: &str) -> Result<Self> {
        transfer::take_end(name, Role::Sender).map(Self)
    }

    /// Sends a message, and waits for space in the ring.
    ///
    /// # Errors
    /// - [`ErrorKind::TooLarge`]: the message is longer than [`longest_message`](Self::longest_message).
    /// - [`ErrorKind::PeerGone`](crate::ErrorKind::PeerGone): the ring is full, and the receiver was closed or its process ended.
    /// - [`ErrorKind::PeerBroken`](crate::ErrorKind::PeerBroken): the receiver's process wrote nonsense into the channel.
    /// - [`ErrorKind::System`](crate::ErrorKind::System): the kernel refused to wait.
    ///
    /// ```
    /// # if cfg!(not(any(target_os = "linux", target_os = "android", windows))) { return Ok(()) }
    /// let (mut sender, receiver) = heirloom::channel(4096)?;
    /// sender.send(b"hello")?;
    /// assert!(sender.send(&[0; 4096]).is_err());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn send(&mut self, message: &[u8]) -> Result<()> {
        self.send_within(message, Limit::Never).map(drop)
    }

    /// Sends a message if the ring has space now; otherwise false.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    ///
    /// ```
    /// # if cfg!(not(any(target_os = "linux", target_os = "android", windows))) { return Ok(()) }
    /// let (mut sender, receiver) = heirloom::channel(4096)?;
    /// assert!(sender.try_send(&[1; 2000])? && sender.try_send(&[2; 2000])?);
    /// assert!(!sender.try_send(&[3; 2000])?);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn try_send(&mut self, message: &[u8]) -> Result<bool> {
        self.send_within(message, Limit::Now)
    }

    /// Sends a message, and waits at most for `timeout`; false if that has passed.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    ///
    /// ```
    /// # if cfg!(not(any(target_os = "linux", target_os = "android", windows))) { return Ok(()) }
    /// use std::time::Duration;
    ///
    /// let (mut sender, receiver) = heirloom::channel(4096)?;
    /// assert!(sender.send_timeout(b"hello", Duration::from_secs(1))?);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn send_timeout(&mut self, message: &[u8], timeout: Duration) -> Result<bool> {
        self.send_within(message, Limit::after(timeout))
    }

    fn send_within(&mut self, message: &[u8], limit: Limit) -> Result<bool> {
        let Some(slot) = self.slot(message.len(), limit)? else { return Ok(false) };
        slot.write_at(0, message)?;
        slot.send()?;
        Ok(true)
    }

    /// Waits for space for a message of `len` bytes, to be written in place.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    ///
    /// ```
    /// # if cfg!(not(any(target_os = "linux", target_os = "android", windows))) { return Ok(()) }
    /// let (mut sender, mut receiver) = heirloom::channel(4096)?;
    /// let slot = sender.reserve(10)?;
    /// slot.write_at(0, b"header")?;
    /// slot.write_at(6, b"body")?;
    /// slot.send()?;
    /// assert_eq!(receiver.recv()?.to_vec(), b"headerbody");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn reserve(&mut self, len: usize) -> Result<Slot<'_>> {
        // Without a limit, a wait ends with space.
        loop {
            if let Some(frame) = self.place(len, Limit::Never)? {
                return Slot::new(&mut self.0, frame, len);
            }
        }
    }

    /// Takes space for a message of `len` bytes if the ring has it now; otherwise `None`.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    ///
    /// ```
    /// # if cfg!(not(any(target_os = "linux", target_os = "android", windows))) { return Ok(()) }
    /// let (mut sender, receiver) = heirloom::channel(4096)?;
    /// let slot = sender.try_reserve(2000)?.expect("the ring is empty");
    /// slot.send()?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn try_reserve(&mut self, len: usize) -> Result<Option<Slot<'_>>> {
        self.slot(len, Limit::Now)
    }

    /// Waits for space for a message of `len` bytes, at most for `timeout`; `None` if that has passed.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    ///
    /// ```
    /// # if cfg!(not(any(target_os = "linux", target_os = "android", windows))) { return Ok(()) }
    /// use std::time::Duration;
    ///
    /// let (mut sender, _receiver) = heirloom::channel(4096)?;
    /// let slot = sender.reserve_timeout(10, Duration::from_secs(1))?.expect("the ring is empty");
    /// slot.send()?;
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn reserve_timeout(&mut self, len: usize, timeout: Duration) -> Result<Option<Slot<'_>>> {
        self.slot(len, Limit::after(timeout))
    }

    /// Returns the length of the longest message, in bytes.
    ///
    /// ```
    /// # if cfg!(not(any(target_os = "linux", target_os = "android", windows))) { return Ok(()) }
    /// assert_eq!(heirloom::channel(4096)?.0.longest_message(), 2040);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn longest_message(&self) -> usize {
        self.0.longest()
    }

    /// Prepares to wait in an event loop for space for a message of `len` bytes: see [`Receiver::arm`](crate::Receiver::arm).
    ///
    /// # Errors
    /// As for [`send`](Self::send), but for a receiver that is gone or broke the protocol: then it returns false.
    ///
    /// ```
    /// # if cfg!(not(any(target_os = "linux", target_os = "android", windows))) { return Ok(()) }
    /// let (mut sender, receiver) = heirloom::channel(4096)?;
    /// assert!(!sender.arm(100)?); // there is space
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn arm(&mut self, len: usize) -> Result<bool> {
        let (skip, need) = self.need(len)?;
        self.0.arm(skip + need)
    }

    /// Returns the units to skip at the end of the ring, and those that a message takes.
    fn need(&self, len: usize) -> Result<(u32, u32)> {
        let longest = self.0.longest();
        if len > longest {
            let message = format!("cannot send {len} bytes: the longest message of this channel has {longest}");
            return Err(Error::advised(ErrorKind::TooLarge, message, "create the channel with a larger capacity"));
        }
        let need = units_for(len);
        let until_end = self.0.until_end(self.0.position());
        Ok((if need > until_end { until_end } else { 0 }, need))
    }

    /// Waits for space, and returns the position of the frame.
    fn place(&mut self, len: usize, limit: Limit) -> Result<Option<Position>> {
        let (skip, need) = self.need(len)?;
        if !self.0.wait(skip + need, limit)? {
            return Ok(None);
        }
        let here = self.0.position();
        if skip > 0 {
            self.0.set_length_at(here, WRAP)?;
        }
        Ok(Some(here.plus(skip)))
    }

    fn slot(&mut self, len: usize, limit: Limit) -> Result<Option<Slot<'_>>> {
        let Some(frame) = self.place(len, limit)? else { return Ok(None) };
        Slot::new(&mut self.0, frame, len).map(Some)
    }
}

impl Sealed for Sender {
    fn end(&self) -> &End {
        &self.0
    }

    fn into_end(self) -> End {
        self.0
    }
}

impl ChannelEnd for Sender {}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.debug(f)
    }
}

/// Space for a message in the ring; from [`Sender::reserve`].
///
/// It dereferences to [`SharedBytes`], which has the methods. Its bytes are what was in the ring before, not zeros: write all of
/// them. Dropping it sends nothing.
///
/// ```
/// # if cfg!(not(any(target_os = "linux", target_os = "android", windows))) { return Ok(()) }
/// let (mut sender, mut receiver) = heirloom::channel(4096)?;
/// let slot = sender.reserve(4)?;
/// slot.atomic_u32(0)?.store(7);
/// slot.send()?;
/// assert_eq!(receiver.recv()?.load_u32(0)?, 7);
/// # Ok::<(), heirloom::Error>(())
/// ```
#[must_use = "dropping a slot sends nothing"]
pub struct Slot<'a> {
    end: &'a mut End,
    frame: Position,
    bytes: SharedBytes,
}

impl<'a> Slot<'a> {
    #[allow(unsafe_code)]
    fn new(end: &'a mut End, frame: Position, len: usize) -> Result<Self> {
        // SAFETY: The slot borrows the end.
        let bytes = unsafe { end.message_at(frame, len) }?;
        Ok(Self { end, frame, bytes })
    }

    /// Sends the message.
    ///
    /// # Errors
    /// None today; a later version may report a system's.
    ///
    /// ```
    /// # if cfg!(not(any(target_os = "linux", target_os = "android", windows))) { return Ok(()) }
    /// let (mut sender, mut receiver) = heirloom::channel(4096)?;
    /// sender.reserve(0)?.send()?;
    /// assert!(receiver.recv()?.is_empty());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn send(self) -> Result<()> {
        let len = self.bytes.len();
        // The longest message is shorter than 4 GiB.
        self.end.set_length_at(self.frame, u32::try_from(len).unwrap_or(0))?;
        self.end.publish(self.frame.plus(units_for(len)))
    }
}

impl Deref for Slot<'_> {
    type Target = SharedBytes;

    fn deref(&self) -> &SharedBytes {
        &self.bytes
    }
}

impl fmt::Debug for Slot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("len", &self.bytes.len()).finish_non_exhaustive()
    }
}
