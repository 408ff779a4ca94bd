//! Mappings of sections.

#![allow(unsafe_code)]

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use std::ptr::NonNull;

use windows_sys::Win32::System::Memory::{
    FILE_MAP_COPY, FILE_MAP_LARGE_PAGES, FILE_MAP_READ, FILE_MAP_WRITE, MEMORY_MAPPED_VIEW_ADDRESS, MapViewOfFile,
    UnmapViewOfFile,
};

use super::layout::Layout;
use crate::sys::failure::{Failure, Reason, Result};
use crate::sys::status::Protection;

/// The size of a page in bytes, on every processor that Windows 10 runs on.
const PAGE: usize = 4 << 10;

/// Mapped pages; unmapped on drop.
pub(crate) struct View {
    address: NonNull<u8>,
    len: usize,
}

// SAFETY: A mapping belongs to the whole process, and this type doesn't write its bytes.
unsafe impl Send for View {}
// SAFETY: As above.
unsafe impl Sync for View {}

impl View {
    /// Maps `len` bytes of a section from `offset` on.
    pub(super) fn map(
        section: BorrowedHandle<'_>,
        layout: Layout,
        offset: u64,
        len: usize,
        protection: Protection,
    ) -> Result<Self> {
        let access = match protection {
            Protection::Shared => FILE_MAP_READ | FILE_MAP_WRITE,
            Protection::ReadOnly => FILE_MAP_READ,
            Protection::CopyOnWrite => FILE_MAP_COPY,
        };
        let access = if layout.is_huge() { access | FILE_MAP_LARGE_PAGES } else { access };
        let [high, low] = halves(offset);
        // SAFETY: The section is open, and the system chooses an address that nothing else uses.
        let view = unsafe { MapViewOfFile(section.as_raw_handle(), access, high, low, len) };
        let address = NonNull::new(view.Value.cast()).ok_or_else(|| {
            let failure = Failure::from(io::Error::last_os_error());
            match failure.reason {
                Reason::OutOfMemory | Reason::PagingFileFull | Reason::NoSpace => {
                    Failure::new(Reason::OutOfAddressSpace, failure.os)
                }
                _ => failure,
            }
        })?;
        Ok(Self { address, len })
    }

    /// Returns the address of the first page.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.address
    }

    /// Reads a byte of each page, so that no later access faults.
    pub(super) fn fault_in(&self) {
        let mut offset = 0;
        while offset < self.len {
            // SAFETY: The byte is in this mapping. Another process may write it meanwhile, but the value isn't used.
            unsafe { self.address.add(offset).read_volatile() };
            offset += PAGE;
        }
    }

    /// Fails: Windows excludes pages from some dumps only.
    #[allow(clippy::unused_self)] // Other systems need it.
    pub(crate) fn no_dump(&self) -> Result<()> {
        Err(Failure::new(Reason::NoDumpExclusion, io::ErrorKind::Unsupported))
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let view = MEMORY_MAPPED_VIEW_ADDRESS { Value: self.address.as_ptr().cast() };
        // SAFETY: This object owns the mapping, and everything that uses its bytes borrows or owns this object. Unmapping
        // a whole mapping can't fail, and `drop` has no way to return an error.
        unsafe { UnmapViewOfFile(view) };
    }
}

/// Returns the upper and the lower half of a number.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn halves(number: u64) -> [u32; 2] {
    [(number >> 32) as u32, number as u32]
}
