use std::fmt;

/// What a holder of a region may do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Every holder writes: [`Region`](crate::Region).
    Writable,
    /// Every holder writes, in an unnamed file that the kernel can't seal, so that any holder can also change its
    /// size: [`Region`](crate::Region) from
    /// [`RegionOptions::unsealed_file_in`](crate::RegionOptions::unsealed_file_in).
    Unsealed,
    /// Only mappings from before write: [`ReadOnlyRegion`](crate::ReadOnlyRegion).
    Published,
    /// Nobody writes, ever: [`FrozenRegion`](crate::FrozenRegion).
    Frozen,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Writable, Self::Unsealed, Self::Published, Self::Frozen];

    /// The word for it in an export string.
    ///
    /// ```
    /// assert_eq!(heirloom::Kind::Frozen.as_str(), "frozen");
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Writable => "writable",
            Self::Unsealed => "unsealed",
            Self::Published => "published",
            Self::Frozen => "frozen",
        }
    }

    /// The type that takes it.
    pub(crate) const fn type_name(self) -> &'static str {
        match self {
            Self::Writable | Self::Unsealed => "Region",
            Self::Published => "ReadOnlyRegion",
            Self::Frozen => "FrozenRegion",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
