use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use super::channel_end::{ChannelEnd, Sealed};
use super::end::{End, Limit};
use super::layout::{Position, WRAP, units_for};
use super::parts::{EndParts, Role};
use crate::access::{ReadOnlyBytes, SharedBytes};
use crate::{Result, transfer};

/// The receiving end of a channel; from [`channel`](crate::channel()).
///
/// Dropping it closes the channel: the sender gets [`ErrorKind::PeerGone`](crate::ErrorKind::PeerGone) once the ring is full.
///
/// After a fork without an exec, only one of the two processes may use or drop it.
///
/// ```
/// # if cfg!(not(any(target_os = "linux", target_os = "android", windows))) { return Ok(()) }
/// let (mut sender, mut receiver) = heirloom::channel(4096)?;
/// assert!(receiver.try_recv()?.is_none());
/// sender.send(b"hello")?;
/// let message = receiver.recv()?;
/// assert_eq!(message.len(), 5);
/// # Ok::<(), heirloom::Error>(())
/// ```
pub struct Receiver(pub(super) End);

impl Receiver {
    pub(super) fn new(parts: EndParts) -> Result<Self> {
        End::new(parts).map(Self)
    }

    /// Takes the receiver that this process's parent moved here under `name`.
    ///
    /// # Errors
    /// As for [`Region::inherited`](crate::Region::inherited).
    ///
    /// ```no_run
    /// heirloom::claim()?; // the first line of the child's main
    /// let mut jobs = heirloom::Receiver::inherited("jobs")?;
    /// let job = jobs.recv()?.to_vec();
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn inherited(name: &str) -> Result<Self> {
        transfer::take_end(name, Role::Receiver).map(Self)
    }

    /// Waits for a message. It stays in the ring until the returned value is dropped.
    ///
    /// It looks for some microseconds and then sleeps in the kernel, where it uses no processor.
    ///
    /// # Errors
    /// - [`ErrorKind::PeerGone`](crate::ErrorKind::PeerGone): the sender was closed or its process ended, and every message that it
    ///   sent was received.
    /// - [`ErrorKind::PeerBroken`](crate::ErrorKind::PeerBroken): the sender's process wrote nonsense into the channel.
    /// - [`ErrorKind::System`](crate::ErrorKind::System): the kernel refused to wait.
    ///
    /// ```
    /// # if cfg!(not(any(target_os = "linux", target_os = "android", windows))) { return Ok(()) }
    /// let (mut sender, mut receiver) = heirloom::channel(4096)?;
    /// std::thread::spawn(move || sender.send(b"hello"));
    /// assert_eq!(receiver.recv()?.to_vec(), b"hello");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn recv(&mut self) -> Result<Message<'_>> {
        // Without a limit, a wait ends with a message.
        loop {
            if let Some((frame, len)) = self.front(Limit::Never)? {
                return Message::new(&mut self.0, frame, len);
            }
        }
    }

    /// Returns the next message if there is one; otherwise `None`, which costs a system call to find out whether the sender is
    /// still there.
    ///
    /// # Errors
    /// As for [`recv`](Self::recv).
    ///
    /// ```
    /// # if cfg!(not(any(target_os = "linux", target_os = "android", windows))) { return Ok(()) }
    /// let (sender, mut receiver) = heirloom::channel(4096)?;
    /// assert!(receiver.try_recv()?.is_none());
    /// drop(sender);
    /// assert!(receiver.try_recv().is_err());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn try_recv(&mut self) -> Result<Option<Message<'_>>> {
        self.recv_within(Limit::Now)
    }

    /// Waits for a message, at most for `timeout`; `None` if that has passed.
    ///
    /// # Errors
    /// As for [`recv`](Self::recv).
    ///
    /// ```
    /// # if cfg!(not(any(target_os = "linux", target_os = "android", windows))) { return Ok(()) }
    /// use std::time::Duration;
    ///
    /// let (sender, mut receiver) = heirloom::channel(4096)?;
    /// assert!(receiver.recv_timeout(Duration::from_millis(1))?.is_none());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Message<'_>>> {
        self.recv_within(Limit::after(timeout))
    }

    /// Prepares to wait in an event loop: true if there is no message yet. The descriptor (`AsFd`) then becomes readable when one
    /// arrives, or when the sender is gone. False: call [`try_recv`](Self::try_recv) again. Windows has no such descriptor: wait in a
    /// thread there, by [`recv`](Self::recv) or [`recv_timeout`](Self::recv_timeout).
    ///
    /// After the descriptor became readable, call `try_recv` until it returns `None`, and this again. Nobody else may read the
    /// descriptor.
    ///
    /// # Errors
    /// [`ErrorKind::System`](crate::ErrorKind::System). A sender that is gone or broke the protocol is no error: it returns false.
    ///
    /// ```
    /// # if cfg!(not(any(target_os = "linux", target_os = "android", windows))) { return Ok(()) }
    /// let (mut sender, mut receiver) = heirloom::channel(4096)?;
    /// assert!(receiver.arm()?); // now poll(2) for reading
    /// sender.send(b"hello")?;
    /// assert!(!receiver.arm()?);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn arm(&mut self) -> Result<bool> {
        self.0.arm(1)
    }

    fn recv_within(&mut self, limit: Limit) -> Result<Option<Message<'_>>> {
        let Some((frame, len)) = self.front(limit)? else { return Ok(None) };
        Message::new(&mut self.0, frame, len).map(Some)
    }

    /// Waits for a message, and returns the position of its frame and its length.
    fn front(&mut self, limit: Limit) -> Result<Option<(Position, usize)>> {
        if !self.0.wait(1, limit)? {
            return Ok(None);
        }
        let mut frame = self.0.position();
        let mut sent = self.0.may_move();
        let mut until_end = self.0.until_end(frame);
        // Each length is read once: the sender may change it at any time.
        let mut length = self.0.length_at(frame)?;
        if length == WRAP {
            // It is sent together with the message that follows.
            if until_end >= sent {
                return Err(self.0.broken("the ring goes on at its start, where nothing was sent"));
            }
            sent -= until_end;
            frame = frame.plus(until_end);
            until_end = self.0.until_end(frame);
            length = self.0.length_at(frame)?;
        }
        let len = length as usize;
        if len > self.0.longest() || units_for(len) > sent.min(until_end) {
            return Err(self.0.broken("a message is longer than what was sent"));
        }
        Ok(Some((frame, len)))
    }
}

impl Sealed for Receiver {
    fn end(&self) -> &End {
        &self.0
    }

    fn into_end(self) -> End {
        self.0
    }
}

impl ChannelEnd for Receiver {}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.debug(f)
    }
}

/// A message in the ring; from [`Receiver::recv`]. Dropping it gives its space back to the sender.
///
/// It dereferences to [`ReadOnlyBytes`], which has the methods. The sender's process can still change the bytes: copy out what
/// you validate.
///
/// ```
/// # if cfg!(not(any(target_os = "linux", target_os = "android", windows))) { return Ok(()) }
/// let (mut sender, mut receiver) = heirloom::channel(4096)?;
/// sender.send(b"headerbody")?;
/// let message = receiver.recv()?;
/// let mut header = [0; 6];
/// message.read_at(0, &mut header)?;
/// assert_eq!(&header, b"header");
/// # Ok::<(), heirloom::Error>(())
/// ```
#[must_use = "dropping a message discards it"]
pub struct Message<'a> {
    end: &'a mut End,
    frame: Position,
    bytes: SharedBytes,
}

impl<'a> Message<'a> {
    #[allow(unsafe_code)]
    fn new(end: &'a mut End, frame: Position, len: usize) -> Result<Self> {
        // SAFETY: The message borrows the end.
        let bytes = unsafe { end.message_at(frame, len) }?;
        Ok(Self { end, frame, bytes })
    }
}

impl Deref for Message<'_> {
    type Target = ReadOnlyBytes;

    fn deref(&self) -> &ReadOnlyBytes {
        &self.bytes
    }
}

impl Drop for Message<'_> {
    fn drop(&mut self) {
        // It can't fail: the words are inside of the mapping.
        let _ = self.end.publish(self.frame.plus(units_for(self.bytes.len())));
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("len", &self.bytes.len()).finish_non_exhaustive()
    }
}
