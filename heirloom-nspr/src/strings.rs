//! Conversions of C strings.

#![allow(unsafe_code)]

use std::borrow::Cow;
use std::ffi::{CStr, OsStr, c_char};

use crate::code::Code;
use crate::error::{Failure, Result};
use crate::sys;

/// An invalid argument, in words. Each of the two interfaces makes its own failure of it.
pub(crate) struct Invalid(pub(crate) String);

impl From<Invalid> for Failure {
    fn from(Invalid(text): Invalid) -> Self {
        Self::new(Code::InvalidArgument, text)
    }
}

/// Returns a required string.
///
/// # Safety
/// `pointer` is null, or points to a NUL-terminated string that stays valid and unchanged for `'a`.
pub(crate) unsafe fn string<'a>(pointer: *const c_char, what: &str) -> Result<&'a CStr, Invalid> {
    if pointer.is_null() {
        return Err(missing(what));
    }
    // SAFETY: It isn't null, so the caller's contract says that it is a string.
    Ok(unsafe { CStr::from_ptr(pointer) })
}

/// Returns a required string that must be UTF-8.
///
/// # Safety
/// As for `string`.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, what: &str) -> Result<&'a str, Invalid> {
    // SAFETY: The caller keeps the contract of `string`.
    let string = unsafe { string(pointer, what) }?;
    string.to_str().map_err(|_| Invalid(format!("{what} is not UTF-8: {string:?}")))
}

/// Converts bytes from C into a string for the system.
pub(crate) fn os_string(bytes: &[u8]) -> Result<Cow<'_, OsStr>> {
    sys::os_string(bytes).map_err(|error| {
        let shown = String::from_utf8_lossy(bytes);
        Failure::system(&format!("cannot decode {shown:?}"), &error)
            .advised("use the encoding of this program, its ANSI code page")
    })
}

/// Returns the strings of a required list that ends with a null.
///
/// # Safety
/// `list` is null, or points to such a list; each string is as for `string`.
pub(crate) unsafe fn strings<'a>(list: *const *mut c_char, what: &str) -> Result<Vec<&'a CStr>, Invalid> {
    if list.is_null() {
        return Err(missing(what));
    }
    let mut strings = Vec::new();
    // SAFETY: The caller passes a list that ends with a null, which the loop doesn't pass.
    unsafe {
        let mut next = list;
        while !(*next).is_null() {
            strings.push(CStr::from_ptr(*next));
            next = next.add(1);
        }
    }
    Ok(strings)
}

pub(crate) fn missing(what: &str) -> Invalid {
    Invalid(format!("{what} is NULL"))
}
