//! Mappings.

use std::ffi::{c_int, c_void};
use std::ptr;

use heirloom::{
    AnyRegion, CopyMapping, FrozenCopyMapping, FrozenMapping, LockMapping, Mapping, ReadOnlyBytes, ReadOnlyMapping,
};

use super::arguments::{DONE, FAILED, bytes, bytes_mut, free, give, object};
#[cfg(any(target_os = "linux", target_os = "android"))]
use super::arguments::{object_mut, store, timeout};
use super::error::{Failure, Result, call, wait};

/// A mapping of any kind. C sees those that write as `heirloom_mapping`, and all as `heirloom_view`.
pub enum View {
    Shared(Mapping),
    Locks(LockMapping),
    ReadOnly(ReadOnlyMapping),
    Frozen(FrozenMapping),
    Copy(CopyMapping),
    /// With the address by which C writes.
    FrozenCopy(FrozenCopyMapping, *mut u8),
}

impl View {
    /// Returns the mapping if it shares its writes.
    pub(super) fn shared(&self) -> Result<&Mapping> {
        match self {
            Self::Shared(mapping) => Ok(mapping),
            Self::Locks(mapping) => Ok(mapping),
            _ => Err(Failure::wrong_kind("the mapping is not shared for writing")),
        }
    }

    /// Returns the bytes whose numbers may change.
    pub(super) fn number_bytes(&self) -> Result<&ReadOnlyBytes> {
        self.shown()
            .ok_or_else(|| Failure::wrong_kind("numbers of frozen bytes need no atomic load: use heirloom_read"))
    }

    /// Returns the bytes of a mapping that isn't frozen.
    pub(super) fn shown(&self) -> Option<&ReadOnlyBytes> {
        Some(match self {
            Self::Shared(mapping) => mapping,
            Self::Locks(mapping) => mapping,
            Self::ReadOnly(mapping) => mapping,
            Self::Copy(mapping) => mapping,
            Self::Frozen(_) | Self::FrozenCopy(..) => return None,
        })
    }

    fn start_and_len(&self) -> (*mut u8, usize) {
        match self {
            // C gets a pointer to const of those that can't be written.
            Self::Frozen(mapping) => (mapping.as_ptr().cast_mut(), mapping.len()),
            Self::FrozenCopy(mapping, start) => (*start, mapping.len()),
            _ => self.shown().map_or((ptr::null_mut(), 0), |bytes| (bytes.as_ptr().cast_mut(), bytes.len())),
        }
    }
}

/// Returns the end of a range of a region; of length 0, it is the region's.
fn end(region: &AnyRegion, offset: u64, len: u64) -> u64 {
    if len == 0 { region.size() } else { offset.saturating_add(len) }
}

/// Maps a range for reading and writing.
///
/// # Safety
/// `region` is a region.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_map(region: *const AnyRegion, offset: u64, len: u64) -> *mut View {
    call(ptr::null_mut(), || {
        // SAFETY: The caller's contract.
        let region = unsafe { object(region, "the region") }?;
        let AnyRegion::Writable(writable) = region else {
            return Err(Failure::wrong_kind(
                "cannot map a region for writing: it is read-only or frozen; call heirloom_map_view or heirloom_map_copy",
            ));
        };
        Ok(give(View::Shared(writable.map_range(offset..end(region, offset, len))?)))
    })
}

/// Maps a whole region with locks.
///
/// # Safety
/// `region` is a region.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_map_with_locks(region: *const AnyRegion) -> *mut View {
    call(ptr::null_mut(), || {
        // SAFETY: The caller's contract.
        let AnyRegion::Writable(writable) = unsafe { object(region, "the region") }? else {
            return Err(Failure::wrong_kind("cannot map a region with locks: it is read-only or frozen"));
        };
        Ok(give(View::Locks(writable.map_with_locks()?)))
    })
}

/// Maps a range for reading.
///
/// # Safety
/// `region` is a region.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_map_view(region: *const AnyRegion, offset: u64, len: u64) -> *mut View {
    call(ptr::null_mut(), || {
        // SAFETY: The caller's contract.
        let region = unsafe { object(region, "the region") }?;
        let range = offset..end(region, offset, len);
        Ok(give(match region {
            AnyRegion::Writable(region) => View::Shared(region.map_range(range)?),
            AnyRegion::ReadOnly(region) => View::ReadOnly(region.map_range(range)?),
            AnyRegion::Frozen(region) => View::Frozen(region.map_range(range)?),
        }))
    })
}

/// Maps a range copy-on-write.
///
/// # Safety
/// `region` is a region.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_map_copy(region: *const AnyRegion, offset: u64, len: u64) -> *mut View {
    call(ptr::null_mut(), || {
        // SAFETY: The caller's contract.
        let region = unsafe { object(region, "the region") }?;
        let range = offset..end(region, offset, len);
        Ok(give(match region {
            AnyRegion::Writable(region) => View::Copy(region.map_copy_range(range)?),
            AnyRegion::ReadOnly(region) => View::Copy(region.map_copy_range(range)?),
            AnyRegion::Frozen(region) => {
                let mut mapping = region.map_copy_range(range)?;
                let start = mapping.as_mut_ptr();
                View::FrozenCopy(mapping, start)
            }
        }))
    })
}

/// Unmaps.
///
/// # Safety
/// `view` is NULL, or a mapping that is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_unmap(view: *const View) {
    // SAFETY: The caller's contract.
    unsafe { free(view.cast_mut()) };
}

/// Returns the address of a mapping's first byte.
///
/// # Safety
/// `mapping` is NULL or a mapping.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_mapping_data(mapping: *const View) -> *mut c_void {
    // SAFETY: The caller's contract.
    unsafe { mapping.as_ref() }.map_or(ptr::null_mut(), |mapping| mapping.start_and_len().0.cast())
}

/// Returns the address of a view's first byte.
///
/// # Safety
/// `view` is NULL or a mapping.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_view_data(view: *const View) -> *const c_void {
    // SAFETY: The caller's contract.
    unsafe { heirloom_mapping_data(view) }
}

/// Returns a mapping's size in bytes.
///
/// # Safety
/// `view` is NULL or a mapping.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_view_size(view: *const View) -> usize {
    // SAFETY: The caller's contract.
    unsafe { view.as_ref() }.map_or(0, |view| view.start_and_len().1)
}

/// Excludes a mapping from core dumps.
///
/// # Safety
/// `view` is a mapping.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_view_no_dump(view: *const View) -> c_int {
    call(FAILED, || {
        // SAFETY: The caller's contract.
        match unsafe { object(view, "the mapping") }? {
            View::Shared(mapping) => mapping.no_dump(),
            View::Locks(mapping) => mapping.no_dump(),
            View::ReadOnly(mapping) => mapping.no_dump(),
            View::Frozen(mapping) => mapping.no_dump(),
            View::Copy(mapping) => mapping.no_dump(),
            View::FrozenCopy(mapping, _) => mapping.no_dump(),
        }?;
        Ok(DONE)
    })
}

/// Puts a mapping into huge pages until a time has passed, and tells how many bytes are.
///
/// # Safety
/// `view` is a mapping that no other thread uses, and `huge` is NULL or can be written.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_use_huge_pages(view: *const View, nanoseconds: i64, huge: *mut usize) -> c_int {
    use std::time::Duration;

    use heirloom::os::linux::MappingExt;

    // The kernel may take long.
    wait(FAILED, || {
        let limit = timeout(nanoseconds).unwrap_or(Duration::MAX);
        // SAFETY: The caller's contract.
        let nbytes = match unsafe { object_mut(view.cast_mut(), "the mapping") }? {
            View::Shared(mapping) => mapping.use_huge_pages(limit)?,
            View::Locks(_) => return Err(Failure::wrong_kind("a mapping with locks can't be moved to huge pages")),
            View::ReadOnly(mapping) => mapping.use_huge_pages(limit)?,
            View::Frozen(mapping) => mapping.use_huge_pages(limit)?,
            View::Copy(_) | View::FrozenCopy(..) => {
                return Err(Failure::wrong_kind("a private copy can't be moved to huge pages"));
            }
        };
        // SAFETY: As above.
        unsafe { store(huge, nbytes) };
        Ok(DONE)
    })
}

/// Fills bytes with zeros, and gives their pages back to the system.
///
/// # Safety
/// `mapping` is a mapping.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_discard(mapping: *const View, offset: usize, len: usize) -> c_int {
    use heirloom::os::linux::DiscardExt;

    call(FAILED, || {
        // SAFETY: The caller's contract.
        unsafe { object(mapping, "the mapping") }?.shared()?.discard(offset, len)?;
        Ok(DONE)
    })
}

/// Copies bytes out.
///
/// # Safety
/// `view` is a mapping, and `into` has room.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_read(view: *const View, offset: usize, into: *mut c_void, len: usize) -> c_int {
    wait(FAILED, || {
        // SAFETY: The caller's contract.
        let (view, into) = unsafe { (object(view, "the mapping")?, bytes_mut(into, len)?) };
        if let Some(bytes) = view.shown() {
            bytes.read_at(offset, into)?;
        } else {
            let (start, all) = view.start_and_len();
            if offset > all || into.len() > all - offset {
                let tried = format!("cannot read {len} bytes at offset {offset}: the mapping has {all} bytes");
                return Err(Failure::out_of_bounds(tried));
            }
            // SAFETY: The range was checked. It is frozen, or a private copy that only C writes.
            unsafe { into.as_mut_ptr().copy_from_nonoverlapping(start.add(offset), into.len()) };
        }
        Ok(DONE)
    })
}

/// Copies bytes in.
///
/// # Safety
/// `mapping` is a mapping, and the bytes are readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_write(mapping: *const View, offset: usize, from: *const c_void, len: usize) -> c_int {
    wait(FAILED, || {
        // SAFETY: The caller's contract.
        let (mapping, from) = unsafe { (object(mapping, "the mapping")?, bytes(from, len)?) };
        mapping.shared()?.write_at(offset, from)?;
        Ok(DONE)
    })
}
