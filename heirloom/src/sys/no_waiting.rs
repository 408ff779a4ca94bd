//! Systems that can't wait for a number that another process changes: NetBSD, and Windows, whose `WaitOnAddress` works inside a
//! process only.

use std::io;
use std::time::Duration;

use super::failure::{Failure, Reason, Result};
use super::status::Wake;

pub(crate) fn wait_while(_: *mut u32, _: u32, _: Duration) -> Result<()> {
    Err(Failure::new(Reason::NoWaiting, io::ErrorKind::Unsupported))
}

pub(crate) fn wake(_: *mut u32, _: Wake) -> Result<()> {
    Err(Failure::new(Reason::NoWaiting, io::ErrorKind::Unsupported))
}
