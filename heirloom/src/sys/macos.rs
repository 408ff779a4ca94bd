//! macOS: POSIX shared memory, whose name exists only while it is created.
//!
//! The kernel allows to set its size once and has no seals. A descriptor that was opened for reading can't be reopened for
//! writing, and no mapping of it can be made writable. The kernel keeps neither an exact size nor an identity for shared
//! memory, so the [`trailer`](super::trailer) has them.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_int, c_void};
use std::io;
use std::os::fd::{AsFd, FromRawFd};
use std::path::Path;
use std::ptr::NonNull;
use std::time::Duration;

use rustix::fs;
use rustix::io::Errno;

use super::bsd;
use super::failure::{Failure, Reason, Result};
use super::status::{Access, Commit, Identity, Protection, Status, Wake};
use super::trailer::{self, TrailerPage};
use super::unix::errno::{last_errno, retry};
use super::unix::fd::{above_standard, allocation_granularity, identity_of, unsealed_status};
use super::unix::view::View;

pub(crate) use super::bsd::random;
pub(crate) use std::os::fd::OwnedFd as Owned;

/// The size of the trailer's page in bytes: the largest page size, so that processes with other page sizes agree on it.
const TRAILER_PAGE: u64 = 16 << 10;

/// Returns the size of the shared memory for a region of `size` bytes and its trailer.
fn whole(size: u64) -> Option<u64> {
    size.checked_next_multiple_of(TRAILER_PAGE)?.checked_add(TRAILER_PAGE)
}

/// Where the trailer is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// The size with the trailer; `None` for a file, which has none.
    whole: Option<u64>,
}

impl Layout {
    /// Returns the layout of validated memory.
    pub(crate) fn of_status(status: &Status) -> Self {
        Self { whole: if status.seals.size { whole(status.size) } else { None } }
    }

    /// Returns the alignment of mapping offsets.
    #[allow(clippy::unused_self)] // Windows needs it.
    pub(crate) fn granularity(self) -> u64 {
        allocation_granularity()
    }
}

/// The descriptor that allows only reading, opened at creation.
pub(crate) struct Reader(Owned);

/// Creates shared memory for a region of `size` bytes.
pub(crate) fn create(size: u64, commit: Commit) -> Result<(Layout, Owned, Reader)> {
    if commit != Commit::OnTouch {
        return Err(unsupported(Reason::NoCommit));
    }
    let whole = whole(size).ok_or(Errno::FBIG)?;
    let (fd, reader) = shared_memory()?;
    retry(|| fs::ftruncate(&fd, whole))?;
    Ok((Layout { whole: Some(whole) }, fd, Reader(reader)))
}

/// Creates an unnamed file in `directory`.
pub(crate) fn create_file(directory: &Path, size: u64) -> Result<(Layout, Owned, Identity)> {
    let fd = bsd::unnamed_file(directory, size)?;
    let identity = identity_of(&fs::fstat(&fd)?);
    Ok((Layout { whole: None }, fd, identity))
}

/// Creates shared memory of size 0, removes its name, and returns a descriptor for writing and one for reading.
fn shared_memory() -> Result<(Owned, Owned)> {
    // The system allows at most 31 bytes, with the slash.
    let name = CString::new(format!("/heirloom-{:016x}", random())).map_err(|_| Errno::INVAL)?;
    let open = |flags| {
        // SAFETY: The name ends with NUL and lives during the call.
        match unsafe { libc::shm_open(name.as_ptr(), flags, 0o600) } {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: The kernel has just created this descriptor (close-on-exec), so nothing else owns it.
            number => Ok(unsafe { Owned::from_raw_fd(number) }),
        }
    };
    let fd = open(libc::O_RDWR | libc::O_CREAT | libc::O_EXCL)?;
    let reader = open(libc::O_RDONLY);
    // SAFETY: The name ends with NUL and lives during the call.
    let unlinked = unsafe { libc::shm_unlink(name.as_ptr()) };
    if unlinked != 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok((above_standard(fd)?, above_standard(reader?)?))
}

/// Takes the descriptor that allows only reading.
#[allow(clippy::unnecessary_wraps)] // Windows may fail.
pub(crate) fn take_reader(reader: &mut Option<Reader>, _: &Owned) -> Result<Option<Owned>> {
    Ok(reader.take().map(|reader| reader.0))
}

/// Maps `len` bytes from `offset` on.
pub(crate) fn map(fd: &Owned, layout: Layout, offset: u64, len: usize, protection: Protection) -> Result<View> {
    if protection == Protection::CopyOnWrite && layout.whole.is_some() {
        return Err(unsupported(Reason::NoCopyOnWrite));
    }
    bsd::map(fd.as_fd(), offset, len, protection, false)
}

/// Does nothing: macOS can't fault in all pages at once.
pub(crate) fn fault_in(_: &View) {}

/// Reads a file at an offset; `None` for shared memory, which can only be mapped.
pub(crate) fn read_file(fd: &Owned, layout: Layout, offset: u64, into: &mut [u8]) -> Option<Result<usize>> {
    // Reading returns an error if another process truncates the file; a mapping would raise SIGBUS.
    let read = || retry(|| rustix::io::pread(fd, &mut *into, offset));
    layout.whole.is_none().then(read).map(|answer| answer.map_err(Failure::from))
}

/// Maps the trailer of shared memory.
pub(crate) fn trailer_page(fd: impl AsFd, layout: Layout, protection: Protection) -> Result<TrailerPage> {
    let start = layout.whole.ok_or(Errno::OPNOTSUPP)? - TRAILER_PAGE;
    let view = bsd::map(fd.as_fd(), start, trailer::LEN, protection, false)?;
    // SAFETY: The view starts with the page and maps `LEN` bytes of it.
    Ok(unsafe { TrailerPage::new(view, 0) })
}

impl View {
    #[allow(clippy::unused_self)] // Other systems need it.
    pub(crate) fn no_dump(&self) -> Result<()> {
        Err(unsupported(Reason::NoDumpExclusion))
    }
}

/// Returns the status of a descriptor, with the properties in its trailer.
pub(crate) fn status(fd: impl AsFd) -> Result<Status> {
    let fd = fd.as_fd();
    let stat = fs::fstat(fd)?;
    let mut status = unsealed_status(fd, &stat)?;
    let whole_now = status.size;
    // The kernel reports no type for shared memory.
    if stat.st_mode & libc::S_IFMT != 0 || status.access == Access::None || whole_now < TRAILER_PAGE {
        return Ok(status);
    }
    let trailer = trailer_page(fd, Layout { whole: Some(whole_now) }, Protection::ReadOnly)?.read()?;
    if let Some(trailer) = trailer.filter(|trailer| whole(trailer.size) == Some(whole_now)) {
        status.identity = trailer.identity;
        status.size = trailer.size;
        status.unnamed = true;
        status.seals = trailer.seals(status.access);
        status.sealable = status.access == Access::ReadWrite;
    }
    Ok(status)
}

/// Sleeps while the number at `address` is `value`, at most for `timeout`. It may return early.
#[allow(clippy::cast_possible_truncation)] // Waits are short.
pub(crate) fn wait_while(address: *mut u32, value: u32, timeout: Duration) -> Result<()> {
    type Wait = unsafe extern "C" fn(*mut c_void, u64, usize, u32, u32, u64) -> c_int;

    let found = since_14_4(c"os_sync_wait_on_address_with_timeout")?;
    // SAFETY: This is the function's type in `os/os_sync_wait_on_address.h`.
    let wait = unsafe { std::mem::transmute::<NonNull<c_void>, Wait>(found) };
    let (shared, clock) = (libc::OS_SYNC_WAIT_ON_ADDRESS_SHARED, libc::OS_CLOCK_MACH_ABSOLUTE_TIME);
    // SAFETY: The kernel reads the number, and returns an error for any bad address.
    match unsafe { wait(address.cast(), u64::from(value), size_of::<u32>(), shared, clock, timeout.as_nanos() as u64) }
    {
        -1 => match last_errno() {
            Errno::TIMEDOUT | Errno::INTR | Errno::FAULT => Ok(()),
            errno => Err(errno.into()),
        },
        _ => Ok(()),
    }
}

/// Wakes whoever sleeps at `address`.
pub(crate) fn wake(address: *mut u32, wake: Wake) -> Result<()> {
    type WakeBy = unsafe extern "C" fn(*mut c_void, usize, u32) -> c_int;

    let name = if wake == Wake::One { c"os_sync_wake_by_address_any" } else { c"os_sync_wake_by_address_all" };
    let found = since_14_4(name)?;
    // SAFETY: This is the type of both functions in `os/os_sync_wait_on_address.h`.
    let wake = unsafe { std::mem::transmute::<NonNull<c_void>, WakeBy>(found) };
    // SAFETY: The kernel only takes note of the address, and returns an error for a bad one.
    match unsafe { wake(address.cast(), size_of::<u32>(), libc::OS_SYNC_WAKE_BY_ADDRESS_SHARED) } {
        -1 => match last_errno() {
            // Nobody waits.
            Errno::NOENT => Ok(()),
            errno => Err(errno.into()),
        },
        _ => Ok(()),
    }
}

/// Looks up a function that macOS has since 14.4.
fn since_14_4(name: &CStr) -> Result<NonNull<c_void>> {
    // SAFETY: The name ends with NUL and lives during the call.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    NonNull::new(found).ok_or_else(|| unsupported(Reason::NoWaiting))
}

/// Returns the failure of a call that this library refuses without asking the system.
pub(crate) fn refused(reason: Reason) -> Failure {
    let errno = if reason == Reason::Sealed { Errno::PERM } else { Errno::BUSY };
    Failure::new(reason, errno)
}

fn unsupported(reason: Reason) -> Failure {
    Failure::new(reason, Errno::OPNOTSUPP)
}
