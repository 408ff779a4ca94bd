//! macOS: POSIX shared memory, whose name is gone again before anybody is told of it.
//!
//! The kernel lets its size be set once, and keeps no seals. So this process itself counts who may write: the mappings it
//! made, and whether a descriptor that allows it ever left. Once nobody else may and none is kept, nobody can ever again: a
//! descriptor that was opened for reading can't be opened for more, and what is mapped through it can't be made writable.
//!
//! The kernel tells neither an exact size nor what a region is, so a page behind it does (`last_page`).

#![allow(unsafe_code)]

use std::ffi::CString;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{self, FileType};
use rustix::io::Errno;

pub(crate) use super::bsd::*;
use super::last_page::{self, LastPage, Place, Stage};
pub(crate) use super::unix::*;
use super::{Access, Commit, Failure, Identity, Protection, Result, Seals, Status, unix};
use crate::ErrorKind;
use crate::access::SharedBytes;

/// How many bytes the last page has: a whole one, also of a process that has larger ones than another.
const LAST_PAGE: u64 = 16 << 10;

/// How many bytes a region of that size has with its last page.
fn whole(size: u64) -> Option<u64> {
    size.checked_next_multiple_of(LAST_PAGE)?.checked_add(LAST_PAGE)
}

/// Shared memory, and who may write it.
pub(crate) struct Memory {
    state: Mutex<State>,
    /// Each mapping that writes has a clone of this.
    writers: Arc<()>,
    size: u64,
    identity: Identity,
    /// It is a file in a directory.
    file: bool,
}

struct State {
    /// Allows to write until the region is published or frozen.
    fd: OwnedFd,
    /// The same for reading, as long as no other that allows to write was ever made, here or elsewhere.
    reader: Option<OwnedFd>,
    stage: Stage,
    /// Where the publisher says later that it froze the region.
    last_page: Option<Place>,
}

impl Memory {
    /// Makes memory of that size for ever, all zero, that is close-on-exec and whose name is there for a moment.
    pub(crate) fn create(name: Option<&str>, size: u64, supply: Commit) -> Result<Self> {
        if supply != Commit::OnTouch {
            return Err(unsupported(SUPPLY));
        }
        let whole = whole(size).ok_or(Errno::FBIG)?;
        let (fd, reader) = shared_memory()?;
        retry(|| fs::ftruncate(&fd, whole))?;
        let identity = Identity { device: chance(), inode: chance() };
        let name = name.unwrap_or_default().to_owned();
        last_page(fd.as_fd(), whole, Protection::Shared)?.write(&LastPage {
            size,
            identity,
            stage: Stage::Writable,
            name,
        })?;
        let state = State { fd, reader: Some(reader), stage: Stage::Writable, last_page: None };
        Ok(Self { state: state.into(), writers: Arc::default(), size, identity, file: false })
    }

    /// Makes a file in `directory` whose name is there for a moment.
    pub(crate) fn create_file(directory: &Path, size: u64) -> Result<Self> {
        let fd = unlinked(directory, size)?;
        let identity = identity_of(&fs::fstat(&fd)?);
        let state = State::shared(fd, Stage::Writable);
        Ok(Self { state: state.into(), writers: Arc::default(), size, identity, file: true })
    }

    /// What somebody else made, and was found to be memory.
    pub(crate) fn received(fd: OwnedFd, status: &Status) -> Self {
        let (size, identity, file) = (status.size, status.identity, !status.seals.size);
        Self { state: State::shared(fd, Stage::of(status.seals)).into(), writers: Arc::default(), size, identity, file }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What tells it from every other one.
    #[allow(clippy::unnecessary_wraps)] // Elsewhere the system is asked.
    pub(crate) fn identity(&self) -> Result<Identity> {
        Ok(self.identity)
    }

    /// The number of its descriptor.
    pub(crate) fn number(&self) -> i32 {
        self.state().fd.as_raw_fd()
    }

    /// Looking gives nothing out.
    pub(crate) fn status(&self) -> Result<Status> {
        status(self.state().fd.as_fd())
    }

    /// From now on another process may have it.
    pub(crate) fn hand_out(&self) {
        self.as_fd();
    }

    /// The same over a descriptor of its own, close-on-exec.
    pub(crate) fn duplicate(&self) -> io::Result<Self> {
        let fd = duplicate(&self.state().fd)?;
        Ok(self.handed_out_over(fd))
    }

    /// The same over a descriptor of its own that every child inherits.
    pub(crate) fn duplicate_inheritable(&self) -> io::Result<Self> {
        let fd = duplicate_inheritable(&self.state().fd)?;
        Ok(self.handed_out_over(fd))
    }

    fn handed_out_over(&self, fd: OwnedFd) -> Self {
        self.hand_out();
        let state = State::shared(fd, self.state().stage);
        let Self { size, identity, file, .. } = *self;
        Self { state: state.into(), writers: Arc::default(), size, identity, file }
    }

    /// Ends the making of writers, where nobody else can make one.
    pub(crate) fn make_read_only(&self) -> Result<()> {
        let mut state = self.state();
        if state.stage != Stage::Writable {
            return Err(sealed(Errno::PERM));
        }
        state.advance(self.size, Stage::ReadOnly)
    }

    /// Ends all writing, where nobody else can write.
    pub(crate) fn freeze(&self) -> Result<()> {
        let mut state = self.state();
        if state.stage == Stage::Frozen {
            return Ok(());
        }
        if Arc::strong_count(&self.writers) > 1 {
            return Err(Failure {
                kind: ErrorKind::StillWritable,
                os: Errno::BUSY.into(),
                hint: "this process still maps it for writing: unmap it first, or take FrozenRegion::copy_of",
            });
        }
        state.advance(self.size, Stage::Frozen)
    }

    /// Maps `len` bytes from `offset` on.
    pub(crate) fn map(&self, offset: u64, len: usize, protection: Protection, _: bool) -> Result<View> {
        let state = self.state();
        if protection == Protection::Shared && state.stage != Stage::Writable {
            return Err(sealed(Errno::PERM));
        }
        if protection == Protection::CopyOnWrite && !self.file {
            return Err(unsupported(
                "this system maps no shared memory copy-on-write: copy out of it what is to be changed",
            ));
        }
        let pages = map(state.fd.as_fd(), offset, len, protection)?;
        let writer = (protection == Protection::Shared).then(|| Arc::clone(&self.writers));
        Ok(View { pages, _writer: writer })
    }

    /// Reads what there is at an offset.
    pub(crate) fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        if self.file {
            // Where somebody cuts it, that is an error and no signal.
            return Ok(retry(|| rustix::io::pread(&self.state().fd, &mut *into, offset))?);
        }
        let len = usize::try_from(self.size.saturating_sub(offset)).map_or(into.len(), |rest| rest.min(into.len()));
        if len == 0 {
            return Ok(0);
        }
        let start = offset - offset % allocation_granularity();
        let skipped = usize::try_from(offset - start).unwrap_or(usize::MAX);
        let view = self.map(start, skipped.saturating_add(len), Protection::ReadOnly, false)?;
        // SAFETY: A view starts on a page, and lives as long as these bytes.
        let bytes = unsafe { SharedBytes::new(view.start(), skipped + len) };
        bytes.read_at(skipped, &mut into[..len]).map_err(io::Error::other)?;
        Ok(len)
    }

    /// The name that it was created under; for debugging only.
    pub(crate) fn debug_name(&self) -> Option<String> {
        if self.file {
            return None;
        }
        let page = last_page(self.state().fd.as_fd(), whole(self.size)?, Protection::ReadOnly).ok()?.read().ok()??;
        Some(page.name).filter(|name| !name.is_empty())
    }
}

impl State {
    /// Of what others may hold too.
    fn shared(fd: OwnedFd, stage: Stage) -> Self {
        Self { fd, reader: None, stage, last_page: None }
    }

    /// Says what becomes of the region, and keeps no descriptor that allows to write.
    fn advance(&mut self, size: u64, stage: Stage) -> Result<()> {
        let place = match self.last_page.take() {
            Some(place) => place,
            None if self.reader.is_none() => return Err(handed_out()),
            None => last_page(self.fd.as_fd(), whole(size).ok_or(Errno::FBIG)?, Protection::Shared)?,
        };
        place.write_stage(stage)?;
        if let Some(reader) = self.reader.take() {
            self.fd = reader;
        }
        self.last_page = (stage == Stage::ReadOnly).then_some(place);
        self.stage = stage;
        Ok(())
    }
}

/// Why it can't be published or frozen.
fn handed_out() -> Failure {
    Failure {
        kind: ErrorKind::StillWritable,
        os: Errno::BUSY.into(),
        hint: "this system has no seals, and others may hold a descriptor that allows to write it: make_read_only or freeze before \
               handing down, or take FrozenRegion::copy_of",
    }
}

impl AsFd for Memory {
    /// For whoever may do anything with it: from now on somebody else may write where it allows that.
    fn as_fd(&self) -> BorrowedFd<'_> {
        let mut state = self.state();
        state.reader = None;
        // SAFETY: It stays this object's own for as long as that lives: only one that never left is replaced.
        unsafe { BorrowedFd::borrow_raw(state.fd.as_raw_fd()) }
    }
}

impl From<Memory> for OwnedFd {
    fn from(memory: Memory) -> Self {
        memory.state.into_inner().unwrap_or_else(PoisonError::into_inner).fd
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("number", &self.number()).finish_non_exhaustive()
    }
}

/// Pages that show memory; unmapped on drop.
pub(crate) struct View {
    pages: unix::View,
    _writer: Option<Arc<()>>,
}

impl View {
    /// Where the pages begin.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.pages.start()
    }

    #[allow(clippy::unused_self)] // Others need it.
    pub(crate) fn no_dump(&self) -> Result<()> {
        Err(unsupported("this system keeps no pages out of core dumps: forbid them (ulimit -c 0)"))
    }
}

/// Shared memory of no size yet, for writing and for reading, without a name any more.
fn shared_memory() -> Result<(OwnedFd, OwnedFd)> {
    // At most 31 bytes, with the slash.
    let name = CString::new(format!("/heirloom-{:016x}", chance())).map_err(|_| Errno::INVAL)?;
    let open = |flags| {
        // SAFETY: A string with its NUL.
        match unsafe { libc::shm_open(name.as_ptr(), flags, 0o600) } {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: The kernel made it a moment ago, close-on-exec, and nobody else knows it.
            number => Ok(unsafe { OwnedFd::from_raw_fd(number) }),
        }
    };
    let fd = open(libc::O_RDWR | libc::O_CREAT | libc::O_EXCL)?;
    let reader = open(libc::O_RDONLY);
    // SAFETY: A string with its NUL.
    let unlinked = unsafe { libc::shm_unlink(name.as_ptr()) };
    if unlinked != 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok((above_standard(fd)?, above_standard(reader?)?))
}

/// The last page of so many bytes in all.
fn last_page(fd: BorrowedFd<'_>, whole: u64, protection: Protection) -> Result<Place> {
    let pages = map(fd, whole - LAST_PAGE, last_page::LEN, protection)?;
    // SAFETY: It starts with the page, and shows that many bytes.
    Ok(unsafe { Place::new(View { pages, _writer: None }, 0) })
}

/// Asks the kernel what a descriptor is, and the page behind it.
pub(crate) fn status(fd: impl AsFd) -> Result<Status> {
    let fd = fd.as_fd();
    let stat = fs::fstat(fd)?;
    let access = access(fd)?;
    let whole_now = u64::try_from(stat.st_size).unwrap_or(0);
    let file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let mut status = Status {
        identity: identity_of(&stat),
        size: whole_now,
        granularity: allocation_granularity(),
        unnamed: file && stat.st_nlink == 0,
        access,
        seals: Seals { size: false, new_writers: false, writing: false },
        sealable: false,
    };
    // Of shared memory the kernel tells no type.
    if stat.st_mode & libc::S_IFMT != 0 || access == Access::None || whole_now < LAST_PAGE {
        return Ok(status);
    }
    let page = last_page(fd, whole_now, Protection::ReadOnly)?.read()?;
    if let Some(page) = page.filter(|page| whole(page.size) == Some(whole_now)) {
        status.identity = page.identity;
        status.size = page.size;
        status.unnamed = true;
        status.seals = page.seals(access);
        status.sealable = access == Access::ReadWrite;
    }
    Ok(status)
}
