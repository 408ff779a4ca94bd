//! What is exported, and its string.

use std::any::Any;
use std::ffi::{CString, c_char};
use std::fmt::Display;
use std::ptr;

use super::arguments::{free, give};
use super::error::{Failure, Result};

/// A region or the end of a channel that is exported while this lives.
pub struct Exported {
    _exported: Box<dyn Any>,
    string: CString,
}

impl Exported {
    /// Gives an export to C.
    pub(super) fn give(exported: impl Display + Any) -> Result<*mut Self> {
        let string = CString::new(exported.to_string()).map_err(|_| Failure::invalid("an export string has a NUL"))?;
        Ok(give(Self { _exported: Box::new(exported), string }))
    }
}

/// Returns the export string, valid while the export lives; NULL of NULL.
///
/// # Safety
/// `exported` is NULL or an export.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_export_string(exported: *const Exported) -> *const c_char {
    // SAFETY: The caller's contract.
    unsafe { exported.as_ref() }.map_or(ptr::null(), |exported| exported.string.as_ptr())
}

/// Ends an export.
///
/// # Safety
/// `exported` is NULL, or an export that is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn heirloom_export_free(exported: *mut Exported) {
    // SAFETY: The caller's contract.
    unsafe { free(exported) };
}
