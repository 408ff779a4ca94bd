//! Locks.

use std::ffi::c_int;
use std::mem;

use heirloom::{LockMapping, Locked};

use super::arguments::{DONE, FAILED, object, timeout};
use super::error::{Failure, Result, wait};
use super::mapping::View;

/// The answers of `heirloom_lock`.
const TAKEN: c_int = 0;
const LOCKED: c_int = 1;
const OWNER_DIED: c_int = 2;

/// Returns a mapping with locks.
///
/// # Safety
/// As for [`object`].
unsafe fn with_locks<'a>(mapping: *const View) -> Result<&'a LockMapping> {
    // SAFETY: The caller's contract.
    match unsafe { object(mapping, "the mapping") }? {
        View::Locks(mapping) => Ok(mapping),
        _ => Err(Failure::wrong_kind("the mapping has no locks: it isn't from heirloom_map_with_locks")),
    }
}

/// Takes a lock.
///
/// # Safety
/// `mapping` is a mapping.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_lock(mapping: *const View, offset: usize, nanoseconds: i64) -> c_int {
    wait(FAILED, || {
        // SAFETY: The caller's contract.
        let mapping = unsafe { with_locks(mapping) }?;
        let locked = match timeout(nanoseconds) {
            None => Some(mapping.lock(offset)?),
            Some(timeout) => mapping.lock_timeout(offset, timeout)?,
        };
        // C releases it by `heirloom_unlock`.
        Ok(match locked {
            Some(Locked::Clean(guard)) => {
                mem::forget(guard);
                LOCKED
            }
            Some(Locked::OwnerDied(guard)) => {
                mem::forget(guard);
                OWNER_DIED
            }
            None => TAKEN,
        })
    })
}

/// Releases a lock.
///
/// # Safety
/// `mapping` is a mapping.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_unlock(mapping: *const View, offset: usize) -> c_int {
    wait(FAILED, || {
        // SAFETY: The caller's contract.
        unsafe { with_locks(mapping) }?.release(offset, false)?;
        Ok(DONE)
    })
}
