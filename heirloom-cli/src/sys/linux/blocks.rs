//! Standard input in blocks of whole lines.

use std::fmt::Display;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};

use heirloom::FrozenRegion;

use crate::failure::Failure;
use crate::standard;

/// The most bytes of one read.
const MOST: usize = 1 << 20;

pub struct Blocks {
    input: File,
    /// The size of a block in bytes, at least 1.
    size: usize,
    /// The largest size of a block, also of one line, in bytes.
    max: u64,
    buffer: Vec<u8>,
    /// The part of the buffer that was read, and is not in a block that was taken.
    start: usize,
    end: usize,
    /// How much of that was searched for the end of a line in vain.
    searched: usize,
    /// The length of the next block, if it was read.
    block: Option<usize>,
    /// Whether the input has no more.
    ended: bool,
}

impl Blocks {
    /// Splits standard input into blocks of at most `size` bytes, but for a longer line, which is a block of its own. A block
    /// of more than `max` bytes is a failure.
    pub fn of(size: usize, max: u64) -> Result<Self, Failure> {
        let (buffer, block) = (Vec::new(), None);
        Ok(Self { input: standard::input()?, size, max, buffer, start: 0, end: 0, searched: 0, block, ended: false })
    }

    /// Returns the next block, if it was read.
    pub fn take(&mut self) -> Result<Option<FrozenRegion>, Failure> {
        let Some(len) = self.block else { return Ok(None) };
        self.check(len)?;
        let block = &self.buffer[self.start..self.start + len];
        let block = FrozenRegion::options().name("block").from_bytes(block)?;
        self.start += len;
        self.searched = 0;
        self.find();
        Ok(Some(block))
    }

    /// Returns the input, if it is to be read before the next block can be taken.
    pub fn wanted(&self) -> Option<BorrowedFd<'_>> {
        (self.block.is_none() && !self.ended).then(|| self.input.as_fd())
    }

    /// Returns whether all blocks were taken.
    pub fn exhausted(&self) -> bool {
        self.ended && self.block.is_none()
    }

    /// Reads once.
    pub fn read(&mut self) -> Result<(), Failure> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let space = self.end + MOST;
        self.buffer.try_reserve(space.saturating_sub(self.buffer.len())).map_err(|error| unreadable(&error))?;
        self.buffer.resize(space.max(self.buffer.len()), 0);
        match self.input.read(&mut self.buffer[self.end..space]) {
            Ok(0) => self.ended = true,
            Ok(read) => self.end += read,
            // Another process that shares the input took what was there.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(unreadable(&error)),
        }
        self.find();
        let read = self.end - self.start;
        // A line without an end is a block of its own.
        if self.block.is_none() && read >= self.size { self.check(read) } else { Ok(()) }
    }

    /// Fails if a block of `len` bytes or more is too large.
    fn check(&self, len: usize) -> Result<(), Failure> {
        let max = self.max;
        if len as u64 <= max {
            return Ok(());
        }
        Err(Failure::new(format_args!("standard input has a block of more than --max {max} bytes; raise --max")))
    }

    /// Looks for the end of the next block.
    fn find(&mut self) {
        let read = &self.buffer[self.start..self.end];
        self.block = None;
        if self.ended && read.len() <= self.size {
            self.block = Some(read.len()).filter(|len| *len > 0);
            return;
        }
        if read.len() < self.size {
            return;
        }
        let is_line_end = |byte: &u8| *byte == b'\n';
        if self.searched < self.size {
            self.block = read[..self.size].iter().rposition(is_line_end).map(|last| last + 1);
            self.searched = self.size;
        }
        if self.block.is_none() {
            let first = read[self.searched..].iter().position(is_line_end);
            self.block = first.map(|first| self.searched + first + 1).or(self.ended.then_some(read.len()));
            self.searched = read.len();
        }
    }
}

fn unreadable(error: &dyn Display) -> Failure {
    Failure::new(format_args!("cannot read standard input: {error}"))
}
