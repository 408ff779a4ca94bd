//! Validates the descriptor that an export string names before anything uses it.

#![allow(unsafe_code)]

use std::io;

use super::export_string::ExportString;
use super::exported::forget_export;
use crate::region::{RegionInner, validate};
use crate::sys::{self, Borrowed, Failure, Owned, Status};
use crate::{Error, ErrorKind, Result};

/// What [`ExportString::reserve`] found.
pub(crate) struct Reserved {
    status: Status,
    /// The descriptor was close-on-exec before.
    pub(crate) was_close_on_exec: bool,
}

/// Why a descriptor is not the region that an export string describes.
pub(crate) enum Mismatch {
    /// No descriptor has that number.
    Closed,
    /// The descriptor is a different object.
    OtherFile,
    /// Another object got the number during the call, so another thread owns it.
    Replaced,
    /// The descriptor is the same object with other properties.
    Property(&'static str),
    System(Failure),
}

impl From<Failure> for Mismatch {
    fn from(failure: Failure) -> Self {
        Self::System(failure)
    }
}

impl From<io::Error> for Mismatch {
    fn from(error: io::Error) -> Self {
        Self::System(error.into())
    }
}

impl ExportString {
    /// Makes the region over a validated descriptor.
    fn region(self, descriptor: Owned, status: &Status) -> RegionInner {
        let mut region = RegionInner::received(descriptor, self.kind, status);
        region.copy_on_write = self.copy_on_write;
        region
    }

    /// Compares the status of a descriptor with this string.
    fn compare(self, status: Result<Status, Failure>) -> Result<Status, Mismatch> {
        let status = status.map_err(Mismatch::System)?;
        if status.identity != self.identity {
            return Err(Mismatch::OtherFile);
        }
        if status.size != self.size {
            return Err(Mismatch::Property("its size differs"));
        }
        validate(&status, self.kind).map_err(Mismatch::Property)?;
        Ok(status)
    }

    /// Validates the descriptor and passes it to `then`.
    fn validated<T>(self, then: impl FnOnce(Borrowed<'_>, Status) -> Result<T, Mismatch>) -> Result<T, Mismatch> {
        let validated = sys::look_at(self.number, |descriptor| {
            let status = self.compare(sys::status(descriptor));
            Ok(status.and_then(|status| then(descriptor, status)))
        });
        validated.map_err(|_| Mismatch::Closed)?
    }

    /// Returns the region over a duplicate of the descriptor.
    pub(crate) fn duplicate(self) -> Result<RegionInner, Mismatch> {
        // Validate before duplicating: closing the duplicate of another file would drop this process's record locks on it.
        let duplicate = self.validated(|descriptor, _| sys::duplicate(descriptor).map_err(Mismatch::from))?;
        // Validate the duplicate too: another thread may have replaced the descriptor in between.
        let status = self.compare(sys::status(&duplicate))?;
        Ok(self.region(duplicate, &status))
    }

    /// Validates the descriptor and sets close-on-exec, so that no later claim takes it over. Fails without a change if another
    /// thread replaces the descriptor meanwhile.
    pub(crate) fn reserve(self) -> Result<Reserved, Mismatch> {
        self.validated(|descriptor, status| {
            let was_close_on_exec = sys::is_close_on_exec(descriptor)?;
            sys::set_close_on_exec(descriptor, true)?;
            // Only the identity: whatever descriptor of this region has the number now, the kernel refuses what it doesn't allow.
            let replaced = match sys::identity(descriptor) {
                Ok(identity) if identity == self.identity => return Ok(Reserved { status, was_close_on_exec }),
                Ok(_) => Mismatch::Replaced,
                Err(failure) => failure.into(),
            };
            // It can only fail if the number is closed by now.
            let _ = sys::set_close_on_exec(descriptor, was_close_on_exec);
            Err(replaced)
        })
    }

    /// Returns the region over the descriptor itself.
    ///
    /// # Safety
    /// `reserved` is from `reserve`, and nothing else in this process owns the descriptor.
    pub(crate) unsafe fn take_over(self, reserved: &Reserved) -> RegionInner {
        // SAFETY: `reserve` found the descriptor open, and the caller guarantees that nothing else owns it.
        let descriptor = unsafe { sys::take_over(self.number) };
        // A forgotten export of the same number no longer owns it.
        forget_export(self.number);
        self.region(descriptor, &reserved.status)
    }

    /// Sets close-on-exec, unless a spawn of this process needs the descriptor inheritable at this moment.
    pub(crate) fn set_close_on_exec(self) -> Result<(), Mismatch> {
        let keep = |descriptor: Borrowed<'_>| Ok(sys::set_close_on_exec_unless_lent(descriptor, self.number)?);
        sys::look_at(self.number, keep).map_err(Mismatch::System)
    }

    /// Makes the error of a failed validation; `tried` says what failed.
    pub(crate) fn refused(self, tried: &str, mismatch: Mismatch) -> Error {
        let number = self.number;
        let (why, advice) = match mismatch {
            Mismatch::System(failure) => return Error::system(tried, failure),
            Mismatch::Closed => (
                format!("descriptor {number} is not open in this process"),
                "the exporting process must keep the export until the child has started",
            ),
            Mismatch::OtherFile => (format!("descriptor {number} is a different file"), ""),
            Mismatch::Replaced => (
                format!("another thread replaced descriptor {number} during the call"),
                "claim and import before other threads close descriptors that they did not open",
            ),
            Mismatch::Property(why) => (format!("descriptor {number} is not the exported region: {why}"), ""),
        };
        Error::advised(ErrorKind::Mismatch, format!("{tried}: {why}"), advice)
    }
}
