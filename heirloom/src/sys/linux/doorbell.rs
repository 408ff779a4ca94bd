//! Doorbells: two pipes, by which a process wakes its peer and learns of its death. See `pipe(7)`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;

use super::open_anew::open_anew;
use crate::sys::failure::{Reason, Result};
use crate::sys::status::{Access, Heard, Identity, PipeEnd};
use crate::sys::unix::errno::retry;
use crate::sys::unix::fd::{access, identity_of, pipe};

/// How often a call is tried: a pipe holds 64 KiB, and memory may be short.
const ATTEMPTS: usize = 256;

/// One side of a pair.
#[derive(Debug)]
pub(crate) struct Doorbell {
    /// The reading end of a pipe. It ends when the peer has died: only the peer can write.
    hears: OwnedFd,
    /// The other pipe, open for both directions, so that ringing a peer that has died is no SIGPIPE. It never blocks.
    rings: OwnedFd,
    /// Whether reading `hears` waits.
    blocks: bool,
}

impl Doorbell {
    pub(crate) fn pair() -> Result<(Self, Self)> {
        let (first, second) = (one_way()?, one_way()?);
        let side = |hears, rings| Self { hears, rings, blocks: true };
        Ok((side(first.0, second.1), side(second.0, first.1)))
    }

    /// Makes a doorbell of descriptors that [`pipe_status`] accepted.
    pub(crate) fn received([hears, rings]: [OwnedFd; 2]) -> Result<Self> {
        rustix::fs::fcntl_setfl(&rings, OFlags::NONBLOCK)?;
        let mut this = Self { hears, rings, blocks: true };
        this.set_blocks(false)?;
        Ok(this)
    }

    /// Returns what hears, and what rings.
    pub(crate) fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        [self.hears.as_fd(), self.rings.as_fd()]
    }

    /// Rings at the peer. A peer that doesn't hear is no error.
    pub(crate) fn ring(&self) {
        for _ in 0..ATTEMPTS {
            match rustix::io::write(&self.rings, &[0]) {
                // EAGAIN: the pipe is full, so the peer has enough to hear.
                Ok(_) | Err(Errno::AGAIN) => return,
                // Memory may be short just now.
                Err(_) => {}
            }
        }
    }

    /// Waits until the peer rings or has died, at most for `timeout`. It may return early.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> Result<Heard> {
        // A read that waits takes one system call, and a poll before it one more.
        self.set_blocks(timeout.is_none())?;
        if timeout.is_none() {
            match self.read()? {
                // Another process that has the descriptor took the blocking away.
                Heard::Nothing => {}
                heard => return Ok(heard),
            }
        }
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut hears = [PollFd::new(&self.hears, PollFlags::IN)];
        match rustix::event::poll(&mut hears, timeout.as_ref()) {
            Ok(0) | Err(Errno::INTR) => Ok(Heard::Nothing),
            Ok(_) => self.read(),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Returns what has been heard so far, and leaves nothing to hear.
    pub(crate) fn heard(&mut self) -> Result<Heard> {
        self.set_blocks(false)?;
        let mut heard = Heard::Nothing;
        for _ in 0..ATTEMPTS {
            match self.read()? {
                Heard::Nothing => break,
                Heard::Rung => heard = Heard::Rung,
                Heard::PeerGone => return Ok(Heard::PeerGone),
            }
        }
        Ok(heard)
    }

    fn read(&self) -> Result<Heard> {
        match retry(|| rustix::io::read(&self.hears, &mut [0; 256])) {
            Ok(0) => Ok(Heard::PeerGone),
            Ok(_) => Ok(Heard::Rung),
            Err(Errno::AGAIN) => Ok(Heard::Nothing),
            Err(errno) => Err(errno.into()),
        }
    }

    fn set_blocks(&mut self, blocks: bool) -> Result<()> {
        if self.blocks != blocks {
            let flags = if blocks { OFlags::empty() } else { OFlags::NONBLOCK };
            rustix::fs::fcntl_setfl(&self.hears, flags)?;
            self.blocks = blocks;
        }
        Ok(())
    }
}

/// Creates a pipe, and returns the end that hears and the one that rings.
fn one_way() -> Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe()?;
    let rings = open_anew(writer.as_fd(), OFlags::RDWR | OFlags::NONBLOCK, Reason::NoDoorbell)?;
    Ok((reader, rings))
}

/// Returns the identity of a pipe and which end of it the descriptor is; `None` if it is another file.
pub(crate) fn pipe_status(fd: BorrowedFd<'_>) -> Result<Option<(Identity, PipeEnd)>> {
    let stat = rustix::fs::fstat(fd)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Fifo {
        return Ok(None);
    }
    let end = match access(fd)? {
        // A process that can write what it hears would never learn of its peer's death.
        Access::Read => PipeEnd::Hears,
        Access::ReadWrite => PipeEnd::Rings,
        Access::None => PipeEnd::Other,
    };
    Ok(Some((identity_of(&stat), end)))
}
