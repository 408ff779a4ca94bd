//! The memory behind `PRProcess`: what programs read of it, and what a signal handler needs to be safe.

#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::process;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::reserved::Reserved;
use crate::sys::{self, AtomicNumber, Child};

/// What C holds of a process. Its address is never used for another one, and stays readable for ever, so whatever is
/// done with it when the process is long gone is refused.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct PRProcess {
    /// What the system knows the child by. Programs look at this, for want of a function that tells it.
    child: AtomicNumber,
    /// `WAITABLE`, and how many rely on its being so; 0 once it is gone, and in memory never used.
    state: AtomicU32,
    /// Whose child it is: to a process that was forked off it is a stranger.
    parent: AtomicU32,
}

const WAITABLE: u32 = 1 << 31;

/// The first place on each page: how many others on it are still needed, and one more while places are given out.
struct Header {
    needed: AtomicU32,
}

static PAGES: Reserved = Reserved::memory();

/// The page on which places are given out, and the next place on it.
static NEXT: Mutex<(usize, usize)> = Mutex::new((0, 0));

const SIZE: usize = mem::size_of::<PRProcess>();

/// A place for a process that is about to be started.
pub(crate) struct Place(&'static PRProcess);

impl Place {
    pub(crate) fn new() -> io::Result<Self> {
        let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
        let (page, offset) = *next;
        if page == 0 || offset == sys::page_size() {
            let fresh = PAGES.take(sys::page_size())?;
            header(fresh).needed.store(1, Ordering::Relaxed);
            if page != 0 {
                release(page);
            }
            *next = (fresh, SIZE);
        }
        let (page, offset) = *next;
        next.1 += SIZE;
        header(page).needed.fetch_add(1, Ordering::Relaxed);
        // SAFETY: It lies on a page of zeros, which is what an unused place is, and which is never unmapped.
        Ok(Self(unsafe { &*ptr::with_exposed_provenance(page + offset) }))
    }

    /// The process is there.
    pub(crate) fn fill(self, child: Child) -> &'static PRProcess {
        let place = self.0;
        mem::forget(self);
        place.child.store(child.number(), Ordering::Relaxed);
        place.parent.store(process::id(), Ordering::Relaxed);
        place.state.store(WAITABLE, Ordering::Release);
        place
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        release(page_of(self.0));
    }
}

fn page_of(place: &PRProcess) -> usize {
    let address = ptr::from_ref(place).addr();
    address - address % sys::page_size()
}

fn header(page: usize) -> &'static Header {
    // SAFETY: Each page of `PAGES` begins with one, all zeros at first, and none is ever unmapped.
    unsafe { &*ptr::with_exposed_provenance(page) }
}

/// One place on a page is needed no more.
fn release(page: usize) {
    if header(page).needed.fetch_sub(1, Ordering::AcqRel) == 1 {
        // SAFETY: All places on it were used and are done with; zeros say of each the same, that it is gone.
        unsafe { sys::clear_page(ptr::with_exposed_provenance_mut(page)) };
    }
}

/// Whether an address lies among the places of processes.
pub(crate) fn contains(address: usize) -> bool {
    PAGES.contains(address)
}

impl PRProcess {
    /// The process that C means, if it ever was one. Takes no lock.
    pub(crate) fn at(address: *const Self) -> Option<&'static Self> {
        let address = address.addr();
        let place = address % SIZE == 0 && address % sys::page_size() != 0 && PAGES.contains(address);
        // SAFETY: It is a place on one of the pages, which are never unmapped, and zeros are a valid one.
        place.then(|| unsafe { &*ptr::with_exposed_provenance(address) })
    }

    /// The child, while it can be waited for.
    fn child(&self) -> Option<Child> {
        let waitable = self.state.load(Ordering::Acquire) & WAITABLE != 0;
        if waitable && self.parent.load(Ordering::Relaxed) == process::id() {
            Child::of_number(self.child.load(Ordering::Relaxed))
        } else {
            None
        }
    }

    /// Does something short with the child, which is surely still this one: who waits for it waits for this first. `None`
    /// where it was waited for or detached. A signal handler may do this at any time: it takes no lock, and no memory.
    pub(crate) fn with_child<T>(&self, work: impl FnOnce(Child) -> T) -> Option<T> {
        let add = |state| (state & WAITABLE != 0).then_some(state + 1);
        self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).ok()?;
        let done = self.child().map(work);
        self.state.fetch_sub(1, Ordering::AcqRel);
        done
    }

    /// From now on the child is the caller's alone; `None` where somebody else had it first. The place may vanish.
    pub(crate) fn take(&self) -> Option<Child> {
        let child = self.child()?;
        if self.state.fetch_and(!WAITABLE, Ordering::AcqRel) & WAITABLE == 0 {
            return None;
        }
        // Whoever relies on it has a few system calls to make.
        while self.state.load(Ordering::Acquire) != 0 {
            thread::yield_now();
        }
        release(page_of(self));
        Some(child)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use super::*;

    /// A process that can be neither waited for nor signalled.
    fn nobody() -> &'static PRProcess {
        Place::new().unwrap().fill(Child::of_number(0x7fff_fffc).unwrap())
    }

    #[test]
    fn whoever_takes_it_waits_for_those_that_rely_on_it() {
        let (process, done) = (nobody(), AtomicBool::new(false));
        process.state.fetch_add(1, Ordering::AcqRel);
        thread::scope(|scope| {
            let taken = scope.spawn(|| {
                assert!(process.take().is_some());
                assert!(done.load(Ordering::Acquire));
            });
            while process.child().is_some() {
                thread::yield_now();
            }
            // From here on nobody new may rely on it; this one still may.
            assert!(process.with_child(|_| ()).is_none());
            thread::sleep(Duration::from_millis(20));
            done.store(true, Ordering::Release);
            process.state.fetch_sub(1, Ordering::AcqRel);
            taken.join().unwrap();
        });
    }

    #[test]
    fn it_is_taken_once_and_its_page_is_given_back_after_the_last() {
        let places = sys::page_size() / SIZE - 1;
        let all: Vec<_> = (0..3 * places).map(|_| nobody()).collect();
        assert!(all.iter().all(|process| process.take().is_some()));
        assert!(all.iter().all(|process| process.take().is_none() && process.child().is_none()));
        // The first pages are full and done with; the last may still be given out. Not every system takes a page back.
        assert!(cfg!(windows) || all[..places].iter().all(|process| process.child.load(Ordering::Relaxed) == 0));
        let another = nobody();
        assert!(all.iter().all(|process| !ptr::eq(*process, another)) && another.take().is_some());
    }

    #[test]
    fn only_a_place_is_taken_for_a_process() {
        let process = nobody();
        assert!(PRProcess::at(process).is_some_and(|found| ptr::eq(found, process)));
        let address = ptr::from_ref(process).addr();
        for nonsense in [0, 8, address + 1, address + 8, page_of(process), &raw const process as usize] {
            assert!(PRProcess::at(ptr::without_provenance(nonsense)).is_none(), "{nonsense:x}");
        }
        assert!(process.take().is_some());
    }
}
