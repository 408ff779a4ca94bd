//! What holds a region's bytes.
//!
//! Windows keeps no seals. So this process itself counts who may write: the views it made, and whether a handle that allows
//! it ever left. Once nobody else may and none is kept, nobody can ever again: the section's list refuses more rights.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::layout::Layout;
use super::section::{self, READABLE, handed_out, last_page, sealed};
use super::{HUGE_PAGE, View, number_of, set_close_on_exec};
use crate::ErrorKind;
use crate::access::SharedBytes;
use crate::sys::last_page::{LastPage, Place, Stage};
use crate::sys::{Commit, Failure, Identity, Protection, Result, Status};

/// A section, and who may write it.
pub(crate) struct Memory {
    state: Mutex<State>,
    /// Each view that writes has a clone of this.
    writers: Arc<()>,
    layout: Layout,
    /// Bytes.
    size: u64,
    identity: Identity,
}

struct State {
    /// Allows to write until the region is published or frozen.
    handle: OwnedHandle,
    stage: Stage,
    /// No other handle that allows to write was ever made, here or elsewhere.
    sole: bool,
    /// Where the publisher says later that it froze the region.
    last_page: Option<Place>,
}

impl Memory {
    /// Makes memory of that size for ever, all zero, that has no name, and that nobody inherits.
    pub(crate) fn create(name: Option<&str>, size: u64, supply: Commit) -> Result<Self> {
        let layout = Layout::of_region(size, supply == Commit::HugePages);
        let handle = section::create(layout)?;
        let identity = Identity { device: chance(), inode: chance() };
        let name = name.unwrap_or_default().to_owned();
        last_page(handle.as_handle(), layout, Protection::Shared)?.write(&LastPage {
            size,
            identity,
            stage: Stage::Writable,
            name,
        })?;
        let state = State { handle, stage: Stage::Writable, sole: true, last_page: None };
        Ok(Self { state: state.into(), writers: Arc::default(), layout, size, identity })
    }

    /// Makes an unnamed file: no file is without a name here.
    pub(crate) fn create_file(_: &Path, _: u64) -> Result<Self> {
        Err(Failure {
            kind: ErrorKind::Unsupported,
            os: io::ErrorKind::Unsupported.into(),
            hint: "on Windows every file has a name; memory without one is always to be had: do without a directory",
        })
    }

    /// What somebody else made, and was found to be memory.
    pub(crate) fn received(handle: OwnedHandle, status: &Status) -> Self {
        let layout = Layout::of_region(status.size, status.granularity == HUGE_PAGE);
        let (size, identity) = (status.size, status.identity);
        let state = State::shared(handle, Stage::of(status.seals));
        Self { state: state.into(), writers: Arc::default(), layout, size, identity }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The handle, for whoever may do anything with it: from now on somebody else may write where it allows that.
    pub(crate) fn handle(&self) -> BorrowedHandle<'_> {
        let mut state = self.state();
        state.sole &= state.stage != Stage::Writable;
        // SAFETY: It stays this object's own for as long as that lives: it is replaced while it is the sole one that allows
        // to write, and no longer.
        unsafe { BorrowedHandle::borrow_raw(state.handle.as_raw_handle()) }
    }

    /// From now on another process may have it.
    pub(crate) fn hand_out(&self) {
        self.handle();
    }

    /// The number of its handle.
    pub(crate) fn number(&self) -> i32 {
        number_of(&self.state().handle)
    }

    /// What tells it from every other one.
    #[allow(clippy::unnecessary_wraps)] // Elsewhere the system is asked.
    pub(crate) fn identity(&self) -> Result<Identity> {
        Ok(self.identity)
    }

    pub(crate) fn status(&self) -> Result<Status> {
        section::status(&self.state().handle)
    }

    /// The same over a handle of its own, which no child inherits.
    pub(crate) fn duplicate(&self) -> io::Result<Self> {
        let mut state = self.state();
        let handle = state.handle.try_clone()?;
        state.sole &= state.stage != Stage::Writable;
        let state = State::shared(handle, state.stage);
        let Self { layout, size, identity, .. } = *self;
        Ok(Self { state: state.into(), writers: Arc::default(), layout, size, identity })
    }

    /// The same over a handle of its own that every child inherits.
    pub(crate) fn duplicate_inheritable(&self) -> io::Result<Self> {
        let duplicate = self.duplicate()?;
        set_close_on_exec(duplicate.handle(), false)?;
        Ok(duplicate)
    }

    /// Ends the making of writers, where nobody else can make one.
    pub(crate) fn make_read_only(&self) -> Result<()> {
        let mut state = self.state();
        if state.stage != Stage::Writable {
            return Err(sealed());
        }
        let place = state.last_page(self.layout)?;
        state.restrict(&place, Stage::ReadOnly)?;
        state.last_page = Some(place);
        Ok(())
    }

    /// Ends all writing, where nobody else can write.
    pub(crate) fn freeze(&self) -> Result<()> {
        let mut state = self.state();
        if state.stage == Stage::Frozen {
            return Ok(());
        }
        let place = state.last_page(self.layout)?;
        if Arc::strong_count(&self.writers) > 1 {
            state.last_page = (state.stage == Stage::ReadOnly).then_some(place);
            return Err(Failure {
                kind: ErrorKind::StillWritable,
                os: io::ErrorKind::ResourceBusy.into(),
                hint: "this process still maps it for writing: unmap it first, or take FrozenRegion::copy_of",
            });
        }
        state.restrict(&place, Stage::Frozen)
    }

    /// Maps `len` bytes from `offset` on.
    pub(crate) fn map(&self, offset: u64, len: usize, protection: Protection, populate: bool) -> Result<View> {
        let state = self.state();
        if protection == Protection::Shared && state.stage != Stage::Writable {
            return Err(sealed());
        }
        // Whole granules would show the last page.
        let end = usize::try_from(self.layout.end() - offset).unwrap_or(usize::MAX);
        let mut view = View::new(state.handle.as_handle(), self.layout, offset, len.min(end), protection)?;
        if protection == Protection::Shared {
            view = view.counted(&self.writers);
        }
        drop(state);
        if populate {
            view.populate();
        }
        Ok(view)
    }

    /// Reads what there is at an offset.
    pub(crate) fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        let len = usize::try_from(self.size.saturating_sub(offset)).map_or(into.len(), |rest| rest.min(into.len()));
        if len == 0 {
            return Ok(0);
        }
        let start = offset - offset % self.layout.allocation_granularity();
        let skipped = usize::try_from(offset - start).unwrap_or(usize::MAX);
        let view = self.map(start, skipped.saturating_add(len), Protection::ReadOnly, false)?;
        // SAFETY: A view starts on a page, shows as much as was asked for, and outlives these bytes.
        let bytes = unsafe { SharedBytes::new(view.start(), skipped + len) };
        bytes.read_at(skipped, &mut into[..len]).map_err(io::Error::other)?;
        Ok(len)
    }

    /// The name that it was created under; for debugging only.
    pub(crate) fn debug_name(&self) -> Option<String> {
        let page =
            last_page(self.state().handle.as_handle(), self.layout, Protection::ReadOnly).ok()?.read().ok()??;
        Some(page.name).filter(|name| !name.is_empty())
    }
}

impl State {
    /// Of what others may hold too.
    fn shared(handle: OwnedHandle, stage: Stage) -> Self {
        Self { handle, stage, sole: false, last_page: None }
    }

    /// The last page, to write it where nobody else can.
    fn last_page(&mut self, layout: Layout) -> Result<Place> {
        if !self.sole {
            return Err(handed_out());
        }
        match self.last_page.take() {
            Some(place) => Ok(place),
            None => last_page(self.handle.as_handle(), layout, Protection::Shared),
        }
    }

    /// Says what became of the region, and keeps no handle that allows to write.
    fn restrict(&mut self, place: &Place, stage: Stage) -> Result<()> {
        let writable = self.stage == Stage::Writable;
        let readable = writable.then(|| section::restricted(self.handle.as_handle(), READABLE)).transpose()?;
        place.write_stage(stage)?;
        if let Some(readable) = readable {
            self.handle = readable;
        }
        self.stage = stage;
        Ok(())
    }
}

impl AsHandle for Memory {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.handle()
    }
}

impl From<Memory> for OwnedHandle {
    fn from(memory: Memory) -> Self {
        memory.state.into_inner().unwrap_or_else(PoisonError::into_inner).handle
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("number", &self.number()).finish_non_exhaustive()
    }
}

/// A number that nobody can foresee; it needn't be a secret.
fn chance() -> u64 {
    RandomState::new().hash_one(0)
}
