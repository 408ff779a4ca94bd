//! Mappings.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::{self, NonNull};

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};

use crate::sys::status::Protection;

/// Faults in all pages of a mapping.
#[cfg(any(target_os = "linux", target_os = "android"))]
const POPULATE: MapFlags = MapFlags::POPULATE;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const POPULATE: MapFlags = MapFlags::empty();

// Through the C library, since ThreadSanitizer sees only its calls: without them, it takes the bytes of two mappings that had
// the same address for the same memory. The offset always has 64 bits.
#[cfg(not(any(target_os = "android", all(target_os = "linux", target_env = "gnu"))))]
use libc::{mmap, munmap};
#[cfg(any(target_os = "android", all(target_os = "linux", target_env = "gnu")))]
use libc::{mmap64 as mmap, munmap};

/// Mapped pages; unmapped on drop.
pub(crate) struct View {
    address: NonNull<u8>,
    len: usize,
    /// Where the pages are in their memory, in bytes.
    offset: u64,
}

// SAFETY: A mapping belongs to the whole process, and this type doesn't access its bytes.
unsafe impl Send for View {}
// SAFETY: As above.
unsafe impl Sync for View {}

impl View {
    /// Maps `len` bytes of `fd` from `offset` on.
    pub(crate) fn map(
        fd: impl AsFd,
        offset: u64,
        len: usize,
        protection: Protection,
        populate: bool,
    ) -> rustix::io::Result<Self> {
        let (prot, flags) = match protection {
            Protection::Shared => (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED),
            Protection::ReadOnly => (ProtFlags::READ, MapFlags::SHARED),
            Protection::CopyOnWrite => (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE),
        };
        Self::mmap(fd, offset, len, prot, if populate { flags | POPULATE } else { flags })
    }

    /// Maps `len` bytes of `fd` from `offset` on for reading, by a private mapping.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn map_private_read_only(
        fd: impl AsFd,
        offset: u64,
        len: usize,
        populate: bool,
    ) -> rustix::io::Result<Self> {
        let flags = MapFlags::PRIVATE;
        Self::mmap(fd, offset, len, ProtFlags::READ, if populate { flags | POPULATE } else { flags })
    }

    fn mmap(fd: impl AsFd, offset: u64, len: usize, prot: ProtFlags, flags: MapFlags) -> rustix::io::Result<Self> {
        // An offset past the end of every file.
        let position = offset.try_into().map_err(|_| Errno::OVERFLOW)?;
        let fd = fd.as_fd().as_raw_fd();
        #[allow(clippy::cast_possible_wrap)] // Few bits are set.
        let (prot, flags) = (prot.bits() as i32, flags.bits() as i32);
        // SAFETY: The callers above don't pass MAP_FIXED, so the kernel chooses an address that nothing else uses.
        let address = unsafe { mmap(ptr::null_mut(), len, prot, flags, fd, position) };
        if address == libc::MAP_FAILED {
            return Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::NOMEM));
        }
        Ok(Self { address: NonNull::new(address.cast()).ok_or(Errno::NOMEM)?, len, offset })
    }

    /// Returns the address of the first page.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.address
    }

    #[allow(dead_code)] // Only some systems exclude pages from core dumps.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns where the pages are in their memory, in bytes.
    #[allow(dead_code)] // Only Linux has huge pages outside a pool.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Takes note that the pages were moved.
    #[allow(dead_code)] // As above.
    pub(crate) fn moved(&mut self, address: NonNull<u8>) {
        self.address = address;
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: This object owns the mapping, and everything that uses its bytes borrows or owns this object. Unmapping
        // a whole mapping can't fail, and `drop` has no way to return an error.
        unsafe { munmap(self.address.as_ptr().cast(), self.len) };
    }
}
