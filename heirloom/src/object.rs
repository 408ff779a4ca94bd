//! The kernel's object behind a handle, whatever its kind.

use std::fmt;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use crate::mapping::Pages;
use crate::sys::{self, Access, Failure, Memory, Owned, Protection, Status};
use crate::{ConvertError, Error, ErrorKind, RegionKind, Result, inheritance};

/// Memory, and what was checked of it once and can't change since.
pub struct Object {
    pub(crate) memory: Memory,
    /// Bytes.
    size: u64,
    /// Of what offsets of mappings must be multiples, in bytes.
    granule: u64,
    /// It is a file that can't be sealed.
    pub(crate) unsealed: bool,
    /// Each mapping of it faults all its pages in at once.
    pub(crate) populate: bool,
    /// Who it is handed down to is to map it copy-on-write.
    pub(crate) copy_on_write: bool,
}

impl Object {
    /// What was made a moment ago with that size.
    pub(crate) fn created(memory: Memory, size: u64, granule: u64) -> Self {
        Self { memory, size, granule, unsealed: false, populate: false, copy_on_write: false }
    }

    /// What somebody else made, and [`flaw`] found to be a region of that kind.
    pub(crate) fn received(descriptor: Owned, kind: RegionKind, status: &Status) -> Self {
        Self::over(Memory::received(descriptor, status), kind, status)
    }

    /// What the system says of memory that is a region of that kind.
    pub(crate) fn over(memory: Memory, kind: RegionKind, status: &Status) -> Self {
        Self { unsealed: kind == RegionKind::Unsealed, ..Self::created(memory, status.size, status.granule) }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn status(&self) -> Result<Status> {
        self.memory.status().map_err(|failure| self.failed("look at", failure))
    }

    pub(crate) fn make_read_only(&self) -> Result<()> {
        self.sealable(format_args!("cannot make {self} read-only"))?;
        self.memory
            .make_read_only()
            .map_err(|failure| Error::system(format_args!("cannot make {self} read-only"), failure))
    }

    /// Freezes; what is frozen already stays so.
    pub(crate) fn freeze(&self) -> Result<()> {
        self.sealable(format_args!("cannot freeze {self}"))?;
        match self.memory.freeze() {
            // Every seal that matters, not the one that stood in the way: another holder may have set a few.
            Err(failure) if flaw(&self.status()?, RegionKind::Frozen).is_some() => Err(self.failed("freeze", failure)),
            _ => Ok(()),
        }
    }

    fn sealable(&self, tried: fmt::Arguments<'_>) -> Result<()> {
        if self.unsealed {
            let message = format!("{tried}: it is a file in a directory, which has no seals");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        Ok(())
    }

    pub(crate) fn map(&self, protection: Protection) -> Result<Pages> {
        let len = usize::try_from(self.size).ok().filter(|len| isize::try_from(*len).is_ok());
        let len = len.ok_or_else(|| {
            let message = format!("cannot map {self} whole: it is larger than the address space; map parts of it");
            Error::new(ErrorKind::OutOfMemory, message)
        })?;
        if len == 0 {
            return Ok(Pages::empty());
        }
        self.map_checked(0, len, protection)
    }

    pub(crate) fn map_range(&self, range: impl RangeBounds<u64>, protection: Protection) -> Result<Pages> {
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
        // No region is so large that a bound beyond 64 bits is inside of it.
        let (start, end) = (start.unwrap_or(u64::MAX), end.unwrap_or(u64::MAX));
        let refused =
            |kind, why: &str| Err(Error::new(kind, format!("cannot map bytes {start} to {end} of {self}: {why}")));
        if start >= end {
            return refused(ErrorKind::InvalidInput, "the range is empty");
        }
        if start % self.granule != 0 {
            return refused(ErrorKind::Misaligned, &format!("the start is not a multiple of {} bytes", self.granule));
        }
        let len = usize::try_from(end - start).ok().filter(|len| isize::try_from(*len).is_ok());
        match len {
            Some(len) if end <= self.size => self.map_checked(start, len, protection),
            _ => refused(ErrorKind::OutOfBounds, "it ends behind the region's end"),
        }
    }

    fn map_checked(&self, offset: u64, len: usize, protection: Protection) -> Result<Pages> {
        // The kernel maps and unmaps whole granules; of huge pages, munmap(2) takes nothing else.
        let whole = usize::try_from(self.granule).ok().and_then(|granule| len.checked_next_multiple_of(granule));
        let whole = whole.unwrap_or(len);
        let view = self.memory.map(offset, whole, protection, self.populate);
        Ok(Pages::new(view.map_err(|failure| self.failed("map", failure))?, len))
    }

    /// The same over another descriptor, close-on-exec.
    pub(crate) fn another(&self) -> Result<Self> {
        let memory = self.memory.duplicate().map_err(|error| self.failed("duplicate", error.into()))?;
        Ok(Self { memory, ..*self })
    }

    pub(crate) fn debug(&self, f: &mut fmt::Formatter<'_>, region: &str, kind: RegionKind) -> fmt::Result {
        f.debug_struct(region)
            .field("name", &self.memory.debug_name())
            .field("size", &self.size)
            .field("kind", &kind)
            .finish()
    }

    pub(crate) fn failed(&self, tried: &str, failure: Failure) -> Error {
        Error::system(format_args!("cannot {tried} {self}"), failure)
    }
}

/// Makes an object of a descriptor from elsewhere, or gives it back.
pub(crate) fn receive(descriptor: Owned, kind: RegionKind) -> Result<Object, ConvertError<Owned>> {
    let tried = "cannot take a descriptor for a region";
    let refused = match sys::status(&descriptor) {
        Err(failure) => Error::system(tried, failure),
        Ok(status) => match flaw(&status, kind) {
            Some(flaw) => Error::new(ErrorKind::Mismatch, format!("{tried}: {flaw}")),
            None if kind == RegionKind::Writable && status.seals.new_writers => {
                let message = format!("{tried}: it was published or frozen");
                Error::advised(ErrorKind::WrongKind, message, "ReadOnlyRegion or FrozenRegion takes it")
            }
            None => match sys::set_close_on_exec(&descriptor, true) {
                Ok(()) => {
                    // Only now: the claim duplicates what is close-on-exec, and so leaves this one to its owner.
                    inheritance::claim_quietly();
                    return Ok(Object::received(descriptor, kind, &status));
                }
                Err(error) => Error::system(tried, error.into()),
            },
        },
    };
    Err(ConvertError::new(refused, descriptor))
}

/// The descriptor of an object, or a duplicate where other handles need it.
pub(crate) fn give_up(object: Arc<Object>) -> Result<Owned> {
    let object = Arc::try_unwrap(object).or_else(|shared| shared.another())?;
    Ok(object.memory.into())
}

/// The kind that has all the seals that are there.
pub(crate) fn kind_of(status: &Status) -> RegionKind {
    let kinds = [RegionKind::Frozen, RegionKind::ReadOnly];
    kinds.into_iter().find(|kind| flaw(status, *kind).is_none()).unwrap_or(RegionKind::Writable)
}

/// What keeps an object of that status from being a region of that kind.
pub(crate) fn flaw(status: &Status, kind: RegionKind) -> Option<&'static str> {
    let writable = matches!(kind, RegionKind::Writable | RegionKind::Unsealed);
    if !status.unnamed || status.access == Access::None {
        Some("it is no memory without a name")
    } else if writable && status.access != Access::ReadWrite {
        Some("it was opened for reading only")
    } else if kind == RegionKind::Unsealed {
        // Where seals could be, their absence is no choice of the creator's.
        (status.sealable || status.seals.size).then_some("it is memory with seals, or could have them")
    } else if !status.seals.size {
        Some("the seals that fix its size are missing")
    } else if kind == RegionKind::ReadOnly && !status.seals.new_writers {
        Some("the seal against new writers is missing")
    } else if kind == RegionKind::Frozen && !status.seals.writing {
        Some("the seal against writing is missing")
    } else {
        None
    }
}

/// For messages: `region "frames" of 4096 bytes`.
impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.memory.debug_name() {
            Some(name) => write!(f, "region {name:?} of {} bytes", self.size),
            None => write!(f, "a region of {} bytes", self.size),
        }
    }
}
