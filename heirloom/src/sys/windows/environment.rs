//! Environment variables, whose names are case-insensitive.

#![allow(unsafe_code)]

use std::cmp::Ordering;
use std::env;
use std::ffi::{OsStr, OsString};
use std::os::windows::ffi::OsStrExt;

use windows_sys::Win32::Globalization::{CSTR_EQUAL, CSTR_LESS_THAN, CompareStringOrdinal};

use super::wide::without_nul;
use crate::sys::failure::Result;

/// Removes a variable from the environment.
#[allow(clippy::unnecessary_wraps)] // It can fail elsewhere.
pub(crate) fn remove_variable(name: &str) -> Result<()> {
    // SAFETY: On Windows the system guards the environment, so other threads may read it at the same time.
    unsafe { env::remove_var(name) };
    Ok(())
}

/// The name of an environment variable, compared as the system does.
#[derive(Clone, Debug)]
pub(crate) struct EnvKey {
    wide: Vec<u16>,
}

impl<T: AsRef<OsStr> + ?Sized> From<&T> for EnvKey {
    fn from(name: &T) -> Self {
        Self { wide: name.as_ref().encode_wide().collect() }
    }
}

impl Ord for EnvKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let len = |wide: &[u16]| i32::try_from(wide.len()).unwrap_or(i32::MAX);
        let (one, two) = (&self.wide, &other.wide);
        // SAFETY: Both pointers come with the length of their slice, capped at a smaller one.
        match unsafe { CompareStringOrdinal(one.as_ptr(), len(one), two.as_ptr(), len(two), 1) } {
            CSTR_EQUAL => Ordering::Equal,
            CSTR_LESS_THAN => Ordering::Less,
            _ => Ordering::Greater,
        }
    }
}

impl PartialOrd for EnvKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for EnvKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for EnvKey {}

impl PartialEq<str> for EnvKey {
    fn eq(&self, other: &str) -> bool {
        self.cmp(&Self::from(other)) == Ordering::Equal
    }
}

/// Returns this process's environment.
pub(crate) fn variables() -> impl Iterator<Item = (EnvKey, OsString)> {
    env::vars_os().map(|(name, value)| (EnvKey::from(&name), value))
}

/// Returns an environment as the system takes it: sorted by name, `name=value` with a NUL behind each, and a NUL at the end.
pub(crate) fn block(environment: &[(EnvKey, OsString)]) -> Result<Vec<u16>> {
    let mut sorted: Vec<_> = environment.iter().collect();
    sorted.sort_by(|one, two| one.0.cmp(&two.0));
    let mut block = Vec::new();
    for (name, value) in sorted {
        block.extend(without_nul(name.wide.iter().copied())?);
        block.push(u16::from(b'='));
        block.extend(without_nul(value.encode_wide())?);
        block.push(0);
    }
    // An empty environment has two NULs too.
    if block.is_empty() {
        block.push(0);
    }
    block.push(0);
    Ok(block)
}
