//! Huge pages made of ordinary ones, without a pool.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::ptr::{self, NonNull};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::mm::{self, MapFlags, ProtFlags};

use crate::sys::failure::{Failure, Reason, Result};
use crate::sys::unix::errno::{errno_of, last_errno};
use crate::sys::unix::fd::allocation_granularity;
use crate::sys::unix::view::View;

/// The advice to collapse ordinary pages into huge ones, since Linux 6.1.
const COLLAPSE: libc::c_int = 25;

/// The size in bytes of the ordinary pages beside which huge ones have 2 MiB or less.
const ORDINARY: u64 = 4096;

/// `MREMAP_MAYMOVE`, see [mremap(2)](https://man7.org/linux/man-pages/man2/mremap.2.html).
const MAYMOVE: libc::c_int = 1;
/// `MREMAP_FIXED`.
const FIXED: libc::c_int = 2;

/// The size of a huge page in bytes.
#[allow(clippy::cast_possible_truncation)] // It is 2 MiB.
const HUGE_PAGE: usize = super::HUGE_PAGE as usize;

/// How long making huge pages may take beyond its share of a fill.
const GRACE: Duration = Duration::from_millis(4);

impl View {
    /// Puts whole blocks of 2 MiB of the first `len` bytes into huge pages, one after the other, until `limit` has passed.
    /// Calls `touch` with the address of each block before. Returns how many bytes are in huge pages.
    pub(crate) fn use_huge_pages(&mut self, len: usize, limit: Duration, touch: impl Fn(NonNull<u8>)) -> Result<usize> {
        let start = Instant::now();
        let first = (HUGE_PAGE - self.block_offset()) % HUGE_PAGE;
        let mut huge = 0;
        for block in (first..len.saturating_sub(HUGE_PAGE - 1)).step_by(HUGE_PAGE) {
            if block == first {
                if allocation_granularity() != ORDINARY {
                    return Err(Failure::new(Reason::NoCollapse, Errno::INVAL));
                }
                self.align()?;
            }
            // SAFETY: The block is within the pages.
            let address = unsafe { self.start().add(block) };
            // The kernel leaves a block without any page as it is.
            touch(address);
            // SAFETY: This object owns the block.
            match unsafe { collapse(address.as_ptr()) } {
                Ok(()) => huge += HUGE_PAGE,
                Err(errno) if !may_pass(errno) && huge == 0 => return Err(Failure::new(Reason::NoCollapse, errno)),
                Err(_) => {}
            }
            if start.elapsed() >= limit {
                break;
            }
        }
        Ok(huge)
    }

    /// Returns how far into a block of 2 MiB the pages start.
    #[allow(clippy::cast_possible_truncation)] // It is below 2 MiB.
    fn block_offset(&self) -> usize {
        (self.offset() % super::HUGE_PAGE) as usize
    }

    /// Moves the pages to an address that differs from their offset by a multiple of 2 MiB: elsewhere they can't be huge.
    fn align(&mut self) -> Result<()> {
        let block_offset = self.block_offset();
        let distance = |address: usize| block_offset.wrapping_sub(address) % HUGE_PAGE;
        if distance(self.start().addr().get()) == 0 {
            return Ok(());
        }
        let failure = |errno| match errno {
            Errno::NOMEM => super::cannot_map(errno),
            errno => Failure::new(Reason::NoCollapse, errno),
        };
        let room = self.len().checked_add(HUGE_PAGE).ok_or_else(|| failure(Errno::NOMEM))?;
        let reserved = reserve(room).map_err(failure)?;
        let before = distance(reserved.addr());
        // SAFETY: The target is within the reservation.
        let moved = self.move_to(unsafe { reserved.add(before) });
        let after = before + self.len();
        let rest = match moved {
            // A sandbox refused the call.
            Err(Errno::PERM | Errno::ACCESS | Errno::NOSYS) => [0..room, room..room],
            // Where the kernel fails, it may have unmapped the target before, and that may be another thread's by now.
            _ => [0..before, after..room],
        };
        // SAFETY: These addresses are still reserved, and nothing uses them.
        unsafe { release(reserved, rest) };
        moved.map_err(failure)
    }

    /// Moves the pages to `target`, where as many bytes are reserved for them.
    fn move_to(&mut self, target: *mut u8) -> std::result::Result<(), Errno> {
        // Android's C library has neither the call nor its flags.
        // SAFETY: The target is reserved, and `&mut self` ensures that nothing borrows the pages.
        let answer = unsafe {
            let (from, len) = (self.start().as_ptr(), self.len());
            libc::syscall(libc::SYS_mremap, from, len, len, MAYMOVE | FIXED, target)
        };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        // It is an address or an error, as wide as one.
        let answer = answer as usize;
        match NonNull::new(target) {
            Some(address) if answer == target.addr() => self.moved(address),
            _ if answer == usize::MAX => return Err(last_errno()),
            // A sandbox pretends to have moved them.
            _ => return Err(Errno::NOSYS),
        }
        Ok(())
    }
}

/// Reserves addresses that nothing can access.
fn reserve(len: usize) -> rustix::io::Result<*mut u8> {
    // SAFETY: The kernel chooses addresses that nothing uses.
    let reserved = unsafe { mm::mmap_anonymous(ptr::null_mut(), len, ProtFlags::empty(), MapFlags::PRIVATE) };
    reserved.map(<*mut _>::cast)
}

/// Releases parts of what is reserved from `start` on. Where the kernel has no memory for that, they stay reserved.
///
/// # Safety
/// Nothing uses the addresses.
unsafe fn release(start: *mut u8, parts: [Range<usize>; 2]) {
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        // SAFETY: The caller answers for the addresses.
        let _ = unsafe { mm::munmap(start.add(part.start).cast(), part.len()) };
    }
}

/// Puts the block of memory at `address` into a huge page.
///
/// # Safety
/// Only pages that this process mapped are in the block.
unsafe fn collapse(address: *mut u8) -> std::result::Result<(), Errno> {
    // SAFETY: The advice changes no byte, and the caller answers for the pages.
    match unsafe { libc::madvise(address.cast(), HUGE_PAGE, COLLAPSE) } {
        0 => Ok(()),
        _ => Err(last_errno()),
    }
}

/// Returns whether another block may do: too little memory is free in one piece, or the block is in use.
fn may_pass(errno: Errno) -> bool {
    matches!(errno, Errno::NOMEM | Errno::AGAIN | Errno::BUSY)
}

/// Huge pages for memory that is being filled: each block gets its own before its bytes are written.
///
/// A block can take many times as long as ordinary pages: where the kernel must first make room, or the host of a virtual
/// machine must give memory back. So no block is prepared while preparing has taken much more time than everything else did,
/// and the memory gets ordinary pages there.
pub(crate) struct Blocks {
    /// The addresses of two blocks, among which is an aligned one: there the blocks are mapped, one after the other.
    window: *mut u8,
    /// The size that the memory will have, in bytes: what is left behind its last whole block needs no block.
    expected: u64,
    /// The end of the last block that was reached, in bytes from the memory's start.
    end: u64,
    /// The size that preparing gave to the memory, in bytes.
    size: u64,
    since: Instant,
    preparing: Duration,
    /// The kernel can't do it.
    given_up: bool,
    /// A failed call may have unmapped the addresses of a block, which may be another thread's by now.
    gap: bool,
}

// SAFETY: The window belongs to this object, any thread may map and unmap there, and `&self` only computes an address.
unsafe impl Send for Blocks {}
// SAFETY: As above.
unsafe impl Sync for Blocks {}

impl Blocks {
    /// Prepares for memory of the `expected` size, `u64::MAX` if it is unknown. Returns `None` where the memory has no whole
    /// block, the kernel has no such pages, or no addresses are left.
    pub(crate) fn new(expected: u64) -> Option<Self> {
        if allocation_granularity() != ORDINARY || expected < super::HUGE_PAGE {
            return None;
        }
        let window = reserve(2 * HUGE_PAGE).ok()?;
        let (since, preparing) = (Instant::now(), Duration::ZERO);
        Some(Self { window, expected, end: 0, size: 0, since, preparing, given_up: false, gap: false })
    }

    /// Returns how many bytes can be written at `offset` before the next block, after preparing the one there.
    pub(crate) fn prepare(&mut self, file: &File, offset: u64) -> u64 {
        if offset >= self.end {
            let block = offset - offset % super::HUGE_PAGE;
            self.end = block + super::HUGE_PAGE;
            // Of an unknown size, the first block may be all.
            let may_be_part = self.end > self.expected || (self.expected == u64::MAX && block == 0);
            if offset == block && !may_be_part && !self.given_up {
                self.prepare_in_time(file, block);
            }
        }
        self.end - offset
    }

    /// Prepares the block unless that has taken too long before.
    fn prepare_in_time(&mut self, file: &File, block: u64) {
        let start = Instant::now();
        let writing = start.duration_since(self.since).saturating_sub(self.preparing);
        if self.preparing <= GRACE + writing * 5 / 4 {
            let prepared = self.prepare_block(file, block);
            self.given_up = self.gap || prepared.is_err_and(|errno| !may_pass(errno));
            self.preparing += start.elapsed();
        }
    }

    fn prepare_block(&mut self, file: &File, block: u64) -> std::result::Result<(), Errno> {
        let end = block + super::HUGE_PAGE;
        if end > super::size_limit() {
            return Err(Errno::FBIG);
        }
        // The block needs its size and a page. A write takes no page from another process that truncates the memory meanwhile,
        // where a touch would be a SIGBUS.
        file.write_all_at(&[0], end - 1).map_err(|error| errno_of(&error))?;
        self.size = end;
        // Not a shared mapping, which a process that another thread forks would inherit: no memory can be frozen as long as
        // one exists that could be made writable.
        let (aligned, flags) = (self.aligned(), MapFlags::PRIVATE | MapFlags::FIXED);
        // SAFETY: The block is within the window, whose addresses nothing else uses.
        let mapped = unsafe { mm::mmap(aligned.cast(), HUGE_PAGE, ProtFlags::READ, flags, file, block) };
        self.gap = mapped.is_err();
        mapped?;
        // SAFETY: The block was mapped just now.
        unsafe { collapse(aligned) }
    }

    /// Returns where the blocks are mapped.
    fn aligned(&self) -> *mut u8 {
        self.window.map_addr(|address| address.next_multiple_of(HUGE_PAGE))
    }

    /// Unmaps the last block, and takes away what was prepared beyond the memory's `size`, unless another process changed it.
    pub(crate) fn finish(self, file: &File, size: u64) -> io::Result<()> {
        if self.size > size && file.metadata()?.len() == self.size { file.set_len(size) } else { Ok(()) }
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        let before = self.aligned().addr() - self.window.addr();
        let behind = before + HUGE_PAGE;
        let rest = if self.gap { [0..before, behind..2 * HUGE_PAGE] } else { [0..2 * HUGE_PAGE, 0..0] };
        // SAFETY: Nothing else uses these addresses.
        unsafe { release(self.window, rest) };
    }
}
