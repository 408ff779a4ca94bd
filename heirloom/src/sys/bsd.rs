//! What macOS and the BSDs do alike.

#![allow(unsafe_code)]

use std::os::fd::BorrowedFd;
use std::path::Path;
use std::ptr::{self, NonNull};

use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::mm::{self, MapFlags, ProtFlags};
use rustix::process::Resource;

use super::unix::{View, above_standard, retry};
use super::{Access, Failure, Identity, Protection, Result};
use crate::ErrorKind;

/// Pages larger than the usual ones aren't to be had here by their size.
pub(crate) const HUGE_PAGE: u64 = 2 << 20;

/// How many bytes a variable of the environment holds: as many as on Linux, so that what can be handed down is the same.
pub(crate) const LONGEST_VARIABLE: usize = 128 << 10;

/// Of what offsets of mappings must be multiples, in bytes.
pub(crate) fn allocation_granularity() -> u64 {
    rustix::param::page_size() as u64
}

/// How long a file of this process may get.
pub(crate) fn size_limit() -> u64 {
    rustix::process::getrlimit(Resource::Fsize).current.unwrap_or(u64::MAX)
}

/// How many bytes could be had: these systems don't tell.
pub(crate) fn available_memory() -> u64 {
    u64::MAX
}

/// Whether this process's parent still holds that object under that number: these systems don't tell.
pub(crate) fn parent_passes(_: i32, _: Identity) -> bool {
    false
}

/// Whether this process runs with rights that its caller doesn't have (setuid, for one).
pub(crate) fn is_privileged() -> bool {
    // SAFETY: It asks, and changes nothing.
    unsafe { libc::issetugid() != 0 }
}

/// What a descriptor allows.
pub(super) fn access(fd: BorrowedFd<'_>) -> Result<Access> {
    Ok(match fs::fcntl_getfl(fd)? & OFlags::RWMODE {
        OFlags::RDWR => Access::ReadWrite,
        OFlags::RDONLY => Access::Read,
        _ => Access::None,
    })
}

/// Maps `len` bytes from `offset` on.
pub(super) fn map(fd: BorrowedFd<'_>, offset: u64, len: usize, protection: Protection) -> Result<View> {
    let (prot, flags) = match protection {
        Protection::Shared => (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED),
        Protection::ReadOnly => (ProtFlags::READ, MapFlags::SHARED),
        Protection::CopyOnWrite => (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE),
    };
    // SAFETY: The kernel chooses an address that nothing else in this process uses.
    let address = unsafe { mm::mmap(ptr::null_mut(), len, prot, flags, fd, offset) }.map_err(|errno| match errno {
        Errno::PERM | Errno::ACCESS => sealed(errno),
        Errno::NOMEM => Failure {
            kind: ErrorKind::OutOfMemory,
            os: errno.into(),
            hint: "address space or memory ran out: map a part of it",
        },
        errno => errno.into(),
    })?;
    let address = NonNull::new(address.cast()).ok_or(Errno::NOMEM)?;
    // SAFETY: The kernel made it just now, for nobody else.
    Ok(unsafe { View::new(address, len) })
}

/// Why nothing is mapped for writing.
pub(super) fn sealed(errno: Errno) -> Failure {
    Failure {
        kind: ErrorKind::Sealed,
        os: errno.into(),
        hint: "it was published or frozen meanwhile: ReadOnlyRegion::try_from or Region::freeze make a handle that maps \
               for reading",
    }
}

/// Makes a file in `directory` whose name is gone again when this returns.
pub(super) fn unlinked(directory: &Path, size: u64) -> Result<std::os::fd::OwnedFd> {
    // Once, so that it is the same one where the name is made and where it is taken away.
    let directory = retry(|| fs::open(directory, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()))?;
    let name = format!(".heirloom-{:016x}", chance());
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fd = retry(|| fs::openat(&directory, &name, flags, Mode::RUSR | Mode::WUSR))?;
    fs::unlinkat(&directory, &name, AtFlags::empty())?;
    let fd = above_standard(fd)?;
    if fs::fstat(&fd)?.st_nlink != 0 {
        return Err(Failure {
            kind: ErrorKind::System,
            os: Errno::MLINK.into(),
            hint: "another process gave the file a second name meanwhile: choose a directory that is this user's alone",
        });
    }
    retry(|| fs::ftruncate(&fd, size))?;
    write_zeros(&fd, size)?;
    Ok(fd)
}

/// Takes all the space of a file now, since a touch on a full disk would end the process.
fn write_zeros(fd: &std::os::fd::OwnedFd, size: u64) -> Result<()> {
    let zeros = vec![0; 1 << 16];
    let mut done = 0;
    while done < size {
        let part = usize::try_from(size - done).map_or(zeros.len(), |rest| rest.min(zeros.len()));
        done += retry(|| rustix::io::pwrite(fd, &zeros[..part], done))? as u64;
    }
    Ok(())
}

/// A number that nobody can foresee; it needn't be a secret.
pub(super) fn chance() -> u64 {
    let mut number = [0; 8];
    // Not what the standard library draws, which a forked child goes on with as its parent does.
    // SAFETY: It fills as many bytes as it is told, and knows of a fork.
    unsafe { libc::arc4random_buf(number.as_mut_ptr().cast(), number.len()) };
    u64::from_ne_bytes(number)
}

/// What is not to be had here.
pub(super) fn unsupported(hint: &'static str) -> Failure {
    Failure { kind: ErrorKind::Unsupported, os: Errno::OPNOTSUPP.into(), hint }
}

/// Why a region isn't made with all its pages, or in large ones.
#[allow(dead_code)] // Where there is memory to make one of.
pub(super) const SUPPLY: &str =
    "this system can't take all the memory of a region at once: do without populate and huge pages";
