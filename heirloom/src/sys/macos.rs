//! macOS: POSIX shared memory, whose name is gone again before anybody is told of it.
//!
//! The kernel lets its size be set once, and keeps no seals. So this process itself counts who may write: the mappings it
//! made, and whether a descriptor that allows it ever left. Once nobody else may and none is kept, nobody can ever again: a
//! descriptor that was opened for reading can't be opened for more, and what is mapped through it can't be made writable.
//!
//! The kernel tells neither an exact size nor what a region is, so a page behind it does. Who can write the region can write
//! that: it keeps mistakes out, not enemies. Who holds it for reading takes its creator's word, which nobody else could write.

#![allow(unsafe_code)]

use std::ffi::CString;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{self, FileType};
use rustix::io::Errno;

pub(crate) use super::bsd::*;
pub(crate) use super::unix::*;
use super::{Access, Failure, Identity, Protection, Result, Seals, Status, Supply, unix};
use crate::ErrorKind;

const MAGIC: u64 = u64::from_ne_bytes(*b"heirloom");

/// How far it is on its way to nobody writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Writable,
    Published,
    Frozen,
}

/// The numbers of the page behind a region.
#[derive(Clone, Copy)]
#[repr(C)]
struct Label {
    magic: u64,
    version: u64,
    size: u64,
    device: u64,
    inode: u64,
    stage: u64,
}

impl Label {
    fn stage(&self) -> Stage {
        match self.stage {
            2 => Stage::Frozen,
            1 => Stage::Published,
            _ => Stage::Writable,
        }
    }
}

/// How much is behind a region for its label: a whole page, also of a process that has larger ones than another.
const LABEL: u64 = 16 << 10;

/// Where what is behind a region of that size begins.
fn label_offset(size: u64) -> Option<u64> {
    size.checked_next_multiple_of(LABEL)
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
    label: Option<unix::View>,
}

impl Memory {
    /// Makes memory of that size for ever, all zero, that is close-on-exec and whose name is there for a moment.
    pub(crate) fn create(_: Option<&str>, size: u64, supply: Supply) -> Result<Self> {
        if supply != Supply::AsTouched {
            return Err(unsupported(SUPPLY));
        }
        let whole = label_offset(size).and_then(|label| label.checked_add(LABEL)).ok_or(Errno::FBIG)?;
        let (fd, reader) = shared_memory()?;
        retry(|| fs::ftruncate(&fd, whole))?;
        let identity = Identity { device: chance(), inode: chance() };
        let label = map_label(fd.as_fd(), size, Protection::Shared)?;
        let Identity { device, inode } = identity;
        let numbers = Label { magic: MAGIC, version: 1, size, device, inode, stage: 0 };
        // SAFETY: Mapped for writing, aligned to a page, and nobody else has it yet.
        unsafe { label.start().cast::<Label>().write_volatile(numbers) };
        let state = State { fd, reader: Some(reader), stage: Stage::Writable, label: None };
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
        let stage = match status.seals {
            seals if seals.writing => Stage::Frozen,
            seals if seals.new_writers => Stage::Published,
            _ => Stage::Writable,
        };
        let (size, identity, file) = (status.size, status.identity, !status.seals.size);
        Self { state: State::shared(fd, stage).into(), writers: Arc::default(), size, identity, file }
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
    pub(crate) fn publish(&self) -> Result<()> {
        let mut state = self.state();
        if state.stage != Stage::Writable {
            return Err(sealed(Errno::PERM));
        }
        state.advance(self.size, Stage::Published)
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
        let start = offset - offset % granule();
        let skipped = usize::try_from(offset - start).unwrap_or(usize::MAX);
        let view = self.map(start, skipped.saturating_add(len), Protection::ReadOnly, false)?;
        // SAFETY: A view starts on a page, and lives as long as these bytes.
        let bytes = unsafe { crate::access::SharedBytes::new(view.start(), skipped + len) };
        let outside = |_| Failure::from(Errno::FAULT);
        bytes.read_at(skipped, &mut into[..len]).map_err(outside)?;
        Ok(len)
    }

    /// The name that it was created under: the kernel keeps none.
    #[allow(clippy::unused_self)] // Others need it.
    pub(crate) fn debug_name(&self) -> Option<String> {
        None
    }
}

impl State {
    /// Of what others may hold too.
    fn shared(fd: OwnedFd, stage: Stage) -> Self {
        Self { fd, reader: None, stage, label: None }
    }

    /// Says what becomes of the region, and keeps no descriptor that allows to write.
    fn advance(&mut self, size: u64, stage: Stage) -> Result<()> {
        let label = match self.label.take() {
            Some(label) => label,
            None if self.reader.is_none() => return Err(handed_out()),
            None => map_label(self.fd.as_fd(), size, Protection::Shared)?,
        };
        // SAFETY: Mapped for writing and aligned to a page; nobody else can write it. Who reads it meanwhile finds the one
        // number or the other.
        unsafe { (&raw mut (*label.start().cast::<Label>().as_ptr()).stage).write_volatile(stage as u64) };
        if let Some(reader) = self.reader.take() {
            self.fd = reader;
        }
        self.label = (stage == Stage::Published).then_some(label);
        self.stage = stage;
        Ok(())
    }
}

/// Why it can't be published or frozen.
fn handed_out() -> Failure {
    Failure {
        kind: ErrorKind::StillWritable,
        os: Errno::BUSY.into(),
        hint: "this system has no seals, and others may hold a descriptor that allows to write it: publish or freeze before \
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

/// How many bytes wait in one piece.
const PIECE: usize = 1 << 20;

/// Memory that grows by what is written to it. Its size can be set once, so the bytes wait in pieces until it is known.
#[derive(Default)]
pub(crate) struct Filling(Vec<Vec<u8>>);

impl Filling {
    #[allow(clippy::unnecessary_wraps)] // Elsewhere the system is asked.
    pub(crate) fn new(_: Option<&str>) -> Result<Self> {
        Ok(Self::default())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        for part in bytes.chunks(PIECE) {
            let mut piece = Vec::new();
            piece.try_reserve_exact(part.len())?;
            piece.extend_from_slice(part);
            self.0.push(piece);
        }
        Ok(())
    }

    /// Moves bytes out of a file inside the kernel: this one can't.
    #[allow(clippy::unused_self)] // Others need it.
    pub(crate) fn transfer(&mut self, _: &File, _: u64) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The memory of that many bytes, which nobody can write.
    pub(crate) fn freeze(self, size: u64) -> Result<Memory> {
        let memory = Memory::create(None, size, Supply::AsTouched)?;
        if size > 0 {
            let len = usize::try_from(size).map_err(|_| Errno::NOMEM)?;
            let view = memory.map(0, len, Protection::Shared, false)?;
            // SAFETY: A view starts on a page, and lives as long as these bytes.
            let shared = unsafe { crate::access::SharedBytes::new(view.start(), len) };
            let mut offset = 0;
            for piece in self.0 {
                shared.write_at(offset, &piece).map_err(|_| Failure::from(Errno::FAULT))?;
                offset += piece.len();
            }
        }
        memory.freeze()?;
        Ok(memory)
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

/// The page behind a region.
fn map_label(fd: BorrowedFd<'_>, size: u64, protection: Protection) -> Result<unix::View> {
    let offset = label_offset(size).ok_or(Errno::FBIG)?;
    map(fd, offset, size_of::<Label>(), protection)
}

/// Asks the kernel what a descriptor is, and the page behind it.
pub(crate) fn status(fd: impl AsFd) -> Result<Status> {
    let fd = fd.as_fd();
    let stat = fs::fstat(fd)?;
    let access = access(fd)?;
    let whole = u64::try_from(stat.st_size).unwrap_or(0);
    let file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let mut status = Status {
        identity: identity_of(&stat),
        size: whole,
        granule: granule(),
        unnamed: file && stat.st_nlink == 0,
        access,
        seals: Seals { size: false, new_writers: false, writing: false },
        sealable: false,
    };
    // Of shared memory the kernel tells no type.
    if stat.st_mode & libc::S_IFMT != 0 || access == Access::None || whole < LABEL {
        return Ok(status);
    }
    let page = map(fd, whole - LABEL, size_of::<Label>(), Protection::ReadOnly)?;
    // SAFETY: The page is mapped, aligned, and plain numbers whatever stands there.
    let label = unsafe { page.start().cast::<Label>().read_volatile() };
    let ours = label.magic == MAGIC && label.version == 1;
    if ours && label_offset(label.size).is_some_and(|offset| offset == whole - LABEL) {
        let only_reading = |stage| access == Access::Read && label.stage() >= stage;
        status.identity = Identity { device: label.device, inode: label.inode };
        status.size = label.size;
        status.unnamed = true;
        status.seals =
            Seals { size: true, new_writers: only_reading(Stage::Published), writing: only_reading(Stage::Frozen) };
        status.sealable = access == Access::ReadWrite;
    }
    Ok(status)
}
