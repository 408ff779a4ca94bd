//! Passing file maps between processes: exporting and importing strings, and taking inherited names.

#![allow(unsafe_code, non_snake_case)]

use std::ffi::c_char;
use std::ptr;

use heirloom::{AnyRegion, ExportedRegion};

use crate::code::Code;
use crate::error::{Failure, Result, call};
use crate::file_map::{Origin, find, open_once};
use crate::strings::text;
use crate::sys;
use crate::types::{PRFileMap, PRStatus};

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
    call(PRStatus::Failure, || {
        if buffer.is_null() {
            return Err(Failure::new(Code::InvalidArgument, "cannot export a region: the buffer is NULL"));
        }
        find(file_map)?.export(|string| {
            if string.len() >= size {
                let why = format!("cannot export a region into a buffer of {size} bytes");
                return Err(
                    Failure::new(Code::BufferOverflow, why).advised("PR_FILEMAP_STRING_BUFSIZE (128) is always enough")
                );
            }
            // SAFETY: The string and its NUL fit into `size` bytes, which the caller provides.
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
/// `string` is null or a string. If it names an inherited region, this process may take over its descriptor.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_ImportFileMapFromString(string: *const c_char) -> *mut PRFileMap {
    call(ptr::null_mut(), || {
        // SAFETY: The caller passes null or a string.
        let string = unsafe { text(string, "the string to import") }?;
        if is_from_original_nspr(string) {
            let why = format!("cannot import {string:?}: a string from the original NSPR cannot be checked");
            return Err(Failure::new(Code::InvalidArgument, why).advised("run the parent with heirloom too"));
        }
        // Malformed strings are an error of the import.
        let descriptor = ExportedRegion::descriptor_number(string).ok();
        // SAFETY: The caller lets this process take over the descriptor. `import` asks for its other owners.
        open_once(Origin::ExportString(string.to_owned()), descriptor, |is_known| unsafe {
            import(string, descriptor.filter(|_| !is_known))
        })
    })
}

/// Imports a region: over the descriptor that the string names, or over a duplicate if that has another owner.
///
/// # Safety
/// `unknown` is the number that the string names, unless an open file map may own that descriptor. No other part of this
/// process owns it either, except if it is a standard stream or close-on-exec.
unsafe fn import(string: &str, unknown: Option<i32>) -> Result<AnyRegion> {
    // An owner makes its descriptor close-on-exec, as every import does.
    let unowned = unknown.filter(|number| !sys::is_standard(*number) && sys::is_close_on_exec(*number) != Some(true));
    Ok(match unowned {
        None => AnyRegion::import(string)?,
        // SAFETY: No file map owns the descriptor, and no import can run at the same time. It isn't a standard stream or
        // close-on-exec. By the caller's contract, nothing else owns it.
        Some(_) => unsafe { AnyRegion::import_owned(string) }?,
    })
}

/// Whether a string has the original NSPR's two fields, a number and a protection, and nothing else.
fn is_from_original_nspr(string: &str) -> bool {
    let is_number = |field: &str| field.bytes().all(|byte| byte.is_ascii_digit());
    string.split_once(':').is_some_and(|(number, protection)| is_number(number) && is_number(protection))
}

/// Opens the region that the parent passed on under a name.
///
/// # Safety
/// `name` is null or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PR_GetInheritedFileMap(name: *const c_char) -> *mut PRFileMap {
    call(ptr::null_mut(), || {
        // SAFETY: The caller passes null or a string.
        let name = unsafe { text(name, "the name of the file map") }?;
        open_once(Origin::Name(name.to_owned()), None, |_| Ok(AnyRegion::inherited(name)?))
    })
}
