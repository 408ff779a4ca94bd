//! The format of export strings, specified in `docs/format.md`.

use std::fmt;
use std::str::FromStr;

use crate::region::{RegionInner, RegionKind};
use crate::sys::{Failure, Identity, Memory};
use crate::{Error, ErrorKind, Result};

/// The version of the format. It follows the two fields that NSPR reads.
const VERSION: u32 = 1;

/// A parsed export string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExportString {
    /// The number of the descriptor that the importing process inherits.
    pub(crate) number: i32,
    pub(crate) kind: RegionKind,
    /// The importing process should map it copy-on-write.
    pub(crate) copy_on_write: bool,
    /// Bytes.
    pub(crate) size: u64,
    pub(crate) identity: Identity,
}

impl ExportString {
    /// Describes a region over `memory`, which is the region's own memory or a duplicate.
    pub(crate) fn new(memory: &Memory, region: &RegionInner, kind: RegionKind) -> Result<Self, Failure> {
        let (copy_on_write, size, identity) = (region.copy_on_write, region.size(), memory.identity()?);
        Ok(Self { number: memory.number(), kind, copy_on_write, size, identity })
    }

    /// Returns NSPR's number for the protection: 0 is `PR_PROT_READONLY`, 1 is `PR_PROT_READWRITE`, 2 is `PR_PROT_WRITECOPY`.
    fn protection(self) -> u8 {
        let writable = matches!(self.kind, RegionKind::Writable | RegionKind::Unsealed | RegionKind::Secret);
        if self.copy_on_write { 2 } else { u8::from(writable) }
    }
}

impl ExportString {
    /// Writes the string with this word for the kind.
    pub(super) fn write(self, f: &mut fmt::Formatter<'_>, kind: &str) -> fmt::Result {
        let Identity { device, inode } = self.identity;
        write!(f, "{}:{}:{VERSION}:{kind}:{}:{device}:{inode}", self.number, self.protection(), self.size)
    }
}

impl fmt::Display for ExportString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, self.kind.as_str())
    }
}

impl FromStr for ExportString {
    type Err = Error;

    fn from_str(string: &str) -> Result<Self> {
        parse(string).ok_or_else(|| {
            let shown: String = string.chars().take(128).collect();
            let form = "descriptor:protection:version:kind:size:device:inode";
            Error::new(ErrorKind::Malformed, format!("cannot import {shown:?}: not an export string ({form})"))
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
    // Each region has exactly one string, so the redundant fields must agree and nothing may follow.
    let canonical = version == VERSION && protection == parsed.protection() && fields.next().is_none();
    (canonical && (parsed.kind == RegionKind::Frozen || !parsed.copy_on_write)).then_some(parsed)
}

/// Parses a number in its canonical spelling: no sign and no leading zero.
pub(super) fn natural<T: FromStr>(field: &str) -> Option<T> {
    let canonical = field == "0" || !field.starts_with(['0', '+', '-']);
    canonical.then(|| field.parse().ok())?
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
    fn strings_round_trip() {
        for kind in RegionKind::ALL {
            let string = ExportString { kind, ..LARGEST };
            assert_eq!(string.to_string().parse::<ExportString>().unwrap(), string);
        }
        let copies = ExportString { kind: RegionKind::Frozen, copy_on_write: true, ..LARGEST };
        assert_eq!(copies.to_string().parse::<ExportString>().unwrap(), copies);
    }

    #[test]
    fn longest_string_fits_128_bytes() {
        assert!(LARGEST.to_string().len() < 128);
    }

    #[test]
    fn accepts_only_canonical_spelling() {
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
            "5:2:1:read-only:4096:1:42",
            "5:0:1:secret:4096:1:42",
            "5:2:1:secret:4096:1:42",
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

    /// Export strings, and strings that almost are.
    fn strings() -> impl Strategy<Value = String> {
        let number = prop_oneof![any::<u64>().prop_map(|number| number.to_string()), "[+-]?0?[0-9]{1,20}"];
        let protection = prop_oneof!["[012]", "[0-9]?"];
        let version = prop_oneof![4 => Just("1"), 1 => Just("2")];
        let kind = prop_oneof![4 => "writable|unsealed|read-only|frozen|secret", 1 => "[a-z]*"];
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
        fn accepted_strings_are_canonical(string in prop_oneof![strings(), any::<String>()]) {
            match string.parse::<ExportString>() {
                Ok(parsed) => prop_assert_eq!(parsed.to_string(), string),
                Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Malformed),
            }
        }

        #[test]
        fn exported_strings_parse(
            number in 0..=i32::MAX,
            kind in prop::sample::select(RegionKind::ALL.to_vec()),
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
