//! A model of the owners of locks. An owner dies when it is dropped, as it does when its process ends.

use std::cell::RefCell;
use std::os::fd::BorrowedFd;
use std::rc::Rc;

use loom::sync::Mutex;

use super::futex::tell_of_death;
use crate::sys::failure::Result;

thread_local! {
    static OWNERS: RefCell<Option<Rc<Mutex<Vec<State>>>>> = const { RefCell::new(None) };
}

#[derive(PartialEq)]
enum State {
    Lives,
    Died,
}

pub(crate) struct LockOwner {
    number: u32,
}

pub(super) fn begin() {
    OWNERS.set(Some(Rc::default()));
}

fn owners() -> Rc<Mutex<Vec<State>>> {
    OWNERS.with_borrow(Clone::clone).expect("a test begins with `begin`")
}

/// Returns the index of the owner with a number. The smallest number is 1.
fn index(number: u32) -> usize {
    number as usize - 1
}

impl LockOwner {
    pub(crate) fn new(_: BorrowedFd<'_>) -> Result<Self> {
        let owners = owners();
        let mut owners = owners.lock().unwrap();
        owners.push(State::Lives);
        Ok(Self { number: u32::try_from(owners.len()).unwrap() })
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    pub(crate) fn is_forked(&self) -> bool {
        false
    }

    pub(crate) fn is_alive(&self, number: u32) -> Result<bool> {
        // The kernel doesn't tell a description of its own locks.
        if number == self.number {
            return Ok(true);
        }
        Ok(owners().lock().unwrap().get(index(number)) == Some(&State::Lives))
    }
}

impl Drop for LockOwner {
    fn drop(&mut self) {
        owners().lock().unwrap()[index(self.number)] = State::Died;
        tell_of_death();
    }
}
