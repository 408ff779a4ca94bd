//! Systems without channels: all but Linux and Android.

use std::io;
use std::time::Duration;

use super::failure::{Failure, Reason, Result};
use super::platform::{Borrowed, Owned};
use super::status::{Access, Heard, Identity};

/// It doesn't exist.
#[derive(Debug)]
pub(crate) enum Doorbell {}

impl Doorbell {
    pub(crate) fn pair() -> Result<(Self, Self)> {
        Err(Failure::new(Reason::NoDoorbell, io::ErrorKind::Unsupported))
    }

    pub(crate) fn received(_: [Owned; 2]) -> Result<Self> {
        Err(Failure::new(Reason::NoDoorbell, io::ErrorKind::Unsupported))
    }

    pub(crate) fn descriptors(&self) -> [Borrowed<'_>; 2] {
        match *self {}
    }

    pub(crate) fn ring(&self) {
        match *self {}
    }

    pub(crate) fn wait(&mut self, _: Option<Duration>) -> Result<Heard> {
        match *self {}
    }

    pub(crate) fn heard(&mut self) -> Result<Heard> {
        match *self {}
    }
}

pub(crate) fn pipe_status(_: Borrowed<'_>) -> Result<Option<(Identity, Access)>> {
    Err(Failure::new(Reason::NoDoorbell, io::ErrorKind::Unsupported))
}
