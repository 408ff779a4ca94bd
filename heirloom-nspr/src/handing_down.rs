//! The two protocols, both their sides.

#![allow(unsafe_code, non_snake_case)]

use std::ffi::c_char;
use std::ptr;

use heirloom::{FrozenRegion, ReadOnlyRegion, Region, RegionKind};

use crate::error::{Code, Failure, Result, answer};
use crate::file_map::{Memory, Origin, Owned, open_once, ours};
use crate::sys;
use crate::types::{PRFileMap, PRStatus, text};

/// Writes a file map's export string.
///
/// # Safety
/// `buffer` is null or has room for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_ExportFileMapAsString(
    file_map: *mut PRFileMap,
    size: usize,
    buffer: *mut c_char,
) -> PRStatus {
    answer(PRStatus::Failure, || {
        if buffer.is_null() {
            return Err(Failure::new(Code::InvalidArgument, "cannot export into a buffer that is NULL"));
        }
        ours(file_map)?.export(|string| {
            if string.len() >= size {
                let why = format!("cannot export into {size} bytes: PR_FILEMAP_STRING_BUFSIZE (128) is always enough");
                return Err(Failure::new(Code::BufferOverflow, why));
            }
            // SAFETY: The string and its NUL fit, as was asked just now; the rest is the caller's word.
            unsafe {
                ptr::copy_nonoverlapping(string.as_ptr().cast(), buffer, string.len());
                buffer.add(string.len()).write(0);
            }
            Ok(())
        })?;
        Ok(PRStatus::Success)
    })
}

/// Opens the region that an export string names.
///
/// # Safety
/// `string` is null or a string. What it names, if it is a region and was inherited, this process may own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_ImportFileMapFromString(string: *const c_char) -> *mut PRFileMap {
    answer(ptr::null_mut(), || {
        // SAFETY: By the caller.
        let string = unsafe { text(string, "the string to import") }?;
        // SAFETY: By the caller.
        open_once(Origin::ExportString(string.to_owned()), |owned| unsafe { import(string, owned) })
    })
}

/// # Safety
/// As for `PR_ImportFileMapFromString`.
unsafe fn import(string: &str, owned: &Owned<'_>) -> Result<Memory> {
    let mut fields = string.split(':');
    let number = fields.next().and_then(|number| number.parse().ok()).unwrap_or(-1);
    // Standard input, output and error, what file maps have exported, and what somebody made close-on-exec (as every
    // import does), stay whose they are.
    let has_an_owner =
        sys::is_standard(number) || owned.contains(number) || sys::is_close_on_exec(number) == Some(true);
    if string.bytes().all(|byte| byte.is_ascii_digit() || byte == b':') && fields.clone().count() == 1 {
        let why = format!("cannot import {string:?}: it is a string of the original NSPR's, which nothing can check");
        return Err(Failure::new(Code::InvalidArgument, why).advised("run the parent on heirloom, too"));
    }
    macro_rules! import {
        ($region:ty) => {
            if has_an_owner {
                <$region>::import(string)?
            } else {
                // SAFETY: No file map owns it, as was asked just now, while nobody else can bring one in; that nobody
                // else does is the caller's word.
                unsafe { <$region>::import_owned(string) }?
            }
        };
    }
    Ok(match fields.nth(2) {
        Some("frozen") => Memory::Frozen(import!(FrozenRegion)),
        Some("read-only") => Memory::ReadOnly(import!(ReadOnlyRegion)),
        _ => Memory::Writable(import!(Region)),
    })
}

/// Opens the region that the parent handed down under a name.
///
/// # Safety
/// `name` is null or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_GetInheritedFileMap(name: *const c_char) -> *mut PRFileMap {
    answer(ptr::null_mut(), || {
        // SAFETY: By the caller.
        let name = unsafe { text(name, "the name of the file map") }?;
        open_once(Origin::Name(name.to_owned()), |_| {
            let inherited = heirloom::inherited()?;
            Ok(match inherited.iter().find(|region| region.name == name).map(|region| region.kind) {
                Some(RegionKind::Frozen) => Memory::Frozen(FrozenRegion::inherited(name)?),
                Some(RegionKind::ReadOnly) => Memory::ReadOnly(ReadOnlyRegion::inherited(name)?),
                _ => Memory::Writable(Region::inherited(name)?),
            })
        })
    })
}
