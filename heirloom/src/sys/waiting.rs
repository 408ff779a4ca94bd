//! A region that is filled before its size is known, on systems whose memory has its size from birth: the bytes wait.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;

use super::{Commit, Memory, Protection, Result};
use crate::access::SharedBytes;

/// How many bytes wait in one piece.
const PIECE: usize = 1 << 20;

/// Memory that grows by what is written to it.
pub(crate) struct Filling {
    name: Option<String>,
    pieces: Vec<Vec<u8>>,
}

impl Filling {
    #[allow(clippy::unnecessary_wraps)] // Elsewhere the system is asked.
    pub(crate) fn new(name: Option<&str>) -> Result<Self> {
        Ok(Self { name: name.map(ToOwned::to_owned), pieces: Vec::new() })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = self.pieces.last().map_or(0, |piece| PIECE - piece.len());
            if room == 0 {
                let mut piece = Vec::new();
                piece.try_reserve_exact(PIECE)?;
                self.pieces.push(piece);
                continue;
            }
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.pieces.last_mut().into_iter().for_each(|piece| piece.extend_from_slice(now));
            rest = later;
        }
        Ok(())
    }

    /// Moves bytes out of a file inside the system: these have no call for it.
    #[allow(clippy::unused_self)] // What others do by it.
    pub(crate) fn transfer(&mut self, _: &File, _: u64) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The memory of that many bytes, which nobody can write.
    pub(crate) fn freeze(self, size: u64) -> Result<Memory> {
        let memory = Memory::create(self.name.as_deref(), size, Commit::OnTouch)?;
        if size > 0 {
            let len = usize::try_from(size).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
            let view = memory.map(0, len, Protection::Shared, false)?;
            // SAFETY: A view starts on a page, shows as much as was asked for, and outlives these bytes.
            let bytes = unsafe { SharedBytes::new(view.start(), len) };
            let mut offset = 0;
            for piece in self.pieces {
                bytes.write_at(offset, &piece).map_err(io::Error::other)?;
                offset += piece.len();
            }
        }
        memory.freeze()?;
        Ok(memory)
    }
}
