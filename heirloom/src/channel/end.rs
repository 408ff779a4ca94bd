//! What both ends of a channel do: move their position, look at the peer's, and wait for it.

#![allow(unsafe_code)]

use std::fmt;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use super::layout::{Position, RING, UNIT, longest, offsets, peer_sleeps, units_of};
use super::parts::{EndParts, Role};
use super::patience::{Looks, Patience};
use crate::access::SharedBytes;
use crate::sys::{self, Heard, Protection};
use crate::{Error, ErrorKind, Mapping, Result};

/// One end of a channel.
///
/// The peer can write every byte of the memory. So this end keeps its own position and the size to itself, reads each word of
/// the peer once, and accepts only what the peer may do: see [`look`](Self::look).
pub struct End {
    view: Mapping,
    parts: EndParts,
    /// Another process has this end now, so dropping it here doesn't close it.
    moved: bool,
    /// The size of the ring.
    units: u32,
    /// This end's position.
    mine: Position,
    /// The peer's position when it was last looked at.
    theirs: Position,
    state: State,
    patience: Patience,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The peer was closed or died.
    Gone,
    /// The peer broke the protocol.
    Broken,
}

/// How long to wait.
#[derive(Clone, Copy)]
pub(super) enum Limit {
    Now,
    At(Instant),
    Never,
}

impl Limit {
    pub(super) fn after(timeout: Duration) -> Self {
        if timeout.is_zero() {
            return Self::Now;
        }
        Instant::now().checked_add(timeout).map_or(Self::Never, Self::At)
    }
}

impl End {
    pub(crate) fn new(parts: EndParts) -> Result<Self> {
        let view = Self::view(&parts)?;
        Self::over(parts, view)
    }

    /// Maps the memory of an end.
    pub(crate) fn view(parts: &EndParts) -> Result<Mapping> {
        parts.memory.map(Protection::Shared).map(Mapping)
    }

    pub(crate) fn over(parts: EndParts, view: Mapping) -> Result<Self> {
        let role = parts.role;
        let size = parts.memory.size();
        let units = units_of(size).ok_or_else(|| {
            Error::new(
                ErrorKind::Mismatch,
                format!("cannot use memory of {size} bytes as a channel: it has no such size"),
            )
        })?;
        // An end that another process used goes on where that stopped. A peer that wrote something else there is found out below,
        // or by its frames.
        let position = |role| view.load_u32(offsets(role).word).map(Position::of);
        let (mine, theirs) = (position(role)?, position(role.peer())?);
        let mut this =
            Self { view, parts, moved: false, units, mine, theirs, state: State::Open, patience: Patience::new() };
        if this.peer_may_move() > this.units {
            this.state = State::Broken;
        }
        Ok(this)
    }

    /// Returns what another process needs to have this end.
    pub(crate) fn parts(&self) -> &EndParts {
        &self.parts
    }

    /// Leaves this end to another process: dropping it here doesn't close it any more.
    pub(crate) fn leave(&mut self) {
        self.moved = true;
    }

    pub(super) fn longest(&self) -> usize {
        longest(self.units)
    }

    pub(super) fn position(&self) -> Position {
        self.mine
    }

    /// Returns how many units this end may move on: what is free, or what was sent.
    pub(super) fn may_move(&self) -> u32 {
        match self.parts.role {
            Role::Sender => self.units - self.mine.since(self.theirs),
            Role::Receiver => self.theirs.since(self.mine),
        }
    }

    fn peer_may_move(&self) -> u32 {
        match self.parts.role {
            Role::Sender => self.mine.since(self.theirs),
            Role::Receiver => self.units.wrapping_sub(self.theirs.since(self.mine)),
        }
    }

    /// Returns the units from a position to the end of the ring.
    pub(super) fn until_end(&self, position: Position) -> u32 {
        self.units - position.index(self.units)
    }

    fn offset(&self, position: Position) -> usize {
        RING + position.index(self.units) as usize * UNIT
    }

    /// Returns the length in the frame at a position.
    pub(super) fn length_at(&self, position: Position) -> Result<u32> {
        self.view.load_u32(self.offset(position))
    }

    pub(super) fn set_length_at(&self, position: Position, length: u32) -> Result<()> {
        self.view.atomic_u32(self.offset(position))?.store(length);
        Ok(())
    }

    /// Returns the bytes of the message whose frame is at a position.
    ///
    /// # Safety
    /// They are used no longer than this end lives.
    pub(super) unsafe fn message_at(&self, position: Position, len: usize) -> Result<SharedBytes> {
        let offset = self.offset(position) + UNIT;
        self.view.end_of(offset, len.next_multiple_of(UNIT))?;
        // SAFETY: The mapping has all these bytes, and starts on a page like the ring on a multiple of 8.
        let start = unsafe { self.view.as_mut_ptr().add(offset) };
        // SAFETY: As above, and the pointer into a mapping is not null. The caller keeps the mapping.
        Ok(unsafe { SharedBytes::new(NonNull::new_unchecked(start), len) })
    }

    /// Moves this end on for good: what is before `position` is the peer's.
    pub(super) fn publish(&mut self, position: Position) -> Result<()> {
        self.mine = position;
        let word = self.view.atomic_u32(offsets(self.parts.role).word)?;
        // Whether the peer sleeps is in the same word, so no wake is lost.
        if peer_sleeps(word.swap(position.awake())) {
            self.parts.doorbell.ring();
        }
        Ok(())
    }

    /// Looks at the peer's position. It moves forward only, and no further than its end may go.
    fn look(&mut self) -> Result<()> {
        let now = Position::of(self.view.load_u32(offsets(self.parts.role.peer()).word)?);
        if now.since(self.theirs) > self.peer_may_move() {
            return Err(self.broken("its position is outside of the ring"));
        }
        self.theirs = now;
        Ok(())
    }

    /// Tells the peer that this end sleeps. False if the peer has moved in the meantime.
    fn announce_sleep(&self) -> Result<bool> {
        let word = self.view.atomic_u32(offsets(self.parts.role.peer()).word)?;
        let (awake, asleep) = (self.theirs.awake(), self.theirs.asleep());
        Ok(word.compare_exchange(awake, asleep).map_or_else(|now| now == asleep, |_| true))
    }

    /// Returns whether the peer was closed, though processes may still have its descriptors.
    fn peer_is_closed(&self) -> Result<bool> {
        Ok(self.view.load_u32(offsets(self.parts.role.peer()).closed)? != 0)
    }

    /// Waits until this end may move `units` on; false if the limit has passed.
    pub(super) fn wait(&mut self, units: u32, limit: Limit) -> Result<bool> {
        if self.state == State::Broken {
            return Err(self.broken("it did so before"));
        }
        if self.may_move() >= units {
            return Ok(true);
        }
        if self.state == State::Gone {
            return Err(self.gone());
        }
        self.look()?;
        if self.may_move() >= units {
            return Ok(true);
        }
        match limit {
            Limit::Now => self.look_around(units),
            _ => self.sleep(units, limit),
        }
    }

    /// Returns whether this end may move, without waiting. An error if it never will.
    fn look_around(&mut self, units: u32) -> Result<bool> {
        let gone = self.peer_is_closed()? || {
            let heard = self.parts.doorbell.heard();
            self.is_gone(heard)?
        };
        self.settle(units, gone)
    }

    /// Looks for the last time before a wait, after it was found out whether the peer is gone.
    fn settle(&mut self, units: u32, gone: bool) -> Result<bool> {
        self.look()?;
        let may = self.may_move() >= units;
        if gone && !may {
            self.state = State::Gone;
            return Err(self.gone());
        }
        Ok(may)
    }

    fn sleep(&mut self, units: u32, limit: Limit) -> Result<bool> {
        if self.watch(units)? {
            return Ok(true);
        }
        let mut gone = false;
        loop {
            let announced = self.announce_sleep()?;
            gone = gone || self.peer_is_closed()?;
            if self.settle(units, gone)? {
                return Ok(true);
            }
            if !announced {
                continue;
            }
            let timeout = match limit {
                Limit::Never => None,
                Limit::Now => Some(Duration::ZERO),
                Limit::At(end) => Some(end.saturating_duration_since(Instant::now())),
            };
            if timeout == Some(Duration::ZERO) {
                return self.look_around(units);
            }
            let heard = self.parts.doorbell.wait(timeout);
            gone = self.is_gone(heard)?;
        }
    }

    /// Looks again and again for a short time, where that pays.
    fn watch(&mut self, units: u32) -> Result<bool> {
        if !self.patience.start() {
            return Ok(false);
        }
        let mut looks = Looks::new();
        let mut may = false;
        while !may && looks.pause() {
            self.look()?;
            may = self.may_move() >= units;
        }
        self.patience.end(may);
        Ok(may)
    }

    /// Asks the peer to ring when it moves; false if this end may move already, or never will.
    pub(super) fn arm(&mut self, units: u32) -> Result<bool> {
        loop {
            // What rang before was for an earlier wait.
            match self.wait(units, Limit::Now) {
                Ok(false) => {}
                Ok(true) => return Ok(false),
                Err(error) if matches!(error.kind(), ErrorKind::PeerGone | ErrorKind::PeerBroken) => return Ok(false),
                Err(error) => return Err(error),
            }
            if self.announce_sleep()? {
                // A peer that closed in between has rung.
                return Ok(!self.peer_is_closed()?);
            }
        }
    }

    fn is_gone(&self, heard: sys::Result<Heard>) -> Result<bool> {
        let peer = self.parts.role.peer();
        heard
            .map(|heard| heard == Heard::PeerGone)
            .map_err(|failure| Error::system(format_args!("cannot wait for the {peer} of a channel"), failure))
    }

    fn gone(&self) -> Error {
        Error::new(
            ErrorKind::PeerGone,
            match self.parts.role {
                Role::Sender => "cannot send: the receiver of the channel is closed, or its process has ended",
                Role::Receiver => {
                    "cannot receive: the sender of the channel is closed, or its process has ended, and all that it sent was \
                     received"
                }
            },
        )
    }

    /// Makes the error of a peer that broke the protocol, now and for every later call.
    pub(super) fn broken(&mut self, why: &str) -> Error {
        self.state = State::Broken;
        let peer = self.parts.role.peer();
        let message = format!("cannot go on with the {peer} of a channel, which broke the protocol: {why}");
        Error::advised(ErrorKind::PeerBroken, message, "drop this end, and don't trust the process at the other")
    }

    pub(super) fn debug(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let capacity = self.units as usize * UNIT;
        f.debug_struct(self.parts.role.type_name()).field("capacity", &capacity).finish_non_exhaustive()
    }
}

/// Tells the peer, also where other processes have copies of the descriptors.
impl Drop for End {
    fn drop(&mut self) {
        if !self.moved {
            if let Ok(closed) = self.view.atomic_u32(offsets(self.parts.role).closed) {
                closed.store(1);
            }
            self.parts.doorbell.ring();
        }
    }
}
