//! Strings as the system takes them.

use std::ffi::OsStr;
use std::io;
use std::os::windows::ffi::OsStrExt;

use crate::sys::failure::{Failure, Reason, Result};

/// Returns the units of a string, with a NUL behind them.
pub(crate) fn string(text: &OsStr) -> Result<Vec<u16>> {
    let mut wide = without_nul(text.encode_wide())?;
    wide.push(0);
    Ok(wide)
}

pub(crate) fn without_nul(wide: impl Iterator<Item = u16>) -> Result<Vec<u16>> {
    let wide: Vec<u16> = wide.collect();
    if wide.contains(&0) {
        return Err(Failure::new(Reason::InteriorNul, io::ErrorKind::InvalidInput));
    }
    Ok(wide)
}
