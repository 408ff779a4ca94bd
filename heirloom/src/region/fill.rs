//! Fills memory that is frozen afterwards.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};

use super::inner::RegionInner;
use crate::sys::{self, Failure, Filling, Memory};
use crate::{Error, ErrorKind, Result};

/// The size of the copy buffer in bytes; it fits the processor's cache.
const BUFFER: usize = 128 << 10;

/// The bytes to fill before the first check for available memory.
const FIRST: u64 = 16 << 20;

/// The fewest bytes to fill between two checks: enough that a check costs little beside them.
const STEP: u64 = 64 << 20;

/// The divisor of the available memory that gives the bytes to fill between two checks, if that is more than `STEP`.
const PART: u64 = 16;

/// Memory that grows as it is written.
pub(crate) struct Filler {
    memory: Filling,
    size: u64,
    /// The largest size that this process may make, in bytes.
    limit: u64,
    /// The largest size that the caller wants, in bytes.
    max: u64,
    /// The size up to which memory was available at the last check.
    assured: u64,
}

impl Filler {
    /// Fills `memory` with `max` bytes at most.
    pub(crate) fn new(memory: Filling, max: u64) -> Self {
        Self { memory, size: 0, limit: sys::size_limit(), max, assured: FIRST }
    }

    pub(crate) fn freeze(self) -> Result<(Memory, u64), Failure> {
        Ok((self.memory.freeze(self.size)?, self.size))
    }

    /// Returns the bytes so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        // The kernel kills a process that exceeds its limit.
        if bytes.len() as u64 > self.room() {
            return Err(self.too_large());
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let part = usize::try_from(self.assured()?).map_or(rest.len(), |assured| assured.min(rest.len()));
            let (now, later) = rest.split_at(part);
            self.memory.write(now).map_err(|error| self.failed(error))?;
            self.size += now.len() as u64;
            rest = later;
        }
        Ok(())
    }

    /// Copies the rest of `reader` through a buffer.
    pub(crate) fn read_from(&mut self, reader: &mut impl Read) -> Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            // One byte more than there is room for shows that the input is too long.
            let most = usize::try_from(self.room()).map_or(BUFFER, |room| room.saturating_add(1).min(BUFFER));
            match reader.read(&mut buffer[..most]) {
                Ok(0) => return Ok(()),
                Ok(read) => self.write(&buffer[..read])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// Copies exactly the size of a region that other holders may change at the same time.
    pub(crate) fn copy_from(&mut self, region: &RegionInner) -> Result<()> {
        let mut buffer = vec![0; BUFFER];
        // Reading returns an error if a holder truncates an unsealed region; a mapping would raise SIGBUS.
        while self.size < region.size() {
            // A holder may also have grown it.
            let rest = usize::try_from(region.size() - self.size).map_or(BUFFER, |rest| rest.min(BUFFER));
            match region.memory.read_at(self.size, &mut buffer[..rest]) {
                Ok(0) => {
                    let message = format!("cannot copy {region}: another holder truncated it to {} bytes", self.size);
                    return Err(Error::new(ErrorKind::Mismatch, message));
                }
                Ok(read) => self.write(&buffer[..read])?,
                Err(failure) => return Err(region.failed("copy", failure)),
            }
        }
        Ok(())
    }

    /// Copies the rest of `file`, inside the kernel if it can.
    pub(crate) fn copy_file(&mut self, file: &File) -> Result<()> {
        while self.room() > 0 {
            let part = self.room().min(self.assured()?);
            match self.memory.transfer(file, part) {
                Ok(0) => return Ok(()),
                Ok(moved) => self.size += moved,
                // The kernel can't do it with this file. If the file can't be read at all, reading returns the error.
                Err(_) => break,
            }
        }
        self.read_from(&mut &*file)
    }

    /// Returns how many bytes can be filled before the next check for available memory.
    ///
    /// The kernel doesn't refuse a fill that exceeds memory: it kills a process.
    fn assured(&mut self) -> Result<u64> {
        if self.size == self.assured {
            // Half of it, since other processes allocate too.
            let available = sys::available_memory() / 2;
            if available < FIRST {
                let message =
                    format!("cannot fill a frozen region beyond {} bytes: too little memory is available", self.size);
                return Err(Error::new(ErrorKind::OutOfMemory, message));
            }
            self.assured += available.min(STEP.max(available / PART));
        }
        Ok(self.assured - self.size)
    }

    fn room(&self) -> u64 {
        self.limit.min(self.max) - self.size
    }

    fn too_large(&self) -> Error {
        if self.max <= self.limit {
            let max = self.max;
            return beyond_max(format_args!(
                "cannot fill a frozen region: the input has more than its maximum of {max} bytes"
            ));
        }
        let message = format!(
            "cannot fill a frozen region beyond {} bytes: this process's limit on file sizes (ulimit -f) is {}",
            self.size, self.limit
        );
        Error::new(ErrorKind::TooLarge, message)
    }

    fn failed(&self, error: io::Error) -> Error {
        let tried = format!("cannot fill a frozen region after {} bytes", self.size);
        Error::system(tried, error.into())
    }
}

/// Returns an error if `size` bytes, which are to be filled, are more than `max`.
pub(crate) fn check_max(size: u64, max: u64) -> Result<()> {
    if size <= max {
        return Ok(());
    }
    Err(beyond_max(format_args!("cannot fill a frozen region with {size} bytes: its maximum is {max}")))
}

fn beyond_max(message: impl Display) -> Error {
    Error::advised(ErrorKind::TooLarge, message.to_string(), "raise FrozenOptions::max_size, or fill it with less")
}
