//! Huge pages made of ordinary ones, without a pool.

#![allow(unsafe_code)]

use std::io;
use std::ptr::{self, NonNull};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::mm::{self, MapFlags, ProtFlags};

use crate::sys::failure::{Failure, Reason, Result};
use crate::sys::unix::errno::last_errno;
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
            // SAFETY: This object owns the block, and the advice changes no byte of it.
            if unsafe { libc::madvise(address.as_ptr().cast(), HUGE_PAGE, COLLAPSE) } == 0 {
                huge += HUGE_PAGE;
            } else {
                let error = io::Error::last_os_error();
                // Too little memory is free in one piece, or the block is in use: the next one may do.
                if !matches!(error.raw_os_error(), Some(libc::ENOMEM | libc::EAGAIN | libc::EBUSY)) && huge == 0 {
                    return Err(Failure::new(Reason::NoCollapse, error));
                }
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
        // SAFETY: The kernel chooses addresses that nothing uses. They can't be accessed.
        let reserved = unsafe { mm::mmap_anonymous(ptr::null_mut(), room, ProtFlags::empty(), MapFlags::PRIVATE) };
        let reserved = reserved.map_err(failure)?.cast::<u8>();
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
        for range in rest.into_iter().filter(|range| !range.is_empty()) {
            // SAFETY: These addresses are still reserved, and nothing uses them.
            let _ = unsafe { mm::munmap(reserved.add(range.start).cast(), range.len()) };
        }
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
