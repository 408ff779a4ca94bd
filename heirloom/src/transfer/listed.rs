//! What the variable lists under a name.

use std::fmt;

use super::end_string::EndString;
use super::export_string::ExportString;

/// The string of a region, or of a channel's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    Region(ExportString),
    End(EndString),
}

impl Listed {
    pub(crate) fn parse(string: &str) -> Option<Self> {
        let region = string.parse().ok().map(Self::Region);
        region.or_else(|| EndString::parse(string).map(Self::End))
    }

    /// Returns the numbers of the descriptors that a child inherits.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = i32> + use<> {
        let (memory, pipes) = match self {
            Self::Region(region) => (region.number, None),
            Self::End(end) => (end.memory.number, Some([end.hears.number, end.rings.number])),
        };
        [memory].into_iter().chain(pipes.into_iter().flatten())
    }

    /// Returns the noun for messages.
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Self::Region(_) => "region",
            Self::End(end) => end.role.as_str(),
        }
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region(region) => region.fmt(f),
            Self::End(end) => end.fmt(f),
        }
    }
}
