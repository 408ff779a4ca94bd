//! The page behind a region's own, which no mapping of the region shows: for systems whose kernel keeps neither what a region
//! is nor seals. `docs/format.md` says what is where.
//!
//! Who can write the region can write this, too: it keeps mistakes out, not enemies. Who holds a region for reading only takes
//! its creator's word, which nobody else could write.

#![allow(unsafe_code)]

use super::{Access, Failure, Identity, Result, Seals, View};
use crate::access::SharedBytes;
use crate::{Error, ErrorKind};

const MAGIC: u64 = u64::from_ne_bytes(*b"heirloom");
const VERSION: u64 = 1;

/// Where the fields are: numbers of 8 bytes each, and the name.
const SIZE: usize = 16;
const DEVICE: usize = 24;
const INODE: usize = 32;
const STAGE: usize = 40;
const NAME_LEN: usize = 48;
const NAME: usize = 56;
const LONGEST_NAME: usize = 240;

/// How many bytes of the page have a meaning.
pub(super) const LEN: usize = NAME + LONGEST_NAME;

/// How far a region is on its way to nobody writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Writable,
    ReadOnly,
    Frozen,
}

impl Stage {
    /// How far a region is of which that can be said.
    pub(super) fn of(seals: Seals) -> Self {
        match seals {
            seals if seals.writing => Self::Frozen,
            seals if seals.new_writers => Self::ReadOnly,
            _ => Self::Writable,
        }
    }
}

/// What the page says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LastPage {
    pub(super) size: u64,
    pub(super) identity: Identity,
    pub(super) stage: Stage,
    /// For debugging; empty where there is none.
    pub(super) name: String,
}

impl LastPage {
    /// What it says to who may do that with the region. Of who may write, nobody can promise anything.
    pub(super) fn seals(&self, access: Access) -> Seals {
        let promised = |stage| access == Access::Read && self.stage >= stage;
        Seals { size: true, new_writers: promised(Stage::ReadOnly), writing: promised(Stage::Frozen) }
    }
}

/// The page in a view of its own.
pub(super) struct Place {
    bytes: SharedBytes,
    _view: View,
}

impl Place {
    /// # Safety
    /// The page begins `offset` bytes behind the start of the view, which shows at least `LEN` bytes of it.
    pub(super) unsafe fn new(view: View, offset: usize) -> Self {
        // SAFETY: They are in the view, by the caller, which lives as long as this object.
        let bytes = unsafe { SharedBytes::new(view.start().add(offset), LEN) };
        Self { bytes, _view: view }
    }

    /// Writes it where nothing was before.
    pub(super) fn write(&self, page: &LastPage) -> Result<()> {
        let Identity { device, inode } = page.identity;
        let name = page.name.as_bytes();
        let name = &name[..name.len().min(LONGEST_NAME)];
        let numbers = [MAGIC, VERSION, page.size, device, inode, page.stage as u64, name.len() as u64];
        for (index, number) in numbers.into_iter().enumerate() {
            self.store(index * size_of::<u64>(), number)?;
        }
        self.bytes.write_at(NAME, name).map_err(outside)
    }

    /// Says how far the region is by now. Who reads the page meanwhile finds the one or the other: it is one whole word.
    pub(super) fn write_stage(&self, stage: Stage) -> Result<()> {
        self.store(STAGE, stage as u64)
    }

    /// What it says, if it is a page of ours.
    pub(super) fn read(&self) -> Result<Option<LastPage>> {
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
        Ok(Some(LastPage { size: self.load(SIZE)?, identity, stage, name }))
    }

    fn load(&self, offset: usize) -> Result<u64> {
        self.bytes.load_u64(offset).map_err(outside)
    }

    fn store(&self, offset: usize, number: u64) -> Result<()> {
        self.bytes.atomic_u64(offset).map(|field| field.store(number)).map_err(outside)
    }
}

/// The page has room for all of it.
fn outside(error: Error) -> Failure {
    Failure { kind: ErrorKind::OutOfBounds, os: std::io::Error::other(error), hint: "" }
}
