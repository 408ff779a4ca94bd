//! The shared state behind every handle of a region.

use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use super::kind::RegionKind;
use crate::mapping::MappingInner;
use crate::sys::{Access, Failure, Memory, Owned, Protection, Status};
use crate::{Error, ErrorKind, Result};

/// The kernel's memory, and the properties that were validated once and can't change.
pub struct RegionInner {
    pub(crate) memory: Memory,
    /// Bytes.
    size: u64,
    /// The alignment of mapping offsets, in bytes.
    granularity: u64,
    pub(crate) backing: Backing,
    /// Every mapping faults in all its pages at once.
    pub(crate) populate: bool,
    /// A process that imports the region should map it copy-on-write.
    pub(crate) copy_on_write: bool,
}

/// What holds the bytes of a region.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backing {
    /// Memory that can be sealed.
    Sealable,
    /// A file that can't be sealed.
    File,
    /// Memory that the kernel shows to its holders only.
    Secret,
}

impl Backing {
    fn of(kind: RegionKind) -> Self {
        match kind {
            RegionKind::Writable | RegionKind::ReadOnly | RegionKind::Frozen => Self::Sealable,
            RegionKind::Unsealed => Self::File,
            RegionKind::Secret => Self::Secret,
        }
    }
}

impl RegionInner {
    /// Wraps memory that this process created and that can be sealed.
    pub(crate) fn created(memory: Memory, size: u64, granularity: u64) -> Self {
        Self { memory, size, granularity, backing: Backing::Sealable, populate: false, copy_on_write: false }
    }

    /// Wraps a descriptor that [`validate`] accepted.
    pub(crate) fn received(descriptor: Owned, kind: RegionKind, status: &Status) -> Self {
        Self::with_status(Memory::received(descriptor, status), kind, status)
    }

    /// Wraps memory with the size and granularity that the system reports.
    pub(crate) fn with_status(memory: Memory, kind: RegionKind, status: &Status) -> Self {
        Self { backing: Backing::of(kind), ..Self::created(memory, status.size, status.granularity) }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn status(&self) -> Result<Status> {
        self.memory.status().map_err(|failure| self.failed("get the status of", failure))
    }

    pub(crate) fn make_read_only(&self) -> Result<()> {
        self.check_sealable(format_args!("cannot make {self} read-only"))?;
        let sealed = self.memory.make_read_only();
        sealed.map_err(|failure| Error::system(format_args!("cannot make {self} read-only"), failure))
    }

    /// Freezes the region; succeeds if it is frozen already.
    pub(crate) fn freeze(&self) -> Result<()> {
        self.check_sealable(format_args!("cannot freeze {self}"))?;
        match self.memory.freeze() {
            // Another holder may have frozen it, so check for all seals and not for the one that failed.
            Err(failure) if validate(&self.status()?, RegionKind::Frozen).is_err() => {
                Err(self.failed("freeze", failure))
            }
            _ => Ok(()),
        }
    }

    fn check_sealable(&self, tried: fmt::Arguments<'_>) -> Result<()> {
        if self.backing == Backing::File {
            let message = format!("{tried}: it is a file in a directory, which can't be sealed");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        Ok(())
    }

    pub(crate) fn map(&self, protection: Protection) -> Result<MappingInner> {
        let len = usize::try_from(self.size).ok().filter(|len| isize::try_from(*len).is_ok());
        let len = len.ok_or_else(|| {
            let message = format!("cannot map {self} whole: it exceeds the address space");
            Error::advised(ErrorKind::OutOfMemory, message, "map a range of it")
        })?;
        if len == 0 {
            return Ok(MappingInner::empty());
        }
        self.map_checked(0, len, protection)
    }

    pub(crate) fn map_range(&self, range: impl RangeBounds<u64>, protection: Protection) -> Result<MappingInner> {
        let start = match range.start_bound() {
            Bound::Included(start) => Some(*start),
            Bound::Excluded(before) => before.checked_add(1),
            Bound::Unbounded => Some(0),
        };
        let end = match range.end_bound() {
            Bound::Included(last) => last.checked_add(1),
            Bound::Excluded(end) => Some(*end),
            Bound::Unbounded => Some(self.size),
        };
        // A bound of 2^64 is outside every region, and so is this one.
        let (start, end) = (start.unwrap_or(u64::MAX), end.unwrap_or(u64::MAX));
        let refused =
            |kind, why: &str| Err(Error::new(kind, format!("cannot map bytes {start} to {end} of {self}: {why}")));
        if start > self.size {
            return refused(ErrorKind::OutOfBounds, "the range starts behind the region's end");
        }
        if start >= end {
            return refused(ErrorKind::InvalidInput, "the range is empty");
        }
        if start % self.granularity != 0 {
            return refused(
                ErrorKind::Misaligned,
                &format!("the start is not a multiple of {} bytes", self.granularity),
            );
        }
        match usize::try_from(end - start) {
            Ok(len) if end <= self.size && isize::try_from(len).is_ok() => self.map_checked(start, len, protection),
            _ => refused(ErrorKind::OutOfBounds, "the range exceeds the region or the address space"),
        }
    }

    fn map_checked(&self, offset: u64, len: usize, protection: Protection) -> Result<MappingInner> {
        // The kernel maps and unmaps whole pages; munmap(2) of huge pages takes no other length.
        let granularity = usize::try_from(self.granularity).unwrap_or(usize::MAX);
        let whole = len.checked_next_multiple_of(granularity).unwrap_or(len);
        let view = self.memory.map(offset, whole, protection, self.populate);
        Ok(MappingInner::new(view.map_err(|failure| self.failed("map", failure))?, len, granularity))
    }

    /// Returns the same region over a duplicate descriptor, close-on-exec.
    pub(crate) fn duplicate(&self) -> Result<Self> {
        let memory = self.memory.duplicate().map_err(|error| self.failed("duplicate", error.into()))?;
        Ok(Self { memory, ..*self })
    }

    /// Returns the descriptor, or a duplicate if other handles need it.
    pub(crate) fn into_descriptor(self: Arc<Self>) -> Result<Owned> {
        let this = Arc::try_unwrap(self).or_else(|shared| shared.duplicate())?;
        Ok(this.memory.into())
    }

    pub(crate) fn debug(&self, f: &mut fmt::Formatter<'_>, region: &str, kind: RegionKind) -> fmt::Result {
        f.debug_struct(region)
            .field("name", &self.memory.debug_name())
            .field("size", &self.size)
            .field("kind", &kind)
            .finish()
    }

    /// Makes the error of a system call; `tried` is a verb.
    pub(crate) fn failed(&self, tried: &str, failure: Failure) -> Error {
        Error::system(format_args!("cannot {tried} {self}"), failure)
    }
}

/// Formats the region for messages: `region "frames" of 4096 bytes`.
impl fmt::Display for RegionInner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.memory.debug_name() {
            _ if self.backing == Backing::Secret => write!(f, "a secret region of {} bytes", self.size),
            Some(name) => write!(f, "region {name:?} of {} bytes", self.size),
            None => write!(f, "a region of {} bytes", self.size),
        }
    }
}

/// Returns the strictest kind whose seals are present.
pub(crate) fn kind_of(status: &Status) -> RegionKind {
    let kinds = [RegionKind::Frozen, RegionKind::ReadOnly];
    kinds.into_iter().find(|kind| validate(status, *kind).is_ok()).unwrap_or(RegionKind::Writable)
}

/// Checks that memory of this status is a region of this kind; the error says what is wrong.
pub(crate) fn validate(status: &Status, kind: RegionKind) -> Result<(), &'static str> {
    if kind == RegionKind::Secret {
        return validate_secret(status);
    }
    let writable = matches!(kind, RegionKind::Writable | RegionKind::Unsealed);
    Err(if status.secret {
        "it is secret memory"
    } else if !status.unnamed || status.access == Access::None {
        "it is not anonymous memory"
    } else if writable && status.access != Access::ReadWrite {
        "it was opened read-only"
    } else if kind == RegionKind::Unsealed {
        // Memory that can be sealed must be sealed: its creator did not choose an unsealed file.
        if !(status.sealable || status.seals.size) {
            return Ok(());
        }
        "it is memory that has seals or accepts them"
    } else if !status.seals.size {
        "the seals against changing its size are missing"
    } else if kind == RegionKind::ReadOnly && !status.seals.new_writers {
        "the seal against new writers is missing"
    } else if kind == RegionKind::Frozen && !status.seals.writing {
        "the seal against writing is missing"
    } else {
        return Ok(());
    })
}

fn validate_secret(status: &Status) -> Result<(), &'static str> {
    Err(if !status.secret {
        "it is not secret memory"
    } else if status.access != Access::ReadWrite {
        "it was not opened for reading and writing"
    } else if status.size == 0 {
        // The kernel lets any holder set it, once.
        "its size is not set"
    } else {
        return Ok(());
    })
}
