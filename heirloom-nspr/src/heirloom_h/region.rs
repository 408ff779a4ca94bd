//! Regions.

use std::ffi::{CString, c_char, c_int, c_uint, c_void};
use std::ptr::{self, NonNull};

use heirloom::{AnyRegion, FrozenOptions, FrozenRegion, InheritedState, Region, RegionKind};

use super::arguments::{DONE, FAILED, bytes, free, give, object, object_mut, optional_text};
use super::error::{Failure, Result, call};
use super::export::Exported;
use super::mapping::View;
use crate::fork;
use crate::strings::text;

/// The flags of `heirloom_region_create`.
const POPULATE: c_uint = 1;
const HUGE_PAGES: c_uint = 2;

/// Returns options with a name, unless that is NULL.
///
/// # Safety
/// As for [`text`].
unsafe fn frozen_options(name: *const c_char) -> Result<FrozenOptions> {
    let mut options = FrozenRegion::options();
    // SAFETY: The caller's contract.
    if let Some(name) = unsafe { optional_text(name, "the name of a region") }? {
        options.name(name);
    }
    Ok(options)
}

/// Creates a region.
///
/// # Safety
/// `name` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_region_create(size: u64, name: *const c_char, flags: c_uint) -> *mut AnyRegion {
    call(ptr::null_mut(), || {
        if flags & !(POPULATE | HUGE_PAGES) != 0 {
            return Err(Failure::invalid(format!("cannot create a region: unknown flags {flags:#x}")));
        }
        let mut options = Region::options();
        options.populate(flags & POPULATE != 0).huge_pages(flags & HUGE_PAGES != 0);
        // SAFETY: The caller's contract.
        if let Some(name) = unsafe { optional_text(name, "the name of a region") }? {
            options.name(name);
        }
        Ok(give(options.create(size)?.into()))
    })
}

/// Creates a frozen region with a copy of bytes.
///
/// # Safety
/// The bytes are readable, and `name` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_region_frozen_from_bytes(
    start: *const c_void,
    len: usize,
    name: *const c_char,
) -> *mut AnyRegion {
    call(ptr::null_mut(), || {
        // SAFETY: The caller's contract.
        let (options, bytes) = unsafe { (frozen_options(name)?, bytes(start, len)?) };
        Ok(give(options.from_bytes(bytes)?.into()))
    })
}

/// Creates a frozen region with what can be read from a descriptor, up to its end.
///
/// # Safety
/// The descriptor stays open, and `name` is NULL or a string.
#[cfg(unix)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_region_frozen_from_fd(descriptor: c_int, name: *const c_char) -> *mut AnyRegion {
    use std::fs::File;
    use std::mem::ManuallyDrop;
    use std::os::fd::FromRawFd;

    call(ptr::null_mut(), || {
        if descriptor < 0 {
            return Err(Failure::invalid(format!("cannot read from descriptor {descriptor}")));
        }
        // SAFETY: The caller keeps the descriptor open, and it is not closed here.
        let file = ManuallyDrop::new(unsafe { File::from_raw_fd(descriptor) });
        // SAFETY: The caller's contract.
        let options = unsafe { frozen_options(name) }?;
        // It may wait long for a pipe.
        Ok(give(super::error::outside(|| options.from_file(&file))?.into()))
    })
}

/// Creates a frozen region with a copy of another region.
///
/// # Safety
/// `region` is a region, and `name` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_region_frozen_copy(region: *const AnyRegion, name: *const c_char) -> *mut AnyRegion {
    call(ptr::null_mut(), || {
        // SAFETY: The caller's contract.
        let (options, region) = unsafe { (frozen_options(name)?, object(region, "the region")?) };
        Ok(give(options.copy_of(region)?.into()))
    })
}

/// Makes a region read-only, and returns the mapping through which this process keeps writing.
///
/// # Safety
/// `region` is a region that no other thread uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_region_make_read_only(region: *mut AnyRegion) -> *mut View {
    call(ptr::null_mut(), || {
        // SAFETY: The caller's contract.
        let region = unsafe { object_mut(region, "the region") }?;
        let AnyRegion::Writable(writable) = &*region else {
            return Err(Failure::wrong_kind("cannot make a region read-only: it is read-only or frozen already"));
        };
        let (read_only, writer) = writable.clone().into_read_only()?;
        *region = read_only.into();
        Ok(give(View::Shared(writer)))
    })
}

/// Freezes a region. A frozen one stays as it is.
///
/// # Safety
/// `region` is a region that no other thread uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_region_freeze(region: *mut AnyRegion) -> c_int {
    call(FAILED, || {
        // SAFETY: The caller's contract.
        let region = unsafe { object_mut(region, "the region") }?;
        *region = crate::region::freeze(region)?;
        Ok(DONE)
    })
}

/// Returns the kind of a region.
///
/// # Safety
/// `region` is a region.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_region_kind(region: *const AnyRegion) -> c_int {
    call(FAILED, || {
        // SAFETY: The caller's contract.
        Ok(match unsafe { object(region, "the region") }?.kind() {
            RegionKind::Writable => 0,
            RegionKind::ReadOnly => 1,
            RegionKind::Frozen => 2,
            RegionKind::Unsealed => 3,
            other => return Err(Failure::wrong_kind(&format!("a region of an unknown kind: {other}"))),
        })
    })
}

/// Returns the size of a region in bytes; 0 of NULL.
///
/// # Safety
/// `region` is NULL or a region.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_region_size(region: *const AnyRegion) -> u64 {
    // SAFETY: The caller's contract.
    unsafe { region.as_ref() }.map_or(0, AnyRegion::size)
}

/// Returns another handle of a region.
///
/// # Safety
/// `region` is a region.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_region_clone(region: *const AnyRegion) -> *mut AnyRegion {
    // SAFETY: The caller's contract.
    call(ptr::null_mut(), || Ok(give(unsafe { object(region, "the region") }?.clone())))
}

/// Drops a handle of a region.
///
/// # Safety
/// `region` is NULL, or a region that is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_region_free(region: *mut AnyRegion) {
    // SAFETY: The caller's contract.
    unsafe { free(region) };
}

/// Takes the region that the parent passed under `name`.
///
/// # Safety
/// `name` is a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_region_inherited(name: *const c_char) -> *mut AnyRegion {
    // SAFETY: The caller's contract.
    call(ptr::null_mut(), || Ok(give(AnyRegion::inherited(unsafe { text(name, "the name of a region") }?)?)))
}

/// Lists the names of the regions that can be taken: strings, and NULL after the last.
#[unsafe(no_mangle)]
pub extern "C" fn heirloom_inherited_names() -> *mut *mut c_char {
    call(ptr::null_mut(), || {
        let available =
            heirloom::inherited()?.into_iter().filter(|region| matches!(region.state, InheritedState::Available));
        // No name has a zero.
        let names = available.filter_map(|region| CString::new(region.name).ok()).map(CString::into_raw);
        let list: Box<[*mut c_char]> = names.chain([ptr::null_mut()]).collect();
        Ok(Box::into_raw(list).cast())
    })
}

/// Frees a list of names.
///
/// # Safety
/// `names` is NULL, or a list from `heirloom_inherited_names` that is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_names_free(names: *mut *mut c_char) {
    if names.is_null() {
        return;
    }
    let _entered = fork::enter();
    let mut len = 0;
    // SAFETY: The list ends with NULL, and each name is from `CString::into_raw`.
    while let Some(name) = NonNull::new(unsafe { *names.add(len) }) {
        // SAFETY: As above.
        drop(unsafe { CString::from_raw(name.as_ptr()) });
        len += 1;
    }
    // SAFETY: It was a box of the names and NULL.
    drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(names, len + 1)) });
}

/// Imports the region that an export string names.
///
/// # Safety
/// `string` is a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_region_import(string: *const c_char) -> *mut AnyRegion {
    // SAFETY: The caller's contract.
    call(ptr::null_mut(), || Ok(give(AnyRegion::import(unsafe { text(string, "the export string") }?)?)))
}

/// Exports a region.
///
/// # Safety
/// `region` is a region.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_region_export(region: *const AnyRegion, inheritable: c_int) -> *mut Exported {
    call(ptr::null_mut(), || {
        // SAFETY: The caller's contract.
        let region = unsafe { object(region, "the region") }?;
        let exported = if inheritable == 0 { region.export() } else { region.export_inheritable() }?;
        Exported::give(exported)
    })
}

/// Returns the region's descriptor, which stays the region's.
///
/// # Safety
/// `region` is a region.
#[cfg(unix)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_region_fd(region: *const AnyRegion) -> c_int {
    use std::os::fd::AsRawFd;

    // SAFETY: The caller's contract.
    call(FAILED, || Ok(unsafe { object(region, "the region") }?.as_raw_fd()))
}

/// Makes a region of a descriptor, and takes that over unless it fails.
///
/// # Safety
/// Nobody else owns the descriptor.
#[cfg(unix)]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_region_from_fd(descriptor: c_int) -> *mut AnyRegion {
    use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};

    call(ptr::null_mut(), || {
        if descriptor < 0 {
            return Err(Failure::invalid(format!("descriptor {descriptor} can't be a region")));
        }
        // SAFETY: The caller gives it to this call.
        let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
        match AnyRegion::try_from(owned) {
            Ok(region) => Ok(give(region)),
            Err(failed) => {
                let (error, owned) = failed.into_parts();
                // It stays the caller's.
                let _ = owned.into_raw_fd();
                Err(error.into())
            }
        }
    })
}
