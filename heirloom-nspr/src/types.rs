//! C's types, and how what C passes in becomes Rust's.

#![allow(unsafe_code)]

use std::borrow::Cow;
use std::ffi::{CStr, OsStr, c_char};

use crate::error::{Code, Failure, Result};
use crate::sys;

/// What most functions return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum PRStatus {
    /// See `PR_GetError`.
    Failure = -1,
    /// It was done.
    Success = 0,
}

macro_rules! opaque {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        #[repr(C)]
        pub struct $name {
            _opaque: [u8; 0],
        }
    )*};
}

opaque! {
    /// A region; one of ours is a handle, with nothing behind it.
    PRFileMap;
    /// What a process is to be started with; a handle.
    PRProcessAttr;
    /// A file, socket or pipe of NSPR's, which alone looks into it.
    PRFileDesc;
}

/// A string that must be there.
///
/// # Safety
/// `pointer` is null or points to a string with a NUL behind it, which lives and stays as it is for `'a`.
pub(crate) unsafe fn string<'a>(pointer: *const c_char, what: &str) -> Result<&'a CStr> {
    if pointer.is_null() {
        return Err(missing(what));
    }
    // SAFETY: By the caller.
    Ok(unsafe { CStr::from_ptr(pointer) })
}

/// A string that must be there, and UTF-8.
///
/// # Safety
/// As for `string`.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, what: &str) -> Result<&'a str> {
    // SAFETY: By the caller.
    let string = unsafe { string(pointer, what) }?;
    string.to_str().map_err(|_| Failure::new(Code::InvalidArgument, format!("{what} is not UTF-8: {string:?}")))
}

/// Bytes from C as the system's own kind of string.
pub(crate) fn os_string(bytes: &[u8]) -> Result<Cow<'_, OsStr>> {
    sys::os_string(bytes).map_err(|error| {
        let shown = String::from_utf8_lossy(bytes);
        Failure::system(&format!("cannot read {shown:?}"), &error)
            .advised("use the encoding that this program runs with")
    })
}

/// A list of strings that must be there, with a null behind them.
///
/// # Safety
/// `list` is null or points to such a list, and each string is as for `string`.
pub(crate) unsafe fn strings<'a>(list: *const *mut c_char, what: &str) -> Result<Vec<&'a CStr>> {
    if list.is_null() {
        return Err(missing(what));
    }
    let mut strings = Vec::new();
    // SAFETY: By the caller; the null ends the list.
    unsafe {
        let mut next = list;
        while !(*next).is_null() {
            strings.push(CStr::from_ptr(*next));
            next = next.add(1);
        }
    }
    Ok(strings)
}

fn missing(what: &str) -> Failure {
    Failure::new(Code::InvalidArgument, format!("{what} is NULL"))
}
