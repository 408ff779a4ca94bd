//! The page behind the pages of a region, for systems whose kernel keeps neither the properties of a region nor seals. No
//! mapping of the region shows it. `docs/format.md` describes its format.
//!
//! A process that can write the region can write the trailer too, so the trailer prevents mistakes, not attacks. A process
//! that can only read the region relies on its creator, because no other process can write the trailer.

#![allow(unsafe_code)]

use std::error::Error;
use std::io;

use super::failure::{Failure, Reason, Result};
use super::status::{Access, Identity, Seals};
#[cfg(unix)]
use super::unix::view::View;
#[cfg(windows)]
use super::windows::view::View;
use crate::access::SharedBytes;

const MAGIC: u64 = u64::from_ne_bytes(*b"heirloom");
const VERSION: u64 = 1;

/// The offsets of the fields: numbers of 8 bytes each, and the name.
const SIZE: usize = 16;
const DEVICE: usize = 24;
const INODE: usize = 32;
const STAGE: usize = 40;
const NAME_LEN: usize = 48;
const NAME: usize = 56;
const LONGEST_NAME: usize = 240;

/// The size of all fields in bytes.
pub(crate) const LEN: usize = NAME + LONGEST_NAME;

/// The stage of a region; a region never returns to an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Writable,
    ReadOnly,
    Frozen,
}

impl Stage {
    /// Returns the stage of a region with these seals.
    pub(crate) fn of(seals: Seals) -> Self {
        match seals {
            seals if seals.writing => Self::Frozen,
            seals if seals.new_writers => Self::ReadOnly,
            _ => Self::Writable,
        }
    }
}

/// The contents of the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trailer {
    pub(crate) size: u64,
    pub(crate) identity: Identity,
    pub(crate) stage: Stage,
    /// The name for debugging; empty if there is none.
    pub(crate) name: String,
}

impl Trailer {
    /// Returns the seals that a holder with this access can rely on. A holder that may write can't rely on the stage, since
    /// others may write too.
    pub(crate) fn seals(&self, access: Access) -> Seals {
        let reached = |stage| access == Access::Read && self.stage >= stage;
        Seals { size: true, new_writers: reached(Stage::ReadOnly), writing: reached(Stage::Frozen) }
    }
}

/// The page in a mapping of its own.
pub(crate) struct TrailerPage {
    bytes: SharedBytes,
    _view: View,
}

impl TrailerPage {
    /// # Safety
    /// The page starts `offset` bytes after the start of the view, and the view maps at least `LEN` bytes of it.
    pub(crate) unsafe fn new(view: View, offset: usize) -> Self {
        // SAFETY: The caller guarantees that the view maps these bytes, and the view lives as long as this object.
        let bytes = unsafe { SharedBytes::new(view.start().add(offset), LEN) };
        Self { bytes, _view: view }
    }

    /// Writes all fields of a new page.
    pub(crate) fn write(&self, trailer: &Trailer) -> Result<()> {
        let Identity { device, inode } = trailer.identity;
        let name = trailer.name.as_bytes();
        let name = &name[..name.len().min(LONGEST_NAME)];
        let numbers = [MAGIC, VERSION, trailer.size, device, inode, trailer.stage as u64, name.len() as u64];
        for (index, number) in numbers.into_iter().enumerate() {
            self.store(index * size_of::<u64>(), number)?;
        }
        self.bytes.write_at(NAME, name).map_err(outside)
    }

    /// Writes the stage. A concurrent reader sees the old or the new stage, since it is one atomic number.
    pub(crate) fn write_stage(&self, stage: Stage) -> Result<()> {
        self.store(STAGE, stage as u64)
    }

    /// Reads the page; `None` if it is not the trailer of a region.
    pub(crate) fn read(&self) -> Result<Option<Trailer>> {
        if [self.load(0)?, self.load(8)?] != [MAGIC, VERSION] {
            return Ok(None);
        }
        let stage = match self.load(STAGE)? {
            2 => Stage::Frozen,
            1 => Stage::ReadOnly,
            _ => Stage::Writable,
        };
        let mut name = [0; LONGEST_NAME];
        self.bytes.read_at(NAME, &mut name).map_err(outside)?;
        let len = usize::try_from(self.load(NAME_LEN)?).unwrap_or(0).min(LONGEST_NAME);
        let name = String::from_utf8_lossy(&name[..len]).into_owned();
        let identity = Identity { device: self.load(DEVICE)?, inode: self.load(INODE)? };
        Ok(Some(Trailer { size: self.load(SIZE)?, identity, stage, name }))
    }

    fn load(&self, offset: usize) -> Result<u64> {
        self.bytes.load_u64(offset).map_err(outside)
    }

    fn store(&self, offset: usize, number: u64) -> Result<()> {
        self.bytes.atomic_u64(offset).map(|field| field.store(number)).map_err(outside)
    }
}

/// Converts an error that can't occur: all fields are inside the page.
fn outside(error: impl Error + Send + Sync + 'static) -> Failure {
    Failure::new(Reason::OutsideMapping, io::Error::other(error))
}
