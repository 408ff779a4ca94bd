//! Descriptors that are inheritable during a spawn.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::failure::Result;
use super::platform::{Borrowed, number_of, set_close_on_exec};

/// The numbers of the descriptors that a spawn has made inheritable.
static LENT: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// Holds back every other call that makes descriptors inheritable, or sets close-on-exec on imported ones.
pub(crate) type LentGuard = MutexGuard<'static, Vec<i32>>;

pub(crate) fn lent() -> LentGuard {
    LENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets close-on-exec, unless a spawn needs the descriptor inheritable at this moment: the spawn sets it afterwards.
pub(crate) fn set_close_on_exec_unless_lent(descriptor: Borrowed<'_>, number: i32) -> io::Result<()> {
    let lent = lent();
    if lent.contains(&number) { Ok(()) } else { set_close_on_exec(descriptor, true) }
}

/// Makes descriptors inheritable to every child until it is dropped.
pub(crate) struct Inheritable<'a>(&'a [Borrowed<'a>]);

impl<'a> Inheritable<'a> {
    pub(crate) fn new(pass: &'a [Borrowed<'a>]) -> Result<Self> {
        lent().extend(pass.iter().map(number_of));
        let this = Self(pass);
        for descriptor in pass {
            set_close_on_exec(descriptor, false)?;
        }
        Ok(this)
    }
}

impl Drop for Inheritable<'_> {
    fn drop(&mut self) {
        for descriptor in self.0 {
            // It can't fail on an open descriptor.
            let _ = set_close_on_exec(descriptor, true);
        }
        lent().retain(|number| !self.0.iter().any(|descriptor| number_of(descriptor) == *number));
    }
}
