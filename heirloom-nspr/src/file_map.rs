//! File maps: their handles, their origins, and the functions on them.

#![allow(unsafe_code, non_snake_case)]

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_void};
use std::mem;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use heirloom::{AnyRegion, ExportedRegion, RegionKind};

use crate::code::Code;
use crate::error::{Failure, Result, call};
use crate::handles::{Found, Handles};
use crate::nspr::{self, Nspr};
use crate::region;
use crate::reserved::{self, is_reserved};
use crate::sys;
use crate::types::{PRFileMap, PRStatus};

/// The open file maps.
static FILE_MAPS: Handles<FileMap> = Handles::new(&reserved::FILE_MAPS);

/// The open file maps that have an origin. Opening the same origin again returns the same file map.
static KNOWN: Mutex<BTreeMap<Origin, Known>> = Mutex::new(BTreeMap::new());

/// How a region came into this process, or how other processes refer to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    ExportString(String),
    Name(String),
}

/// The file map of an origin.
struct Known {
    file_map: Weak<FileMap>,
    /// The number of the descriptor that an export string names.
    descriptor: Option<i32>,
}

/// A region whose kind can change.
pub(crate) struct Shared {
    region: Mutex<AnyRegion>,
    file: Option<sys::Identity>,
}

impl Shared {
    fn new(region: AnyRegion) -> Self {
        Self { file: sys::identity(&region), region: Mutex::new(region) }
    }

    /// Locks the region, if its descriptor still refers to it. A program that closes all descriptors closes this one too,
    /// and the number may then become another file's.
    fn lock(&self) -> Result<MutexGuard<'_, AnyRegion>> {
        let region = self.region.lock().unwrap_or_else(PoisonError::into_inner);
        if sys::identity(&*region) == self.file { Ok(region) } else { Err(closed_by_program()) }
    }

    /// Returns the region in its current kind.
    pub(crate) fn current(&self) -> Result<AnyRegion> {
        Ok(self.lock()?.clone())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.lock().is_err() {
            // A handle that is never dropped: the number is not this library's to close.
            mem::forget(self.region.get_mut().unwrap_or_else(PoisonError::into_inner).clone());
        }
    }
}

fn closed_by_program() -> Failure {
    let why = "the descriptor of the file map was closed by another part of this program";
    Failure::new(Code::BadDescriptor, why).advised("close only descriptors that the program itself opened")
}

/// A region that C holds by one or more handles.
pub(crate) struct FileMap {
    /// Process attributes share it, and may outlive the file map.
    region: Arc<Shared>,
    /// One export for each kind, because earlier strings must stay valid.
    exports: Mutex<Vec<(RegionKind, ExportedRegion)>>,
    /// The last field: it is dropped after the descriptors.
    origins: Origins,
}

impl FileMap {
    fn new(region: AnyRegion) -> Arc<Self> {
        Arc::new(Self { region: Arc::new(Shared::new(region)), exports: Mutex::default(), origins: Origins::default() })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.region
    }

    /// Passes the export string to `accept`, and makes the descriptor inheritable unless `accept` fails. The string is the
    /// same each time, until the region is made read-only or frozen.
    pub(crate) fn export(self: &Arc<Self>, accept: impl FnOnce(&str) -> Result<()>) -> Result<()> {
        // Held to the end, so that no other thread changes the kind meanwhile.
        let region = self.region.lock()?;
        let mut exports = self.exports.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = region.kind();
        if let Some((_, exported)) = exports.iter().find(|(exported_kind, _)| *exported_kind == kind) {
            if sys::identity(exported) != self.region.file {
                return Err(closed_by_program());
            }
            return accept(exported.as_str());
        }
        let exported = region.export()?;
        accept(exported.as_str())?;
        // Held until the origin is known, so that no import takes the descriptor over meanwhile.
        let mut known = known();
        // Last, so that a failed call makes nothing inheritable.
        sys::set_inheritable(&exported).map_err(|error| Failure::system("cannot export a region", &error))?;
        let descriptor = Some(sys::number_of(&exported));
        self.add_origin(&mut known, Origin::ExportString(exported.to_string()), descriptor);
        exports.push((kind, exported));
        Ok(())
    }

    fn add_origin(self: &Arc<Self>, known: &mut BTreeMap<Origin, Known>, origin: Origin, descriptor: Option<i32>) {
        self.origins.0.lock().unwrap_or_else(PoisonError::into_inner).push(origin.clone());
        known.insert(origin, Known { file_map: Arc::downgrade(self), descriptor });
    }
}

impl Drop for FileMap {
    fn drop(&mut self) {
        for (_, exported) in mem::take(self.exports.get_mut().unwrap_or_else(PoisonError::into_inner)) {
            // As for `Shared`.
            if sys::identity(&exported) != self.region.file {
                mem::forget(exported);
            }
        }
    }
}

/// The origins of one file map, which are forgotten when it is dropped.
#[derive(Default)]
struct Origins(Mutex<Vec<Origin>>);

impl Drop for Origins {
    fn drop(&mut self) {
        let mut known = known();
        for origin in self.0.get_mut().unwrap_or_else(PoisonError::into_inner) {
            // Another file map may have the origin by now.
            if known.get(origin).is_some_and(|known| known.file_map.strong_count() == 0) {
                known.remove(origin);
            }
        }
    }
}

/// Blocks imports while the returned guard lives. The holder must not use any file map.
pub(crate) fn block_imports() -> MutexGuard<'static, impl Sized> {
    known()
}

fn known() -> MutexGuard<'static, BTreeMap<Origin, Known>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens another handle of the file map that is open under `origin`, or one of the region that `import` returns.
///
/// `descriptor` is the number that an export string names. `import` is told whether an open file map is known by a string
/// with that number.
pub(crate) fn open_once(
    origin: Origin,
    descriptor: Option<i32>,
    import: impl FnOnce(bool) -> Result<AnyRegion>,
) -> Result<*mut PRFileMap> {
    // Held until the origin is known, so that no other thread imports it a second time.
    let mut known = known();
    let file_map = if let Some(Known { file_map, .. }) = known.get(&origin) {
        let closing = || Failure::new(Code::BadDescriptor, "cannot open the region: another thread is closing it");
        file_map.upgrade().ok_or_else(closing)?
    } else {
        let is_known = descriptor.is_some() && known.values().any(|known| known.descriptor == descriptor);
        let file_map = FileMap::new(import(is_known)?);
        file_map.add_origin(&mut known, origin, descriptor);
        file_map
    };
    drop(known);
    open(file_map)
}

fn open(file_map: Arc<FileMap>) -> Result<*mut PRFileMap> {
    Ok(ptr::without_provenance_mut(FILE_MAPS.open(file_map)?))
}

/// Returns the file map of an open handle.
pub(crate) fn find(file_map: *mut PRFileMap) -> Result<Arc<FileMap>> {
    FILE_MAPS.find(file_map.addr()).require_open("file map")
}

/// Returns NSPR if the file map is one of NSPR's (`PR_CreateFileMap`).
fn owner(found: &Found<FileMap>, file_map: *mut PRFileMap) -> Option<&'static Nspr> {
    // NSPR must not get another object of this library.
    let foreign = matches!(found, Found::Foreign) && !is_reserved(file_map.addr());
    if foreign { nspr::find() } else { None }
}

/// Creates a region. This and all other functions are documented in `heirloom_nspr.h`.
///
/// # Safety
/// `directory` is null or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_OpenAnonFileMap(directory: *const c_char, size: usize, protection: u32) -> *mut PRFileMap {
    call(ptr::null_mut(), || {
        // SAFETY: It isn't null, so the caller's contract says that it is a string.
        let directory = (!directory.is_null()).then(|| unsafe { CStr::from_ptr(directory) });
        open(FileMap::new(region::create(directory, size, protection)?))
    })
}

/// Maps `len` bytes at `offset`.
///
/// # Safety
/// `file_map` is from a function of this library or of NSPR, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_MemMap(file_map: *mut PRFileMap, offset: i64, len: u32) -> *mut c_void {
    call(ptr::null_mut(), || {
        let found = FILE_MAPS.find(file_map.addr());
        if let Some(nspr) = owner(&found, file_map) {
            // SAFETY: It isn't from this library, so the caller's contract says that it is from NSPR.
            return Ok(unsafe { nspr.mem_map(file_map, offset, len) });
        }
        Ok(region::map(&found.require_open("file map")?.region.current()?, offset, len)?.cast())
    })
}

/// Unmaps a mapping of `PR_MemMap`.
///
/// # Safety
/// These `len` bytes are no longer used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_MemUnmap(address: *mut c_void, len: u32) -> PRStatus {
    call(PRStatus::Failure, || {
        let last = address.addr().saturating_add((len as usize).saturating_sub(1));
        if address.is_null() || is_reserved(address.addr()) || is_reserved(last) {
            let why = format!("cannot unmap {len} bytes at {address:p}: PR_MemMap did not return that address");
            return Err(Failure::new(Code::InvalidArgument, why));
        }
        // SAFETY: The caller no longer uses these bytes, and they are not this library's own.
        unsafe { sys::unmap(address, len as usize) }
            .map_err(|error| Failure::system(&format!("cannot unmap {len} bytes at {address:p}"), &error))
            .map_err(|failure| {
                failure.advised("pass the address that PR_MemMap returned and the length it was given")
            })?;
        Ok(PRStatus::Success)
    })
}

/// Closes a handle. Mappings stay.
///
/// # Safety
/// `file_map` is from a function of this library or of NSPR, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_CloseFileMap(file_map: *mut PRFileMap) -> PRStatus {
    call(PRStatus::Failure, || {
        let found = FILE_MAPS.close(file_map.addr());
        if let Some(nspr) = owner(&found, file_map) {
            // SAFETY: It isn't from this library, so the caller's contract says that it is from NSPR.
            return Ok(unsafe { nspr.close_file_map(file_map) });
        }
        found.require_open("file map").map(|_| PRStatus::Success)
    })
}

/// Returns the alignment of offsets in bytes.
#[unsafe(no_mangle)]
pub extern "C" fn PR_GetMemMapAlignment() -> i32 {
    i32::try_from(sys::allocation_granularity()).unwrap_or(i32::MAX)
}

/// Makes a file map read-only.
#[unsafe(no_mangle)]
pub extern "C" fn heirloom_make_read_only(file_map: *mut PRFileMap) -> PRStatus {
    change(file_map, region::make_read_only)
}

/// Freezes a file map.
#[unsafe(no_mangle)]
pub extern "C" fn heirloom_freeze(file_map: *mut PRFileMap) -> PRStatus {
    change(file_map, |region| Ok(region::freeze(region)?))
}

fn change(file_map: *mut PRFileMap, change: impl FnOnce(&AnyRegion) -> Result<AnyRegion>) -> PRStatus {
    call(PRStatus::Failure, || {
        let file_map = find(file_map)?;
        let mut region = file_map.region.lock()?;
        *region = change(&region)?;
        Ok(PRStatus::Success)
    })
}
