//! Systems without locks: all but Linux and Android. No owner of a lock ever exists.

use std::convert::Infallible;
use std::io;

use super::failure::{Failure, Reason, Result};
use super::platform::Borrowed;

pub(crate) struct LockOwner(Infallible);

impl LockOwner {
    pub(crate) fn new(_: Borrowed<'_>) -> Result<Self> {
        Err(Failure::new(Reason::NoLocks, io::ErrorKind::Unsupported))
    }

    pub(crate) fn number(&self) -> u32 {
        match self.0 {}
    }

    pub(crate) fn is_forked(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn is_alive(&self, _: u32) -> Result<bool> {
        match self.0 {}
    }
}
