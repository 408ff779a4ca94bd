//! Waiting for a number to change, and waking.

use std::ffi::c_int;

use super::arguments::{DONE, FAILED, NO, YES, object, store, timeout};
use super::error::{Failure, wait};
use super::mapping::View;

/// Waits until a number changes.
///
/// # Safety
/// `view` is a mapping, and `now` is NULL or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_wait_u32(
    view: *const View,
    offset: usize,
    current: u32,
    nanoseconds: i64,
    now: *mut u32,
) -> c_int {
    wait(FAILED, || {
        // SAFETY: The caller's contract.
        let view = unsafe { object(view, "the mapping") }?;
        let changed = match (view, timeout(nanoseconds)) {
            (View::ReadOnly(mapping), None) => Some(mapping.wait(offset, current)?),
            (View::ReadOnly(mapping), Some(timeout)) => mapping.wait_timeout(offset, current, timeout)?,
            (View::Frozen(_), _) => return Err(Failure::wrong_kind("cannot wait for a number that is frozen")),
            (view, None) => Some(view.shared()?.wait(offset, current)?),
            (view, Some(timeout)) => view.shared()?.wait_timeout(offset, current, timeout)?,
        };
        let Some(number) = changed else { return Ok(NO) };
        // SAFETY: As above.
        unsafe { store(now, number) };
        Ok(YES)
    })
}

/// Wakes one thread that waits for a number.
///
/// # Safety
/// `mapping` is a mapping.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_wake_one(mapping: *const View, offset: usize) -> c_int {
    wait(FAILED, || {
        // SAFETY: The caller's contract.
        unsafe { object(mapping, "the mapping") }?.shared()?.wake_one(offset)?;
        Ok(DONE)
    })
}

/// Wakes all threads that wait for a number.
///
/// # Safety
/// `mapping` is a mapping.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_wake_all(mapping: *const View, offset: usize) -> c_int {
    wait(FAILED, || {
        // SAFETY: The caller's contract.
        unsafe { object(mapping, "the mapping") }?.shared()?.wake_all(offset)?;
        Ok(DONE)
    })
}
