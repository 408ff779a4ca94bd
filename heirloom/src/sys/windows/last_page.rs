//! The page behind a region's own, which no mapping of the region shows.
//!
//! A section has neither an identity nor an exact size, and knows of no seals. This page says what Unix's kernels keep of a
//! file; `docs/format.md` has it too. Whoever can write the region can write this: it keeps mistakes out, not enemies. Who
//! holds a region for reading only takes its creator's word, which nobody else could write.

use std::mem::MaybeUninit;
use std::os::windows::io::BorrowedHandle;
use std::slice;

use super::layout::Layout;
use super::view::View;
use crate::sys::{Identity, Protection, Result};

const MAGIC: [u8; 8] = *b"heirloom";
const VERSION: u64 = 1;
const LONGEST_NAME: usize = 240;

/// How far it is on its way to nobody writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u64)]
pub(super) enum Stage {
    Writable,
    Published,
    Frozen,
}

/// What the page says. Plain numbers: every pattern of bits is sound.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct LastPage {
    magic: [u8; 8],
    version: u64,
    pub(super) size: u64,
    device: u64,
    inode: u64,
    stage: u64,
    name_len: u64,
    name: [u8; LONGEST_NAME],
}

impl LastPage {
    pub(super) fn new(size: u64, identity: Identity, stage: Stage, name: &str) -> Self {
        let mut bytes = [0; LONGEST_NAME];
        let len = name.len().min(LONGEST_NAME);
        bytes[..len].copy_from_slice(&name.as_bytes()[..len]);
        let Identity { device, inode } = identity;
        Self {
            magic: MAGIC,
            version: VERSION,
            size,
            device,
            inode,
            stage: stage as u64,
            name_len: len as u64,
            name: bytes,
        }
    }

    /// What the page of a section says, if it is one of ours.
    pub(super) fn read(section: BorrowedHandle<'_>, layout: Layout) -> Result<Option<Self>> {
        let place = Place::map(section, layout, Protection::ReadOnly)?;
        let mut page = MaybeUninit::<Self>::zeroed();
        // SAFETY: Zeros are sound, and so is whatever is written over them.
        let bytes = unsafe { slice::from_raw_parts_mut(page.as_mut_ptr().cast(), size_of::<Self>()) };
        place.view.copy_out(place.offset, bytes)?;
        // SAFETY: As above.
        let page = unsafe { page.assume_init() };
        let ours = page.magic == MAGIC && page.version == VERSION;
        Ok((ours && Layout::of_region(page.size, layout.is_huge()) == layout).then_some(page))
    }

    pub(super) fn identity(&self) -> Identity {
        Identity { device: self.device, inode: self.inode }
    }

    pub(super) fn stage(&self) -> Stage {
        match self.stage {
            2 => Stage::Frozen,
            1 => Stage::Published,
            _ => Stage::Writable,
        }
    }

    pub(super) fn name(&self) -> Option<String> {
        let name = self.name.get(..usize::try_from(self.name_len).ok()?)?;
        let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty());
        name.map(ToOwned::to_owned)
    }
}

/// The page in a view of its own, for a section's creator to write.
pub(super) struct Place {
    view: View,
    /// Where in the view it begins.
    offset: usize,
}

impl Place {
    pub(super) fn map(section: BorrowedHandle<'_>, layout: Layout, protection: Protection) -> Result<Self> {
        // A view begins on a granule, which is more than a page.
        let start = layout.end() - layout.end() % layout.granule();
        let view = View::new(section, layout, start, len(start, layout.whole), protection)?;
        Ok(Self { view, offset: len(start, layout.end()) })
    }

    /// # Safety
    /// It was mapped for writing, and nobody else has the section.
    pub(super) unsafe fn write(&self, page: &LastPage) -> Result<()> {
        // SAFETY: Plain numbers without a gap between them.
        let bytes = unsafe { slice::from_raw_parts((&raw const *page).cast(), size_of::<LastPage>()) };
        // SAFETY: By the caller.
        unsafe { self.view.copy_in(self.offset, bytes) }
    }

    /// # Safety
    /// It was mapped for writing, and nobody else writes the section's last page.
    pub(super) unsafe fn write_stage(&self, stage: Stage) -> Result<()> {
        let offset = self.offset + std::mem::offset_of!(LastPage, stage);
        // SAFETY: By the caller. Who reads the page meanwhile finds the one or the other: it is one whole word.
        unsafe { self.view.copy_in(offset, &(stage as u64).to_ne_bytes()) }
    }
}

/// The bytes from one offset to another, which are at most a few of a section's last.
fn len(from: u64, to: u64) -> usize {
    usize::try_from(to - from).unwrap_or(usize::MAX)
}
