use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::export_string::ExportString;
use crate::Result;
use crate::region::{RegionInner, RegionKind};
use crate::sys::{Failure, Memory};

/// An export string and the descriptor that it names; from `export` or `export_inheritable` of a region.
///
/// A child can import the string if it inherits the descriptor under the same number. The descriptor closes when this
/// value is dropped, so keep it until the child has started. The string is shorter than 128 bytes with C's NUL.
///
/// ```
/// let region = heirloom::Region::create(4096)?;
/// let exported = region.export()?;
/// assert!(exported.as_str().contains(":writable:4096:"));
/// # Ok::<(), heirloom::Error>(())
/// ```
#[derive(Debug)]
pub struct ExportedRegion {
    pub(crate) memory: Memory,
    string: String,
}

/// The descriptor numbers of all live exports; an import must not close or change them.
static EXPORTED: Mutex<Vec<i32>> = Mutex::new(Vec::new());

pub(super) fn exported() -> MutexGuard<'static, Vec<i32>> {
    EXPORTED.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn remember_export(number: i32) {
    exported().push(number);
}

pub(super) fn forget_export(number: i32) {
    exported().retain(|other| *other != number);
}

/// Returns whether a descriptor belongs to an export of this process.
pub(super) fn is_exported(number: i32) -> bool {
    exported().contains(&number)
}

impl ExportedRegion {
    /// Returns the number of the descriptor that an export string names (on Windows, of the handle).
    ///
    /// For a caller of [`import_owned`](crate::Region::import_owned) that must find out who owns the descriptor.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed): the string is not an export string.
    ///
    /// ```
    /// use heirloom::ExportedRegion;
    ///
    /// let exported = heirloom::Region::create(4096)?.export()?;
    /// let number = ExportedRegion::descriptor_number(exported.as_str())?;
    /// assert!(exported.as_str().starts_with(&format!("{number}:")));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    pub fn descriptor_number(string: &str) -> Result<i32> {
        Ok(string.parse::<ExportString>()?.number)
    }

    /// Returns the string for the child to import.
    ///
    /// ```
    /// let exported = heirloom::Region::create(4096)?.export()?;
    /// assert_eq!(exported.as_str(), exported.to_string());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.string
    }
}

impl Drop for ExportedRegion {
    fn drop(&mut self) {
        forget_export(self.memory.number());
    }
}

impl AsRef<str> for ExportedRegion {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for ExportedRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.string)
    }
}

pub(crate) fn export(region: &RegionInner, kind: RegionKind) -> Result<ExportedRegion> {
    export_over(region.memory.duplicate(), region, kind)
}

pub(crate) fn export_inheritable(region: &RegionInner, kind: RegionKind) -> Result<ExportedRegion> {
    export_over(region.memory.duplicate_inheritable(), region, kind)
}

fn export_over(duplicate: io::Result<Memory>, region: &RegionInner, kind: RegionKind) -> Result<ExportedRegion> {
    let made = duplicate.map_err(Failure::from).and_then(|memory| {
        let string = ExportString::new(&memory, region, kind)?.to_string();
        Ok(ExportedRegion { memory, string })
    });
    let made = made.map_err(|failure| region.failed("export", failure))?;
    remember_export(made.memory.number());
    Ok(made)
}
