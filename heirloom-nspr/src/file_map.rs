//! File maps: making, mapping, sealing and closing them.

#![allow(unsafe_code, non_snake_case)]

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_void};
use std::path::Path;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use heirloom::{Command, ErrorKind, ExportedRegion, FrozenRegion, ReadOnlyRegion, Region, RegionKind};

use crate::attributes;
use crate::error::{Code, Failure, Result, answer};
use crate::handles::{Found, Handles};
use crate::nspr::{self, Nspr};
use crate::processes;
use crate::sys;
use crate::types::{PRFileMap, PRStatus, os_string};

/// `PR_PROT_READONLY`, `PR_PROT_READWRITE` and `PR_PROT_WRITECOPY`.
const READ_ONLY: u32 = 0;
const READ_WRITE: u32 = 1;
const WRITE_COPY: u32 = 2;

/// All that are open.
static FILE_MAPS: Handles<FileMap> = Handles::new();

/// By which strings and names the regions came or went that are open, so that asked for again they are the same.
static ORIGINS: Mutex<BTreeMap<Origin, Weak<FileMap>>> = Mutex::new(BTreeMap::new());

/// How a region came into this process, or is known outside it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    ExportString(String),
    Name(String),
}

/// A region, and what its holders in this process may do with it by now.
pub(crate) struct Shared(Mutex<Memory>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it is now.
    pub(crate) fn current(&self) -> Memory {
        self.lock().clone()
    }
}

/// A region that C holds, by one handle or several.
pub(crate) struct FileMap {
    /// Attributes of processes hold it too, for longer.
    memory: Arc<Shared>,
    /// One for each kind it was exported as, since what was handed out must stay good.
    exports: Mutex<Vec<(RegionKind, ExportedRegion)>>,
    /// Last, so that it goes after the descriptors.
    origins: Origins,
}

/// What its holders may do with it.
#[derive(Clone, Debug)]
pub(crate) enum Memory {
    Writable(Region),
    ReadOnly(ReadOnlyRegion),
    Frozen(FrozenRegion),
}

impl Memory {
    fn create(directory: Option<&CStr>, size: usize, protection: u32) -> Result<Self> {
        if protection > WRITE_COPY {
            let why = format!("{protection} is none of PR_PROT_READONLY, PR_PROT_READWRITE and PR_PROT_WRITECOPY");
            return Err(Failure::new(Code::InvalidArgument, why));
        }
        let size = size as u64;
        let region = match (Region::create(size), directory) {
            (Err(error), Some(directory)) if error.kind() == ErrorKind::Unsupported => {
                let directory = os_string(directory.to_bytes())?;
                Region::options().unsealed_file_in(Path::new(&*directory)).create(size)?
            }
            (Err(error), None) if error.kind() == ErrorKind::Unsupported => {
                let advice = "allow memfd_create here, or name a directory for a file without a name";
                return Err(Failure::of(&error, advice));
            }
            (region, _) => region?,
        };
        // What nobody will ever write may as well never change; but a file in a directory can't promise it.
        Ok(match protection {
            READ_WRITE => Self::Writable(region),
            READ_ONLY => Self::Frozen(region.freeze().map_err(heirloom::Error::from)?),
            _ => Self::Frozen(region.freeze().map_err(heirloom::Error::from)?.copy_on_write()?),
        })
    }

    fn size(&self) -> u64 {
        match self {
            Self::Writable(region) => region.size(),
            Self::ReadOnly(region) => region.size(),
            Self::Frozen(region) => region.size(),
        }
    }

    fn kind(&self) -> RegionKind {
        match self {
            Self::Writable(region) => region.kind(),
            Self::ReadOnly(region) => region.kind(),
            Self::Frozen(region) => region.kind(),
        }
    }

    /// Maps a part, for C to unmap.
    fn map(&self, offset: i64, len: u32) -> Result<*mut u8> {
        let offset = u64::try_from(offset).map_err(|_| {
            Failure::new(Code::InvalidArgument, format!("cannot map from byte {offset}: it is negative"))
        })?;
        // NSPR wants lengths in whole pages, which may pass the end of the region by a part of one.
        let rest = self.size().saturating_sub(offset);
        let len = match u64::from(len) {
            len if len > rest && len <= rest.next_multiple_of(sys::page_size() as u64) => rest,
            len => len,
        };
        let range = offset..offset.saturating_add(len);
        let len = usize::try_from(len).map_err(|_| Failure::new(Code::InvalidArgument, "that passes the end"))?;
        // From here on C owns the mapping, so nothing unmaps it by itself.
        Ok(match self {
            Self::Writable(region) => {
                let mapping = region.map_range(range)?;
                sys::give_away(mapping.as_mut_ptr(), len, mapping)
            }
            Self::ReadOnly(region) => {
                let mapping = region.map_range(range)?;
                sys::give_away(mapping.as_ptr().cast_mut(), len, mapping)
            }
            Self::Frozen(region) if region.is_copy_on_write() => {
                let mut mapping = region.map_copy_range(range)?;
                sys::give_away(mapping.as_mut_ptr(), len, mapping)
            }
            Self::Frozen(region) => {
                let mapping = region.map_range(range)?;
                sys::give_away(mapping.as_ptr().cast_mut(), len, mapping)
            }
        })
    }

    /// As read-only to everyone from now on as publishing makes it, or more.
    fn make_read_only(&self) -> Result<Self> {
        let Self::Writable(region) = self else { return Ok(self.clone()) };
        match region.clone().into_read_only() {
            Ok((read_only, _own_view)) => Ok(Self::ReadOnly(read_only)),
            // Another holder may have done it.
            Err(refused) => {
                let (error, region) = refused.into_parts();
                ReadOnlyRegion::try_from(region).map(Self::ReadOnly).map_err(|_| error.into())
            }
        }
    }

    fn freeze(&self) -> Result<Self> {
        Ok(match self {
            Self::Writable(region) => Self::Frozen(region.clone().freeze().map_err(heirloom::Error::from)?),
            Self::ReadOnly(region) => Self::Frozen(region.clone().freeze().map_err(heirloom::Error::from)?),
            Self::Frozen(_) => self.clone(),
        })
    }

    /// Names it on a command.
    pub(crate) fn inherit(&self, command: &mut Command, name: &str) -> Result<()> {
        match self {
            Self::Writable(region) => command.inherit(name, region),
            Self::ReadOnly(region) => command.inherit(name, region),
            Self::Frozen(region) => command.inherit(name, region),
        }?;
        Ok(())
    }

    /// A string for a child to import, over a descriptor that no child inherits yet.
    fn export(&self) -> Result<ExportedRegion> {
        Ok(match self {
            Self::Writable(region) => region.export(),
            Self::ReadOnly(region) => region.export(),
            Self::Frozen(region) => region.export(),
        }?)
    }
}

impl FileMap {
    fn new(memory: Memory) -> Arc<Self> {
        Arc::new(Self {
            memory: Arc::new(Shared(Mutex::new(memory))),
            exports: Mutex::default(),
            origins: Origins::default(),
        })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.memory
    }

    /// Its export string, the same one each time until it is published or frozen; `use_it` may still refuse it.
    pub(crate) fn export(self: &Arc<Self>, use_it: impl FnOnce(&str) -> Result<()>) -> Result<()> {
        // Both in one go, so that no other thread changes the kind in between.
        let memory = self.memory.lock();
        let mut exports = self.exports.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = memory.kind();
        if let Some((_, known)) = exports.iter().find(|(known, _)| *known == kind) {
            return use_it(known.as_str());
        }
        let fresh = memory.export()?;
        use_it(fresh.as_str())?;
        // Only now, so that no child gets anything by a call that fails.
        sys::set_inheritable(&fresh).map_err(|error| Failure::system("cannot export a region", &error))?;
        self.know_as(Origin::ExportString(fresh.to_string()));
        exports.push((kind, fresh));
        Ok(())
    }

    fn know_as(self: &Arc<Self>, origin: Origin) {
        self.origins.0.lock().unwrap_or_else(PoisonError::into_inner).push(origin.clone());
        origins().insert(origin, Arc::downgrade(self));
    }
}

/// Nothing is imported while this is held. Nor may anything be asked of a file map.
pub(crate) fn imports() -> MutexGuard<'static, impl Sized> {
    origins()
}

fn origins() -> MutexGuard<'static, BTreeMap<Origin, Weak<FileMap>>> {
    ORIGINS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All origins of one region, forgotten with it.
#[derive(Default)]
struct Origins(Mutex<Vec<Origin>>);

impl Drop for Origins {
    fn drop(&mut self) {
        let mut known = origins();
        for origin in self.0.get_mut().unwrap_or_else(PoisonError::into_inner) {
            // Not what another file map is known as by now.
            if known.get(origin).is_some_and(|file_map| file_map.strong_count() == 0) {
                known.remove(origin);
            }
        }
    }
}

/// Which descriptors file maps own, in part: those of their exports.
pub(crate) struct Owned<'a>(&'a BTreeMap<Origin, Weak<FileMap>>);

impl Owned<'_> {
    pub(crate) fn contains(&self, number: i32) -> bool {
        let number_of = |string: &String| string.split(':').next().and_then(|number| number.parse().ok());
        self.0.keys().any(|origin| matches!(origin, Origin::ExportString(string) if number_of(string) == Some(number)))
    }
}

/// Another handle of what came by that origin before, or one of what `bring` brings in.
pub(crate) fn open_once(origin: Origin, bring: impl FnOnce(&Owned<'_>) -> Result<Memory>) -> Result<*mut PRFileMap> {
    // Held until it is known, so that no other thread brings it in a second time.
    let mut known = origins();
    let file_map = if let Some(file_map) = known.get(&origin) {
        let closing = || Failure::new(Code::BadDescriptor, "cannot open that region: another thread is closing it");
        file_map.upgrade().ok_or_else(closing)?
    } else {
        let file_map = FileMap::new(bring(&Owned(&known))?);
        file_map.origins.0.lock().unwrap_or_else(PoisonError::into_inner).push(origin.clone());
        known.insert(origin, Arc::downgrade(&file_map));
        file_map
    };
    drop(known);
    open(file_map)
}

fn open(file_map: Arc<FileMap>) -> Result<*mut PRFileMap> {
    Ok(ptr::without_provenance_mut(FILE_MAPS.open(file_map)?))
}

/// The file map of a handle that must be ours.
pub(crate) fn ours(file_map: *mut PRFileMap) -> Result<Arc<FileMap>> {
    FILE_MAPS.find(file_map.addr()).ours("file map")
}

/// Whether an address is one that this library keeps for itself.
fn is_reserved(address: usize) -> bool {
    FILE_MAPS.contains(address) || attributes::contains(address) || processes::contains(address)
}

/// NSPR, where it made the file map (`PR_CreateFileMap`).
fn maker(found: &Found<FileMap>, file_map: *mut PRFileMap) -> Option<&'static Nspr> {
    // What heirloom made for another purpose is none of NSPR's.
    let foreign = matches!(found, Found::Foreign) && !is_reserved(file_map.addr());
    if foreign { nspr::find() } else { None }
}

/// Makes a region. See `heirloom_nspr.h`, as for every function here.
///
/// # Safety
/// `directory` is null or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_OpenAnonFileMap(directory: *const c_char, size: usize, protection: u32) -> *mut PRFileMap {
    answer(ptr::null_mut(), || {
        // SAFETY: By the caller.
        let directory = (!directory.is_null()).then(|| unsafe { CStr::from_ptr(directory) });
        open(FileMap::new(Memory::create(directory, size, protection)?))
    })
}

/// Maps `len` bytes from byte `offset` on.
///
/// # Safety
/// `file_map` is from a function of this library or of NSPR, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_MemMap(file_map: *mut PRFileMap, offset: i64, len: u32) -> *mut c_void {
    answer(ptr::null_mut(), || {
        let found = FILE_MAPS.find(file_map.addr());
        if let Some(nspr) = maker(&found, file_map) {
            // SAFETY: By the caller.
            return Ok(unsafe { nspr.mem_map(file_map, offset, len) });
        }
        Ok(found.ours("file map")?.memory.current().map(offset, len)?.cast())
    })
}

/// Unmaps what `PR_MemMap` mapped.
///
/// # Safety
/// Nothing uses these `len` bytes any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_MemUnmap(address: *mut c_void, len: u32) -> PRStatus {
    answer(PRStatus::Failure, || {
        let last = address.addr().saturating_add((len as usize).saturating_sub(1));
        if address.is_null() || is_reserved(address.addr()) || is_reserved(last) {
            return Err(Failure::new(Code::InvalidArgument, "cannot unmap that: PR_MemMap never returned it"));
        }
        // SAFETY: By the caller.
        unsafe { sys::unmap(address, len as usize) }
            .map_err(|error| Failure::system(&format!("cannot unmap {len} bytes at {address:p}"), &error))
            .map_err(|failure| {
                failure.advised("give the address that PR_MemMap returned, and the length it was given")
            })?;
        Ok(PRStatus::Success)
    })
}

/// Closes a handle. What is mapped stays.
///
/// # Safety
/// `file_map` is from a function of this library or of NSPR, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_CloseFileMap(file_map: *mut PRFileMap) -> PRStatus {
    answer(PRStatus::Failure, || {
        let found = FILE_MAPS.close(file_map.addr());
        if let Some(nspr) = maker(&found, file_map) {
            // SAFETY: By the caller.
            return Ok(unsafe { nspr.close_file_map(file_map) });
        }
        found.ours("file map").map(|_| PRStatus::Success)
    })
}

/// Of what offsets must be multiples, in bytes.
#[unsafe(no_mangle)]
pub extern "C" fn PR_GetMemMapAlignment() -> i32 {
    i32::try_from(sys::granule()).unwrap_or(i32::MAX)
}

/// Shuts out every new writer.
#[unsafe(no_mangle)]
pub extern "C" fn heirloom_make_read_only(file_map: *mut PRFileMap) -> PRStatus {
    change(file_map, Memory::make_read_only)
}

/// Shuts out every writer.
#[unsafe(no_mangle)]
pub extern "C" fn heirloom_freeze(file_map: *mut PRFileMap) -> PRStatus {
    change(file_map, Memory::freeze)
}

fn change(file_map: *mut PRFileMap, change: impl FnOnce(&Memory) -> Result<Memory>) -> PRStatus {
    answer(PRStatus::Failure, || {
        let file_map = ours(file_map)?;
        let mut memory = file_map.memory.lock();
        *memory = change(&memory)?;
        Ok(PRStatus::Success)
    })
}
