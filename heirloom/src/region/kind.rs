use std::fmt;
use std::str::FromStr;

use crate::{Error, ErrorKind, Result};

/// What a holder of a region can do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RegionKind {
    /// Every holder can write: [`Region`](crate::Region). The command creates one for `--shared`.
    Writable,
    /// Every holder can write and change the size, since the kernel can't seal the file that holds the bytes:
    /// [`Region`](crate::Region) from
    /// [`RegionOptions::unsealed_file_in`](crate::RegionOptions::unsealed_file_in).
    Unsealed,
    /// Only mappings from before the conversion can write: [`ReadOnlyRegion`](crate::ReadOnlyRegion).
    ReadOnly,
    /// Nobody can write: [`FrozenRegion`](crate::FrozenRegion).
    Frozen,
    /// Every holder can write, and the kernel shows the bytes to nobody else: `os::linux::SecretRegion`. The command creates
    /// one for `--secret`.
    Secret,
}

impl RegionKind {
    pub(crate) const ALL: [Self; 5] = [Self::Writable, Self::Unsealed, Self::ReadOnly, Self::Frozen, Self::Secret];

    /// Returns the kind's word in an export string.
    ///
    /// ```
    /// assert_eq!(heirloom::RegionKind::Frozen.as_str(), "frozen");
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Writable => "writable",
            Self::Unsealed => "unsealed",
            Self::ReadOnly => "read-only",
            Self::Frozen => "frozen",
            Self::Secret => "secret",
        }
    }

    /// Returns the name of the type for regions of this kind.
    pub(crate) const fn type_name(self) -> &'static str {
        match self {
            Self::Writable | Self::Unsealed => "Region",
            Self::ReadOnly => "ReadOnlyRegion",
            Self::Frozen => "FrozenRegion",
            Self::Secret => "SecretRegion",
        }
    }
}

/// Parses a word that [`as_str`](RegionKind::as_str) returns; another one is [`ErrorKind::Malformed`].
///
/// ```
/// use heirloom::{ErrorKind, RegionKind};
///
/// assert_eq!("read-only".parse::<RegionKind>()?, RegionKind::ReadOnly);
/// assert_eq!("Frozen".parse::<RegionKind>().unwrap_err().kind(), ErrorKind::Malformed);
/// # Ok::<(), heirloom::Error>(())
/// ```
impl FromStr for RegionKind {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or_else(|| {
            let shown: String = word.chars().take(128).collect();
            let words = Self::ALL.map(Self::as_str).join(", ");
            Error::new(
                ErrorKind::Malformed,
                format!("cannot parse {shown:?} as a kind of region: expected one of {words}"),
            )
        })
    }
}

impl fmt::Display for RegionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
