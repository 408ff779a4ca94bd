//! Systems without channels: all but Linux, Android and Windows. No end of a channel ever exists.

use std::io;
use std::time::Duration;

use super::failure::{Failure, Reason, Result};
use super::platform::{Borrowed, Owned, borrowed};
use super::status::{Heard, Identity, PipeEnd};

#[derive(Debug)]
pub(crate) struct Doorbell([Owned; 2]);

impl Doorbell {
    pub(crate) fn pair() -> Result<(Self, Self)> {
        Err(unsupported())
    }

    #[allow(clippy::unnecessary_wraps)] // Other systems may fail.
    pub(crate) fn received(pipes: [Owned; 2]) -> Result<Self> {
        Ok(Self(pipes))
    }

    pub(crate) fn descriptors(&self) -> [Borrowed<'_>; 2] {
        self.0.each_ref().map(borrowed)
    }

    #[allow(clippy::unused_self)] // Other systems need it.
    pub(crate) fn ring(&mut self) {}

    #[allow(clippy::unused_self)] // Other systems need it.
    pub(crate) fn wait(&mut self, _: Option<Duration>) -> Result<Heard> {
        Err(unsupported())
    }

    #[allow(clippy::unused_self)] // Other systems need it.
    pub(crate) fn heard(&mut self) -> Result<Heard> {
        Err(unsupported())
    }
}

pub(crate) fn pipe_status(_: Borrowed<'_>) -> Result<Option<(Identity, PipeEnd)>> {
    Err(unsupported())
}

fn unsupported() -> Failure {
    Failure::new(Reason::NoDoorbell, io::ErrorKind::Unsupported)
}
