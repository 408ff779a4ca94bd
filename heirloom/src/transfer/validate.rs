//! Validates the descriptors that a string names before anything uses them.

#![allow(unsafe_code)]

use std::io;

use super::end_string::NamedPipe;
use super::export_string::ExportString;
use super::exported::forget_export;
use crate::region::{RegionInner, validate};
use crate::sys::{self, Borrowed, Failure, Identity, Owned, PipeEnd, Status};
use crate::{Error, ErrorKind, Result};

/// What [`Named::reserve`] found.
pub(crate) struct Reserved<S> {
    pub(crate) status: S,
    /// The descriptor was close-on-exec before.
    pub(crate) was_close_on_exec: bool,
}

/// Why a descriptor is not what a string describes.
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

/// A descriptor that a string names, with what the string says about it.
pub(crate) trait Named: Copy {
    type Status;

    fn number(self) -> i32;

    fn identity(self) -> Identity;

    /// Checks that an open descriptor is what the string says.
    fn check(self, descriptor: Borrowed<'_>) -> Result<Self::Status, Mismatch>;

    /// Validates the descriptor and passes it to `then`.
    fn validated<T>(self, then: impl FnOnce(Borrowed<'_>, Self::Status) -> Result<T, Mismatch>) -> Result<T, Mismatch> {
        let validated = sys::look_at(self.number(), |descriptor| {
            Ok(self.check(descriptor).and_then(|status| then(descriptor, status)))
        });
        validated.map_err(|_| Mismatch::Closed)?
    }

    /// Returns a duplicate of the descriptor.
    fn duplicate(self) -> Result<(Owned, Self::Status), Mismatch> {
        // Validate before duplicating: closing the duplicate of another file would drop this process's record locks on it.
        let duplicate = self.validated(|descriptor, _| sys::duplicate(descriptor).map_err(Mismatch::from))?;
        // Validate the duplicate too: another thread may have replaced the descriptor in between.
        let status = self.check(sys::borrowed(&duplicate))?;
        Ok((duplicate, status))
    }

    /// Validates the descriptor and sets close-on-exec, so that no later claim takes it over. Fails without a change if another
    /// thread replaces the descriptor meanwhile.
    fn reserve(self) -> Result<Reserved<Self::Status>, Mismatch> {
        self.validated(|descriptor, status| {
            let was_close_on_exec = sys::is_close_on_exec(descriptor)?;
            sys::set_close_on_exec(descriptor, true)?;
            // Only the identity: whatever descriptor of this object has the number now, the kernel refuses what it doesn't allow.
            let replaced = match sys::identity(descriptor) {
                Ok(identity) if identity == self.identity() => return Ok(Reserved { status, was_close_on_exec }),
                Ok(_) => Mismatch::Replaced,
                Err(failure) => failure.into(),
            };
            // It can only fail if the number is closed by now.
            let _ = sys::set_close_on_exec(descriptor, was_close_on_exec);
            Err(replaced)
        })
    }

    /// Returns the descriptor itself.
    ///
    /// # Safety
    /// `reserve` has returned this status, and nothing else in this process owns the descriptor.
    unsafe fn take_over(self, status: Self::Status) -> (Owned, Self::Status) {
        // SAFETY: `reserve` found the descriptor open, and the caller guarantees that nothing else owns it.
        let descriptor = unsafe { sys::take_over(self.number()) };
        // A forgotten export of the same number no longer owns it.
        forget_export(self.number());
        (descriptor, status)
    }

    /// Sets close-on-exec, unless a spawn of this process needs the descriptor inheritable at this moment.
    fn set_close_on_exec(self) -> Result<(), Mismatch> {
        let keep = |descriptor: Borrowed<'_>| Ok(sys::set_close_on_exec_unless_lent(descriptor, self.number())?);
        sys::look_at(self.number(), keep).map_err(Mismatch::System)
    }

    /// Makes the error of a failed validation; `tried` says what failed.
    fn refused(self, tried: &str, mismatch: Mismatch) -> Error {
        let number = self.number();
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
            Mismatch::Property(why) => (format!("descriptor {number} is not what was exported: {why}"), ""),
        };
        Error::advised(ErrorKind::Mismatch, format!("{tried}: {why}"), advice)
    }
}

impl Named for ExportString {
    type Status = Status;

    fn number(self) -> i32 {
        self.number
    }

    fn identity(self) -> Identity {
        self.identity
    }

    fn check(self, descriptor: Borrowed<'_>) -> Result<Status, Mismatch> {
        let status = sys::status(descriptor)?;
        if status.identity != self.identity {
            return Err(Mismatch::OtherFile);
        }
        if status.size != self.size {
            return Err(Mismatch::Property("its size differs"));
        }
        validate(&status, self.kind).map_err(Mismatch::Property)?;
        Ok(status)
    }
}

impl ExportString {
    /// Makes the region over a validated descriptor.
    pub(crate) fn region(self, (descriptor, status): (Owned, Status)) -> RegionInner {
        let mut region = RegionInner::received(descriptor, self.kind, &status);
        region.copy_on_write = self.copy_on_write;
        region
    }
}

impl Named for NamedPipe {
    type Status = ();

    fn number(self) -> i32 {
        self.number
    }

    fn identity(self) -> Identity {
        self.identity
    }

    fn check(self, descriptor: Borrowed<'_>) -> Result<(), Mismatch> {
        let Some((identity, end)) = sys::pipe_status(descriptor)? else { return Err(Mismatch::OtherFile) };
        if identity != self.identity {
            return Err(Mismatch::OtherFile);
        }
        let wanted = if self.rings { PipeEnd::Rings } else { PipeEnd::Hears };
        if end == wanted { Ok(()) } else { Err(Mismatch::Property("it is another end of the pipe")) }
    }
}
