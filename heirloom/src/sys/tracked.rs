//! macOS and Windows: memory whose writers this process counts, because the kernel has no seals.
//!
//! A region knows whether its descriptor is the only one that allows writing, and how many of its mappings write. If no
//! other descriptor and no mapping allows writing, the region can become read-only or frozen: it closes its descriptor and
//! keeps one that allows only reading, from which no process can make one that allows more.
//!
//! The properties that other kernels keep are in the [`trailer`](super::trailer).

#![allow(unsafe_code)]

use std::fmt;
use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
#[cfg(windows)]
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::failure::{Reason, Result};
#[cfg(target_os = "macos")]
use super::macos::{
    Layout, Owned, Reader, create, create_file, fault_in, map, random, read_file, refused, status, take_reader,
    trailer_page,
};
use super::platform::Borrowed;
use super::status::{Commit, Identity, Protection, Status};
use super::trailer::{Stage, Trailer, TrailerPage};
#[cfg(unix)]
use super::unix::{
    fd::{duplicate, duplicate_inheritable, number_of},
    view::View as Pages,
};
#[cfg(windows)]
use super::windows::{
    error::refused,
    handle::{Owned, duplicate, duplicate_inheritable, number_of},
    layout::Layout,
    memory::{Reader, create, create_file, fault_in, map, random, read_file, status, take_reader, trailer_page},
    view::View as Pages,
};
use crate::access::SharedBytes;

/// The memory of a region, and what is known about its writers.
pub(crate) struct Memory {
    state: Mutex<State>,
    /// Each writable mapping has a clone.
    writers: Arc<()>,
    layout: Layout,
    /// Bytes.
    size: u64,
    identity: Identity,
}

struct State {
    /// Allows writing until the region is read-only or frozen.
    descriptor: Owned,
    /// The source of the read-only descriptor; `None` once another descriptor may allow writing, here or elsewhere.
    reader: Option<Reader>,
    stage: Stage,
    /// The trailer of a read-only region, kept to record later that it is frozen.
    trailer: Option<TrailerPage>,
}

impl Memory {
    /// Creates anonymous memory of a fixed size, filled with zeros, that no child inherits.
    pub(crate) fn create(name: Option<&str>, size: u64, commit: Commit) -> Result<Self> {
        let (layout, descriptor, reader) = create(size, commit)?;
        let identity = Identity { device: random(), inode: random() };
        let name = name.unwrap_or_default().to_owned();
        let stage = Stage::Writable;
        let page = trailer_page(&descriptor, layout, Protection::Shared)?;
        page.write(&Trailer { size, identity, stage, name })?;
        let state = State { descriptor, reader: Some(reader), stage, trailer: None };
        Ok(Self { state: state.into(), writers: Arc::default(), layout, size, identity })
    }

    /// Creates an unnamed file in `directory`.
    pub(crate) fn create_file(directory: &Path, size: u64) -> Result<Self> {
        let (layout, descriptor, identity) = create_file(directory, size)?;
        let state = State::shared(descriptor, Stage::Writable);
        Ok(Self { state: state.into(), writers: Arc::default(), layout, size, identity })
    }

    /// Wraps a descriptor from elsewhere with the status that was validated.
    pub(crate) fn received(descriptor: Owned, status: &Status) -> Self {
        let state = State::shared(descriptor, Stage::of(status.seals));
        let (layout, size, identity) = (Layout::of_status(status), status.size, status.identity);
        Self { state: state.into(), writers: Arc::default(), layout, size, identity }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[allow(clippy::unnecessary_wraps)] // Other systems may fail.
    pub(crate) fn identity(&self) -> Result<Identity> {
        Ok(self.identity)
    }

    /// Returns the number of the descriptor.
    pub(crate) fn number(&self) -> i32 {
        number_of(&self.state().descriptor)
    }

    /// Returns the descriptor, for a child.
    pub(crate) fn lend(&self) -> Borrowed<'_> {
        #[cfg(unix)]
        return self.as_fd();
        #[cfg(windows)]
        return self.as_handle();
    }

    pub(crate) fn status(&self) -> Result<Status> {
        status(&self.state().descriptor)
    }

    /// Records that another process may now have the descriptor.
    pub(crate) fn hand_out(&self) {
        self.state().reader = None;
    }

    /// Returns the same memory over a duplicate descriptor that no child inherits.
    pub(crate) fn duplicate(&self) -> io::Result<Self> {
        self.duplicate_by(|descriptor| duplicate(descriptor))
    }

    /// Returns the same memory over a duplicate descriptor that every child inherits.
    pub(crate) fn duplicate_inheritable(&self) -> io::Result<Self> {
        self.duplicate_by(|descriptor| duplicate_inheritable(descriptor))
    }

    fn duplicate_by(&self, duplicate: impl FnOnce(&Owned) -> io::Result<Owned>) -> io::Result<Self> {
        let mut state = self.state();
        let descriptor = duplicate(&state.descriptor)?;
        state.reader = None;
        let state = State::shared(descriptor, state.stage);
        let Self { layout, size, identity, .. } = *self;
        Ok(Self { state: state.into(), writers: Arc::default(), layout, size, identity })
    }

    /// Makes the region read-only; fails if another process may have a writable descriptor.
    pub(crate) fn make_read_only(&self) -> Result<()> {
        let mut state = self.state();
        if state.stage != Stage::Writable {
            return Err(refused(Reason::Sealed));
        }
        state.check_sole()?;
        state.advance(self.layout, Stage::ReadOnly)
    }

    /// Freezes the region; fails if another process may have a writable descriptor, or if this process maps it for writing.
    pub(crate) fn freeze(&self) -> Result<()> {
        let mut state = self.state();
        if state.stage == Stage::Frozen {
            return Ok(());
        }
        state.check_sole()?;
        if Arc::strong_count(&self.writers) > 1 {
            return Err(refused(Reason::StillMappedHere));
        }
        state.advance(self.layout, Stage::Frozen)
    }

    /// Maps `len` bytes from `offset` on.
    pub(crate) fn map(&self, offset: u64, len: usize, protection: Protection, populate: bool) -> Result<View> {
        let state = self.state();
        if protection == Protection::Shared && state.stage != Stage::Writable {
            return Err(refused(Reason::Sealed));
        }
        let pages = map(&state.descriptor, self.layout, offset, len, protection)?;
        // Counted before the lock is released, so that no `freeze` misses it.
        let writer = (protection == Protection::Shared).then(|| Arc::clone(&self.writers));
        drop(state);
        if populate {
            fault_in(&pages);
        }
        Ok(View { pages, _writer: writer })
    }

    /// Reads bytes at an offset.
    pub(crate) fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        if let Some(answer) = read_file(&self.state().descriptor, self.layout, offset, into) {
            return answer;
        }
        let len = usize::try_from(self.size.saturating_sub(offset)).map_or(into.len(), |rest| rest.min(into.len()));
        if len == 0 {
            return Ok(0);
        }
        let start = offset - offset % self.layout.granularity();
        let skipped = usize::try_from(offset - start).unwrap_or(usize::MAX);
        let view = self.map(start, skipped.saturating_add(len), Protection::ReadOnly, false)?;
        // SAFETY: The view starts with these bytes, and lives longer than `bytes`.
        let bytes = unsafe { SharedBytes::new(view.start(), skipped + len) };
        bytes.read_at(skipped, &mut into[..len]).map_err(io::Error::other)?;
        Ok(len)
    }

    /// Returns the name that the memory was created with, for debugging.
    pub(crate) fn debug_name(&self) -> Option<String> {
        let page = trailer_page(&self.state().descriptor, self.layout, Protection::ReadOnly).ok()?;
        Some(page.read().ok()??.name).filter(|name| !name.is_empty())
    }
}

impl State {
    /// Makes the state of a region that other processes may have too.
    fn shared(descriptor: Owned, stage: Stage) -> Self {
        Self { descriptor, reader: None, stage, trailer: None }
    }

    /// Fails if another process may have a writable descriptor. A kept trailer shows that none had one when the region became
    /// read-only, and none can get one since.
    fn check_sole(&self) -> Result<()> {
        if self.trailer.is_none() && self.reader.is_none() {
            return Err(refused(Reason::MayBeHeldForWriting));
        }
        Ok(())
    }

    /// Records the stage in the trailer, and replaces the writable descriptor by a read-only one.
    fn advance(&mut self, layout: Layout, stage: Stage) -> Result<()> {
        let page = match self.trailer.take() {
            Some(page) => page,
            None => trailer_page(&self.descriptor, layout, Protection::Shared)?,
        };
        let reader = take_reader(&mut self.reader, &self.descriptor)?;
        page.write_stage(stage)?;
        if let Some(reader) = reader {
            self.descriptor = reader;
        }
        self.trailer = (stage == Stage::ReadOnly).then_some(page);
        self.stage = stage;
        Ok(())
    }
}

/// Returns the identity of the object behind a descriptor.
#[cfg(unix)]
pub(crate) fn identity(descriptor: Borrowed<'_>) -> Result<Identity> {
    Ok(status(descriptor)?.identity)
}

/// Lends the descriptor to code that may duplicate it, so another process may have it from then on.
#[cfg(unix)]
impl AsFd for Memory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let mut state = self.state();
        state.reader = None;
        // SAFETY: The descriptor lives as long as this object: only `advance` replaces it, and only if `reader` is some,
        // which it is not any more.
        unsafe { BorrowedFd::borrow_raw(state.descriptor.as_raw_fd()) }
    }
}

/// Lends the handle to code that may duplicate it, so another process may have it from then on.
#[cfg(windows)]
impl AsHandle for Memory {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        let mut state = self.state();
        state.reader = None;
        // SAFETY: The handle lives as long as this object: only `advance` replaces it, and only if `reader` is some, which
        // it is not any more.
        unsafe { BorrowedHandle::borrow_raw(state.descriptor.as_raw_handle()) }
    }
}

impl From<Memory> for Owned {
    fn from(memory: Memory) -> Self {
        memory.state.into_inner().unwrap_or_else(PoisonError::into_inner).descriptor
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("number", &self.number()).finish_non_exhaustive()
    }
}

/// Mapped pages; unmapped on drop.
pub(crate) struct View {
    pages: Pages,
    /// Counts the mapping among the writers of its memory.
    _writer: Option<Arc<()>>,
}

impl View {
    /// Returns the address of the first page.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.pages.start()
    }

    pub(crate) fn no_dump(&self) -> Result<()> {
        self.pages.no_dump()
    }
}
