use std::fmt;
use std::sync::Arc;

use crate::region::RegionInner;
use crate::sys::{Borrowed, Doorbell};

/// What an end of a channel consists of, and what a child inherits.
pub(crate) struct EndParts {
    pub(crate) memory: Arc<RegionInner>,
    pub(crate) doorbell: Doorbell,
    pub(crate) role: Role,
}

impl EndParts {
    /// Returns the descriptors that a child needs.
    pub(crate) fn descriptors(&self) -> [Borrowed<'_>; 3] {
        let [hears, rings] = self.doorbell.descriptors();
        [self.memory.memory.lend(), hears, rings]
    }
}

/// Which end of a channel it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Sender,
    Receiver,
}

impl Role {
    pub(crate) const ALL: [Self; 2] = [Self::Sender, Self::Receiver];

    /// Returns the word in an export string.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Sender => "sender",
            Self::Receiver => "receiver",
        }
    }

    /// Returns the name of the type.
    pub(crate) const fn type_name(self) -> &'static str {
        match self {
            Self::Sender => "Sender",
            Self::Receiver => "Receiver",
        }
    }

    pub(crate) const fn peer(self) -> Self {
        match self {
            Self::Sender => Self::Receiver,
            Self::Receiver => Self::Sender,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
