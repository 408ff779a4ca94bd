//! Views of sections.

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use std::ptr::NonNull;
use std::sync::Arc;

use windows_sys::Win32::System::Memory::{
    FILE_MAP_COPY, FILE_MAP_LARGE_PAGES, FILE_MAP_READ, FILE_MAP_WRITE, MEMORY_MAPPED_VIEW_ADDRESS, MapViewOfFile,
    UnmapViewOfFile,
};

use super::layout::Layout;
use crate::ErrorKind;
use crate::sys::{Failure, Protection, Result};

/// How many bytes one page holds, on every processor that Windows 10 runs on.
const PAGE: usize = 4 << 10;

/// Pages that show memory; unmapped on drop.
pub(crate) struct View {
    address: NonNull<u8>,
    len: usize,
    /// Lives as long as somebody writes by this view; its memory counts them.
    writer: Option<Arc<()>>,
}

// SAFETY: It holds a mapping of the whole process by its address, and does nothing with the bytes.
unsafe impl Send for View {}
// SAFETY: As above.
unsafe impl Sync for View {}

impl View {
    /// Maps `len` bytes of a section of that layout from `offset` on.
    pub(super) fn new(
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
        // SAFETY: The section is open; the system chooses an address that nothing else in this process uses.
        let view = unsafe { MapViewOfFile(section.as_raw_handle(), access, high, low, len) };
        let address = NonNull::new(view.Value.cast()).ok_or_else(|| {
            let failure = Failure::from(io::Error::last_os_error());
            match failure.kind {
                ErrorKind::OutOfMemory => {
                    Failure { hint: "address space or memory ran out: map a part of it", ..failure }
                }
                _ => failure,
            }
        })?;
        Ok(Self { address, len, writer: None })
    }

    /// Counts this view among those that write.
    pub(super) fn counted(mut self, writers: &Arc<()>) -> Self {
        self.writer = Some(Arc::clone(writers));
        self
    }

    /// Where the pages begin.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.address
    }

    /// Touches each page, so that no later touch costs a fault.
    pub(super) fn populate(&self) {
        let mut offset = 0;
        while offset < self.len {
            // SAFETY: The byte is in this view. Others may write it meanwhile: nobody looks at what was read.
            unsafe { self.address.add(offset).read_volatile() };
            offset += PAGE;
        }
    }

    /// Keeps the pages out of core dumps.
    #[allow(clippy::unused_self)] // What others do by it.
    pub(crate) fn no_dump(&self) -> Result<()> {
        Err(Failure {
            kind: ErrorKind::Unsupported,
            os: io::ErrorKind::Unsupported.into(),
            hint: "Windows leaves pages out of some dumps only: have it make none of this program \
                   (SetErrorMode, WerAddExcludedApplication)",
        })
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let view = MEMORY_MAPPED_VIEW_ADDRESS { Value: self.address.as_ptr().cast() };
        // SAFETY: The mapping is this object's, and who shows its bytes holds this object. It can't fail for a whole
        // mapping, and a `drop` could say so to nobody.
        unsafe { UnmapViewOfFile(view) };
    }
}

/// The upper and the lower half of a number, as the system takes them.
#[allow(clippy::cast_possible_truncation)]
pub(super) fn halves(number: u64) -> [u32; 2] {
    [(number >> 32) as u32, number as u32]
}
