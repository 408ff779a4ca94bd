//! Protocol two: a region as a string, see `docs/format.md`.

#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::object::{self, Object};
use crate::sys::{self, Borrowed, Failure, Identity, Memory, Owned, Status};
use crate::{Error, ErrorKind, RegionKind, Result, inheritance};

/// The version of the format behind the fields that NSPR knows.
const VERSION: u32 = 1;

/// What an export string says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExportString {
    pub(crate) number: i32,
    pub(crate) kind: RegionKind,
    /// It is to be mapped copy-on-write.
    pub(crate) copy_on_write: bool,
    /// Bytes.
    pub(crate) size: u64,
    pub(crate) identity: Identity,
}

/// Why a descriptor is not the region that a string describes.
pub(crate) enum Mismatch {
    Closed,
    AnotherFile,
    Flaw(&'static str),
    System(Failure),
}

impl ExportString {
    /// `memory` is the object's or a duplicate of it, and of that kind.
    pub(crate) fn new(memory: &Memory, object: &Object, kind: RegionKind) -> Result<Self, Failure> {
        let (copy_on_write, size, identity) = (object.copy_on_write, object.size(), memory.identity()?);
        Ok(Self { number: memory.number(), kind, copy_on_write, size, identity })
    }

    /// What NSPR would call it: 0 is `PR_PROT_READONLY`, 1 is `PR_PROT_READWRITE`, 2 is `PR_PROT_WRITECOPY`.
    fn protection(self) -> u8 {
        if self.copy_on_write { 2 } else { u8::from(matches!(self.kind, RegionKind::Writable | RegionKind::Unsealed)) }
    }

    /// The region that it names, over that descriptor.
    fn object(self, descriptor: Owned, status: &Status) -> Object {
        let mut object = Object::received(descriptor, self.kind, status);
        object.copy_on_write = self.copy_on_write;
        object
    }

    /// Whether that is the status of exactly that region.
    fn describes(self, status: Result<Status, Failure>) -> Result<Status, Mismatch> {
        let status = status.map_err(Mismatch::System)?;
        if status.identity != self.identity {
            Err(Mismatch::AnotherFile)
        } else if status.size != self.size {
            Err(Mismatch::Flaw("it has another size"))
        } else if let Some(flaw) = object::flaw(&status, self.kind) {
            Err(Mismatch::Flaw(flaw))
        } else {
            Ok(status)
        }
    }

    /// Does that with what is open under its number, which is exactly that region.
    fn check<T>(self, then: impl FnOnce(Borrowed<'_>, Status) -> io::Result<T>) -> Result<T, Mismatch> {
        let checked = sys::look_at(self.number, |descriptor| {
            let status = self.describes(sys::status(descriptor));
            Ok(status.and_then(|status| then(descriptor, status).map_err(|error| Mismatch::System(error.into()))))
        });
        checked.map_err(|_| Mismatch::Closed)?
    }

    /// The region, over a descriptor of its own.
    pub(crate) fn duplicate(self) -> Result<Object, Mismatch> {
        // Not before the check: to close a duplicate of some other file would drop the locks that this process holds on it.
        let duplicate = self.check(|descriptor, _| sys::duplicate(descriptor))?;
        // And after it: another thread may have put another file there meanwhile.
        let status = self.describes(sys::status(&duplicate))?;
        Ok(self.object(duplicate, &status))
    }

    /// Makes the descriptor close-on-exec, if it is exactly that region: from then on no claim takes it over.
    pub(crate) fn reserve(self) -> Result<Status, Mismatch> {
        self.check(|descriptor, status| sys::set_close_on_exec(descriptor, true).map(|()| status))
    }

    /// The region, over the descriptor that its number names.
    ///
    /// # Safety
    /// `status` is from `reserve`, and nothing else in this process owns the descriptor of that number.
    pub(crate) unsafe fn take_over(self, status: &Status) -> Object {
        // SAFETY: It was open when it was reserved, and that nothing else owns it is the caller's word.
        let descriptor = unsafe { sys::take_over(self.number) };
        // An export that was forgotten owns it no more.
        forget_export(self.number);
        self.object(descriptor, status)
    }

    fn set_close_on_exec(self) -> Result<(), Mismatch> {
        let keep = |descriptor: Borrowed<'_>| Ok(sys::set_close_on_exec_unless_lent(descriptor, self.number)?);
        sys::look_at(self.number, keep).map_err(Mismatch::System)
    }

    /// Says what `tried` failed for, on this string.
    pub(crate) fn refused(self, tried: &str, mismatch: Mismatch) -> Error {
        let number = self.number;
        let why = match mismatch {
            Mismatch::System(failure) => return Error::system(tried, failure),
            Mismatch::Closed => format!(
                "no descriptor {number} is open in this process; who exports a region keeps the export until the child \
                 is started"
            ),
            Mismatch::AnotherFile => format!("descriptor {number} is another file"),
            Mismatch::Flaw(flaw) => format!("descriptor {number} is not what was handed down: {flaw}"),
        };
        Error::new(ErrorKind::Mismatch, format!("{tried}: {why}"))
    }
}

impl fmt::Display for ExportString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity { device, inode } = self.identity;
        write!(f, "{}:{}:{VERSION}:{}:{}:{device}:{inode}", self.number, self.protection(), self.kind, self.size)
    }
}

impl FromStr for ExportString {
    type Err = Error;

    fn from_str(string: &str) -> Result<Self> {
        parse(string).ok_or_else(|| {
            let shown: String = string.chars().take(128).collect();
            let form = "descriptor:protection:version:kind:size:device:inode";
            Error::new(ErrorKind::Malformed, format!("cannot import {shown:?}: it is no export string ({form})"))
        })
    }
}

fn parse(string: &str) -> Option<ExportString> {
    let mut fields = string.split(':');
    let number = natural(fields.next()?)?;
    let protection: u8 = natural(fields.next()?)?;
    let version: u32 = natural(fields.next()?)?;
    let parsed = ExportString {
        number,
        kind: fields.next()?.parse().ok()?,
        copy_on_write: protection == 2,
        size: natural(fields.next()?)?,
        identity: Identity { device: natural(fields.next()?)?, inode: natural(fields.next()?)? },
    };
    // One string for each region: nothing else in the first fields, nothing behind the last.
    let sound = version == VERSION && protection == parsed.protection() && fields.next().is_none();
    (sound && (parsed.kind == RegionKind::Frozen || !parsed.copy_on_write)).then_some(parsed)
}

/// A number in its one spelling: no `+7`, no `007`, and none below 0.
fn natural<T: FromStr>(field: &str) -> Option<T> {
    let one_spelling = field == "0" || !field.starts_with(['0', '+', '-']);
    one_spelling.then(|| field.parse().ok())?
}

/// A region as a string, and the descriptor that the string names; from `export` or `export_inheritable` of a region.
///
/// The string is good for a child that inherits the descriptor under the same number, while this lives. It is shorter
/// than 128 bytes with C's NUL.
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

/// The numbers of all exports that live, which an import must leave as they are.
static EXPORTED: Mutex<Vec<i32>> = Mutex::new(Vec::new());

fn forget_export(number: i32) {
    EXPORTED.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != number);
}

/// Whether a descriptor belongs to an [`ExportedRegion`] of this process.
pub(crate) fn is_exported(number: i32) -> bool {
    EXPORTED.lock().unwrap_or_else(PoisonError::into_inner).contains(&number)
}

impl ExportedRegion {
    /// The string, for the child to import.
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

pub(crate) fn export(object: &Object, kind: RegionKind) -> Result<ExportedRegion> {
    export_over(object.memory.duplicate(), object, kind)
}

pub(crate) fn export_inheritable(object: &Object, kind: RegionKind) -> Result<ExportedRegion> {
    export_over(object.memory.duplicate_inheritable(), object, kind)
}

fn export_over(duplicate: io::Result<Memory>, object: &Object, kind: RegionKind) -> Result<ExportedRegion> {
    let exported = duplicate.map_err(Failure::from).and_then(|memory| {
        let string = ExportString::new(&memory, object, kind)?.to_string();
        Ok(ExportedRegion { memory, string })
    });
    let exported = exported.map_err(|failure| object.failed("export", failure))?;
    let number = exported.memory.number();
    EXPORTED.lock().unwrap_or_else(PoisonError::into_inner).push(number);
    Ok(exported)
}

/// Reads a string that names a region of the type `wanted`; `None` is any.
fn read(string: &str, wanted: Option<&str>) -> Result<ExportString> {
    let named: ExportString = string.parse()?;
    let has = named.kind.type_name();
    let Some(wanted) = wanted.filter(|wanted| *wanted != has) else { return Ok(named) };
    let message = format!("cannot import {string:?} as a {wanted}: it is {}", named.kind);
    Err(Error::advised(ErrorKind::WrongKind, message, format!("{has}::import takes it")))
}

pub(crate) fn import(string: &str, wanted: Option<&str>) -> Result<(Arc<Object>, RegionKind)> {
    inheritance::claim_quietly();
    let named = read(string, wanted)?;
    let refused = |mismatch| named.refused(&format!("cannot import the region {string:?}"), mismatch);
    let object = named.duplicate().map_err(refused)?;
    // Standard input, output and error are for children too, whatever they are.
    if !is_exported(named.number) && !sys::is_standard(named.number) {
        named.set_close_on_exec().map_err(refused)?;
    }
    Ok((Arc::new(object), named.kind))
}

/// # Safety
/// Nothing else in this process owns the descriptor of that number.
pub(crate) unsafe fn import_owned(string: &str, wanted: Option<&str>) -> Result<(Arc<Object>, RegionKind)> {
    let named = read(string, wanted)?;
    let refused = |mismatch| named.refused(&format!("cannot import the region {string:?}"), mismatch);
    // Before the claim, which duplicates what is close-on-exec: it must not take this number for itself.
    let status = named.reserve().map_err(refused)?;
    inheritance::claim_quietly();
    // SAFETY: Reserved just now; the rest is the caller's word.
    Ok((Arc::new(unsafe { named.take_over(&status) }), named.kind))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LARGEST: ExportString = ExportString {
        number: i32::MAX,
        kind: RegionKind::ReadOnly,
        copy_on_write: false,
        size: u64::MAX,
        identity: Identity { device: u64::MAX, inode: u64::MAX },
    };

    #[test]
    fn a_string_survives_the_way_there_and_back() {
        for kind in [RegionKind::Writable, RegionKind::Unsealed, RegionKind::ReadOnly, RegionKind::Frozen] {
            let string = ExportString { kind, ..LARGEST };
            assert_eq!(string.to_string().parse::<ExportString>().unwrap(), string);
        }
        let copies = ExportString { kind: RegionKind::Frozen, copy_on_write: true, ..LARGEST };
        assert_eq!(copies.to_string().parse::<ExportString>().unwrap(), copies);
    }

    #[test]
    fn the_longest_string_fits_128_bytes_with_its_nul() {
        assert!(LARGEST.to_string().len() < 128);
    }

    #[test]
    fn nothing_but_the_one_spelling_is_accepted() {
        let good = "5:1:1:writable:4096:1:42";
        assert!(good.parse::<ExportString>().is_ok());
        for bad in [
            "",
            ":",
            "5",
            "5:1",
            "5:1:1",
            "5:1:1:writable:4096:1",
            "5:1:1:writable:4096:1:42:",
            " 5:1:1:writable:4096:1:42",
            "5:1:1:writable:4096:1:42 ",
            "5:1:1:writable:4096:1:42\n",
            "5:1:1:writable:4096:1:42\0",
            "+5:1:1:writable:4096:1:42",
            "05:1:1:writable:4096:1:42",
            "-5:1:1:writable:4096:1:42",
            "-0:1:1:writable:4096:1:42",
            "5:0:1:writable:4096:1:42",
            "5:2:1:writable:4096:1:42",
            "5:1:2:writable:4096:1:42",
            "5:1::writable:4096:1:42",
            "5:1:1:Writable:4096:1:42",
            "5:1:1::4096:1:42",
            "5:1:1:frozen:4096:1:42",
            "5:3:1:frozen:4096:1:42",
            "5:2:1:published:4096:1:42",
            "5:1:1:writable:-1:1:42",
            "5:1:1:writable:0x10:1:42",
            "5:1:1:writable:18446744073709551616:1:42",
            "2147483648:1:1:writable:4096:1:42",
            "5:1:1:writable:4096:1:99999999999999999999",
            "5:1:1:writable:4096::42",
            "５:1:1:writable:4096:1:42",
        ] {
            let error = bad.parse::<ExportString>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Malformed, "{bad:?}");
        }
    }

    /// Any string of the format, and some that only look like it.
    fn strings() -> impl Strategy<Value = String> {
        let number = prop_oneof![any::<u64>().prop_map(|number| number.to_string()), "[+-]?0?[0-9]{1,20}"];
        let protection = prop_oneof!["[012]", "[0-9]?"];
        let version = prop_oneof![4 => Just("1"), 1 => Just("2")];
        let kind = prop_oneof![4 => "writable|unsealed|published|frozen", 1 => "[a-z]*"];
        let descriptor = prop_oneof![(0..i32::MAX).prop_map(|number| number.to_string()), "[+-]?0?[0-9]{1,11}"];
        (descriptor, protection, version, kind, number.clone(), number.clone(), number).prop_map(
            |(number, protection, version, kind, size, device, inode)| {
                format!("{number}:{protection}:{version}:{kind}:{size}:{device}:{inode}")
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn what_is_accepted_is_spelled_as_it_would_be_written(string in prop_oneof![strings(), any::<String>()]) {
            match string.parse::<ExportString>() {
                Ok(parsed) => prop_assert_eq!(parsed.to_string(), string),
                Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Malformed),
            }
        }

        #[test]
        fn whatever_is_exported_is_read_back(
            number in 0..=i32::MAX,
            kind in prop::sample::select(vec![RegionKind::Writable, RegionKind::Unsealed, RegionKind::ReadOnly, RegionKind::Frozen]),
            copy_on_write: bool,
            size: u64,
            device: u64,
            inode: u64,
        ) {
            let copy_on_write = copy_on_write && kind == RegionKind::Frozen;
            let exported = ExportString { number, kind, copy_on_write, size, identity: Identity { device, inode } };
            prop_assert_eq!(exported.to_string().parse::<ExportString>().ok(), Some(exported));
        }
    }
}
