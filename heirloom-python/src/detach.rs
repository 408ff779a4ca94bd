//! Freezing a region of which arrays are alive: they become private snapshots.
//!
//! The kernel freezes no memory that is mapped for writing, and an array can't be told to let go of its mapping. So private
//! pages replace the region's at the same addresses, before the seal.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::ptr;
use std::sync::Arc;

use heirloom::{AnyRegion as Handle, ConvertError, Error, ErrorKind, FrozenRegion};
use rustix::mm::{Advice, MapFlags, MremapFlags, ProtFlags, madvise, mmap, mremap_fixed, munmap};
use rustix::{fs, param};

use crate::region::Views;
use crate::view::Memory;

/// `f_type` of the file system of huge pages, whose mappings have other sizes.
const HUGETLBFS: u64 = 0x9584_58f6;

/// The error of a conversion, and its input.
pub(crate) type Failed = (Error, Handle);

pub(crate) fn failed<T: Into<Handle>>(failed: ConvertError<T>) -> Failed {
    let (error, region) = failed.into_parts();
    (error, region.into())
}

/// Freezes a region, with the views of this process that can write it.
pub(crate) fn freeze(handle: Handle, views: &Views) -> Result<FrozenRegion, Failed> {
    let (error, handle) = match seal(handle) {
        Err(failed) if failed.0.kind() == ErrorKind::StillWritable => failed,
        result => return result,
    };
    let writers = views.writers();
    // A read-only region can't get its writer back if the kernel then refuses the seal.
    let Some(pagemap) = replaceable(&handle).filter(|_| !writers.is_empty()) else { return Err((error, handle)) };
    let replaced = writers.iter().take_while(|memory| detach(memory, handle.as_fd()).is_ok()).count();
    let sealed = if replaced == writers.len() { seal(handle) } else { Err((error, handle)) };
    if let Err((_, handle)) = &sealed {
        for memory in &writers[..replaced] {
            // Where that fails, since another process sealed the region meanwhile, the view stays a snapshot.
            if attach(memory, handle.as_fd(), &pagemap).is_err() {
                memory.set_detached();
            }
        }
    } else {
        for memory in &writers {
            memory.set_detached();
        }
    }
    sealed
}

fn seal(handle: Handle) -> Result<FrozenRegion, Failed> {
    match handle {
        Handle::Writable(region) => region.freeze().map_err(failed),
        Handle::ReadOnly(region) => region.freeze().map_err(failed),
        Handle::Frozen(region) => Ok(region),
    }
}

/// Returns what tells which pages were written since, if the views of the region can be replaced, and back.
fn replaceable(handle: &Handle) -> Option<File> {
    let file_system = fs::fstatfs(handle.as_fd()).ok()?.f_type;
    #[allow(clippy::unnecessary_fallible_conversions)] // Its type depends on the processor.
    let huge = u64::try_from(file_system).is_ok_and(|it| it == HUGETLBFS);
    if !matches!(handle, Handle::Writable(_)) || huge {
        return None;
    }
    File::open("/proc/self/pagemap").ok()
}

/// Replaces the region's pages by copy-on-write ones.
fn detach(memory: &Arc<Memory>, region: BorrowedFd<'_>) -> io::Result<()> {
    replace(memory, region, MapFlags::PRIVATE)
}

/// Puts the region's pages back, with what was written meanwhile.
fn attach(memory: &Arc<Memory>, region: BorrowedFd<'_>, pagemap: &File) -> io::Result<()> {
    let page = param::page_size();
    let first = memory.start().as_ptr() as usize / page;
    let mut entries = vec![0; 8 << 10];
    for block in (0..memory.len()).step_by(page << 10) {
        let pages = (memory.len() - block).div_ceil(page).min(1 << 10);
        let entries = &mut entries[..pages * 8];
        pagemap.read_exact_at(entries, (first + block / page) as u64 * 8)?;
        for (index, entry) in entries.chunks_exact(8).enumerate() {
            let at = block + index * page;
            if entry.try_into().is_ok_and(|entry| is_own(u64::from_ne_bytes(entry))) {
                write_back(memory, region, at, page.min(memory.len() - at))?;
            }
        }
    }
    replace(memory, region, MapFlags::SHARED)
}

/// Returns whether a page of a private file mapping is a copy: see `proc_pid_pagemap(5)`.
fn is_own(entry: u64) -> bool {
    let [present, swapped, of_file] = [63, 62, 61].map(|bit| entry >> bit & 1 == 1);
    (present || swapped) && !of_file
}

fn write_back(memory: &Memory, region: BorrowedFd<'_>, at: usize, len: usize) -> io::Result<()> {
    // SAFETY: The bytes are inside the mapping, which the caller keeps. Only the kernel reads them.
    let bytes = unsafe { std::slice::from_raw_parts(memory.start().as_ptr().add(at), len) };
    let mut written = 0;
    while written < len {
        written += rustix::io::pwrite(region, &bytes[written..], memory.offset() + (at + written) as u64)?;
    }
    Ok(())
}

/// Replaces the pages of a view by pages of its region, at the same addresses.
fn replace(memory: &Memory, region: BorrowedFd<'_>, flags: MapFlags) -> io::Result<()> {
    let len = memory.len().next_multiple_of(param::page_size());
    memory.replace(|undumped| {
        // Elsewhere first: where that fails, the view is as before.
        // SAFETY: The kernel chooses an address that nothing uses.
        let fresh =
            unsafe { mmap(ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, flags, region, memory.offset()) }?;
        let moved = (|| {
            if undumped {
                // SAFETY: The mapping is this function's own.
                unsafe { madvise(fresh, len, Advice::LinuxDontDump) }?;
            }
            // SAFETY: The view has these whole pages. Who uses them finds the same bytes, and the view unmaps them later.
            unsafe { mremap_fixed(fresh, len, len, MremapFlags::MAYMOVE, memory.start().as_ptr().cast()) }
        })();
        if moved.is_err() {
            // SAFETY: As above; it was not moved.
            let _ = unsafe { munmap(fresh, len) };
        }
        Ok(moved.map(drop)?)
    })
}
