//! Owners of locks: numbers that the kernel forgets when their process dies. See "Open file description locks" in
//! [F_OFD_SETLK(2const)](https://man7.org/linux/man-pages/man2/F_OFD_SETLK.2const.html).

#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::mm::{self, Advice, MapFlags, ProtFlags};
use rustix::process::{Pid, getpid};
use rustix::rand::{GetRandomFlags, getrandom};

use super::open_anew::open_anew;
use crate::sys::failure::{Failure, Reason, Result};
use crate::sys::unix::errno::{last_errno, retry};

/// The byte of the owner 0. No memory is as large.
const FIRST_BYTE: i64 = 1 << 60;

/// How often a number is drawn. Two owners draw the same one in 2^30 draws.
const ATTEMPTS: usize = 16;

#[cfg(any(target_pointer_width = "64", target_arch = "x86_64", target_arch = "riscv32"))]
use libc::SYS_fcntl;
#[cfg(not(any(target_pointer_width = "64", target_arch = "x86_64", target_arch = "riscv32")))]
use libc::SYS_fcntl64 as SYS_fcntl;

/// A number of 30 bits, not 0, that no other living owner in the same memory has.
pub(crate) struct LockOwner {
    /// An open file description of its own, which holds the lock on the number's byte.
    description: OwnedFd,
    number: u32,
    mark: ForkMark,
}

impl LockOwner {
    pub(crate) fn new(memory: BorrowedFd<'_>) -> Result<Self> {
        let description = open_anew(memory, OFlags::RDWR, Reason::NoLocks)?;
        let mark = ForkMark::new().map_err(failure)?;
        for _ in 0..ATTEMPTS {
            let mut random = [0; 4];
            retry(|| getrandom(&mut random, GetRandomFlags::empty())).map_err(failure)?;
            // The first to draw a dead owner's number would hold the locks that this one left, so it is no counter.
            let number = u32::from_ne_bytes(random) >> 2;
            let mut lock = byte(number);
            match control(&description, libc::F_OFD_SETLK, &mut lock) {
                Ok(()) if number != 0 => return Ok(Self { description, number, mark }),
                Ok(()) | Err(Errno::AGAIN | Errno::ACCESS) => {}
                Err(errno) => return Err(failure(errno)),
            }
        }
        Err(Failure::new(Reason::Other, Errno::AGAIN))
    }

    #[inline]
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Returns whether a fork copied this owner into another process, which doesn't own its locks.
    #[inline]
    pub(crate) fn is_forked(&self) -> bool {
        self.mark.is_forked()
    }

    /// Returns whether the owner of that number lives.
    pub(crate) fn is_alive(&self, number: u32) -> Result<bool> {
        // The kernel doesn't tell a description of its own locks.
        if number == self.number {
            return Ok(true);
        }
        let mut lock = byte(number);
        control(&self.description, libc::F_OFD_GETLK, &mut lock).map_err(failure)?;
        Ok(i32::from(lock.l_type) != libc::F_UNLCK)
    }
}

/// Describes a lock on the byte of an owner.
#[allow(clippy::cast_possible_truncation)] // Both constants are small.
fn byte(number: u32) -> libc::flock64 {
    // SAFETY: Zeros are valid for these integers.
    let mut lock: libc::flock64 = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_WRLCK as _;
    lock.l_whence = libc::SEEK_SET as _;
    lock.l_start = FIRST_BYTE + i64::from(number);
    lock.l_len = 1;
    lock
}

// By number, since the C library's function takes a shorter structure on some processors of 32 bits.
fn control(description: &OwnedFd, command: libc::c_int, lock: &mut libc::flock64) -> rustix::io::Result<()> {
    retry(|| {
        // SAFETY: The kernel reads and writes `lock`, which outlives the call.
        match unsafe { libc::syscall(SYS_fcntl, description.as_raw_fd(), command, ptr::from_mut(lock)) } {
            -1 => Err(last_errno()),
            _ => Ok(()),
        }
    })
}

fn failure(errno: Errno) -> Failure {
    match errno {
        // No such locks.
        Errno::ACCESS | Errno::PERM | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP => {
            Failure::new(Reason::NoLocks, errno)
        }
        errno => errno.into(),
    }
}

/// What tells a forked process from the one that made it.
enum ForkMark {
    /// A page that the kernel wipes in a forked process, whatever code forks.
    Page(Page),
    /// The process, where the kernel has no such pages (before Linux 4.14, and under some emulators).
    Process(Pid),
}

impl ForkMark {
    fn new() -> rustix::io::Result<Self> {
        Ok(Page::new()?.map_or_else(|| Self::Process(getpid()), Self::Page))
    }

    #[inline]
    fn is_forked(&self) -> bool {
        match self {
            Self::Page(page) => page.number().load(Ordering::Relaxed) == 0,
            Self::Process(process) => getpid() != *process,
        }
    }
}

/// A page that is wiped in a forked process.
struct Page(NonNull<AtomicU32>);

// SAFETY: The page belongs to the whole process, and is accessed by atomics only.
unsafe impl Send for Page {}
// SAFETY: As above.
unsafe impl Sync for Page {}

/// The kernel takes whole pages.
const LEN: usize = size_of::<AtomicU32>();

impl Page {
    /// Returns `None` where the kernel doesn't wipe pages.
    fn new() -> rustix::io::Result<Option<Self>> {
        // SAFETY: The kernel chooses the address, so no other memory is touched.
        let page =
            unsafe { mm::mmap_anonymous(ptr::null_mut(), LEN, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE) };
        let page = Self(NonNull::new(page?.cast()).ok_or(Errno::NOMEM)?);
        let address = page.0.as_ptr().cast();
        // SAFETY: The page was just mapped, and no advice changes a byte of it here.
        let wipes = unsafe {
            // An emulator that takes an advice that doesn't exist takes all, and does nothing.
            libc::madvise(address, LEN, -1) == -1 && mm::madvise(address, LEN, Advice::LinuxWipeOnFork).is_ok()
        };
        page.number().store(1, Ordering::Relaxed);
        Ok(wipes.then_some(page))
    }

    #[inline]
    fn number(&self) -> &AtomicU32 {
        // SAFETY: The page is mapped as long as this object lives, and zeros are valid too.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: This object owns the page, and its end is the last use.
        let _ = unsafe { mm::munmap(self.0.as_ptr().cast(), LEN) };
    }
}
