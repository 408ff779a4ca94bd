//! Filling a region of unknown size, on systems where memory has its final size from creation: the bytes are buffered.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;

use super::failure::Result;
use super::status::{Commit, Protection};
use super::tracked::Memory;
use crate::access::SharedBytes;

/// The size of a buffer in bytes.
const BUFFER: usize = 1 << 20;

/// Memory that grows as it is written.
pub(crate) struct Filling {
    name: Option<String>,
    buffers: Vec<Vec<u8>>,
}

impl Filling {
    #[allow(clippy::unnecessary_wraps)] // Other systems may fail.
    pub(crate) fn new(name: Option<&str>, _: Option<u64>) -> Result<Self> {
        Ok(Self { name: name.map(ToOwned::to_owned), buffers: Vec::new() })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = self.buffers.last().map_or(0, |buffer| BUFFER - buffer.len());
            if room == 0 {
                let mut buffer = Vec::new();
                buffer.try_reserve_exact(BUFFER)?;
                self.buffers.push(buffer);
                continue;
            }
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.buffers.last_mut().into_iter().for_each(|buffer| buffer.extend_from_slice(now));
            rest = later;
        }
        Ok(())
    }

    /// Fails: these systems can't move bytes from a file to memory.
    #[allow(clippy::unused_self)] // Other systems need it.
    pub(crate) fn transfer(&mut self, _: &File, _: u64) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Copies the buffers to new memory of `size` bytes and freezes it.
    pub(crate) fn freeze(self, size: u64) -> Result<Memory> {
        let memory = Memory::create(self.name.as_deref(), size, Commit::OnTouch)?;
        if size > 0 {
            let len = usize::try_from(size).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
            let view = memory.map(0, len, Protection::Shared, false)?;
            // SAFETY: The view starts with these `len` bytes, and lives longer than `bytes`.
            let bytes = unsafe { SharedBytes::new(view.start(), len) };
            let mut offset = 0;
            for buffer in self.buffers {
                bytes.write_at(offset, &buffer).map_err(io::Error::other)?;
                offset += buffer.len();
            }
        }
        memory.freeze()?;
        Ok(memory)
    }
}
