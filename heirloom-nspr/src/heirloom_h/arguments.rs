//! Arguments from C.

use std::ffi::{c_char, c_int, c_void};
use std::ptr::NonNull;
use std::slice;
use std::time::Duration;

use super::error::{Failure, Result};
use crate::fork;
use crate::strings::{missing, text};

/// The answers of a function that may have nothing to return.
pub(super) const FAILED: c_int = -1;
pub(super) const NO: c_int = 0;
pub(super) const YES: c_int = 1;

/// What a function returns that only succeeds or fails.
pub(super) const DONE: c_int = 0;

/// Gives an object to C.
pub(super) fn give<T>(object: T) -> *mut T {
    Box::into_raw(Box::new(object))
}

/// Takes an object back from C and drops it. NULL is nothing.
///
/// # Safety
/// `object` is NULL, or was returned by [`give`] and is not used again.
pub(super) unsafe fn free<T>(object: *mut T) {
    if !object.is_null() {
        let _entered = fork::enter();
        // SAFETY: The caller's contract.
        drop(unsafe { Box::from_raw(object) });
    }
}

/// Returns an object that C still owns.
///
/// # Safety
/// `object` is NULL, or was returned by [`give`] and lives for `'a`.
pub(super) unsafe fn object<'a, T>(object: *const T, what: &str) -> Result<&'a T> {
    // SAFETY: The caller's contract.
    unsafe { object.as_ref() }.ok_or_else(|| missing(what).into())
}

/// Returns an object that C still owns and that no other thread uses.
///
/// # Safety
/// As for [`object`], and nobody else uses it for `'a`.
pub(super) unsafe fn object_mut<'a, T>(object: *mut T, what: &str) -> Result<&'a mut T> {
    // SAFETY: The caller's contract.
    unsafe { object.as_mut() }.ok_or_else(|| missing(what).into())
}

/// Takes an object over from C.
///
/// # Safety
/// As for [`free`].
pub(super) unsafe fn take<T>(object: *mut T, what: &str) -> Result<T> {
    if object.is_null() {
        return Err(missing(what).into());
    }
    // SAFETY: The caller's contract.
    Ok(*unsafe { Box::from_raw(object) })
}

/// Returns an optional string that must be UTF-8.
///
/// # Safety
/// As for [`text`].
pub(super) unsafe fn optional_text<'a>(optional: *const c_char, what: &str) -> Result<Option<&'a str>> {
    if optional.is_null() {
        return Ok(None);
    }
    // SAFETY: The caller's contract.
    Ok(Some(unsafe { text(optional, what) }?))
}

/// Returns `len` bytes to read. Of no bytes, the pointer may be NULL.
///
/// # Safety
/// They are readable and unchanged for `'a`.
pub(super) unsafe fn bytes<'a>(bytes: *const c_void, len: usize) -> Result<&'a [u8]> {
    let start = start(bytes.cast_mut(), len)?;
    // SAFETY: The caller's contract, and the check.
    Ok(unsafe { slice::from_raw_parts(start, len) })
}

/// Returns `len` bytes to write. Of no bytes, the pointer may be NULL.
///
/// # Safety
/// They are writable, and nobody else uses them for `'a`.
pub(super) unsafe fn bytes_mut<'a>(bytes: *mut c_void, len: usize) -> Result<&'a mut [u8]> {
    let start = start(bytes, len)?;
    // SAFETY: The caller's contract, and the check.
    Ok(unsafe { slice::from_raw_parts_mut(start, len) })
}

/// Returns where `len` bytes start, if they can be memory.
fn start(bytes: *mut c_void, len: usize) -> Result<*mut u8> {
    if len == 0 {
        return Ok(NonNull::dangling().as_ptr());
    }
    if bytes.is_null() || isize::try_from(len).is_err() {
        return Err(Failure::invalid(format!("{len} bytes at {bytes:p} can't be memory")));
    }
    Ok(bytes.cast())
}

/// Stores a result, unless C doesn't want it.
///
/// # Safety
/// `place` is NULL or can be written.
pub(super) unsafe fn store<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: The caller's contract.
        unsafe { place.write(value) };
    }
}

/// Converts nanoseconds. A negative number is no limit.
pub(super) fn timeout(nanoseconds: i64) -> Option<Duration> {
    u64::try_from(nanoseconds).ok().map(Duration::from_nanos)
}
