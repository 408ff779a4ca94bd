//! The memory behind `PRProcess`: what programs read of it, and what a signal handler needs to be safe.

#![allow(unsafe_code)]

use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::io::Errno;
use rustix::process::Pid;

use crate::reserved::Reserved;
use crate::sys;

/// What C holds of a process. Its address is never used for another one, and stays readable for ever, so whatever is
/// done with it when the process is long gone is refused.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct PRProcess {
    /// Programs look at this, for want of a function that tells it.
    pid: AtomicI32,
    /// `WAITABLE`, and how many are about to signal it; 0 once it is gone, and in memory never used.
    state: AtomicU32,
    /// Whose child it is: to a process that was forked off it is a stranger.
    parent: AtomicI32,
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
    pub(crate) fn new() -> Result<Self, Errno> {
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
    pub(crate) fn fill(self, pid: Pid) -> &'static PRProcess {
        let place = self.0;
        mem::forget(self);
        place.pid.store(pid.as_raw_nonzero().get(), Ordering::Relaxed);
        place.parent.store(sys::own_number(), Ordering::Relaxed);
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

/// Why nothing was sent.
pub(crate) enum NotKilled {
    /// It was waited for, or detached; or it never was a process.
    Gone,
    System(Errno),
}

impl PRProcess {
    /// The process that C means, if it ever was one. Takes no lock.
    pub(crate) fn at(address: *const Self) -> Option<&'static Self> {
        let address = address.addr();
        let place = address % SIZE == 0 && address % sys::page_size() != 0 && PAGES.contains(address);
        // SAFETY: It is a place on one of the pages, which are never unmapped, and zeros are a valid one.
        place.then(|| unsafe { &*ptr::with_exposed_provenance(address) })
    }

    /// Its number, while it can be waited for.
    pub(crate) fn pid(&self) -> Option<Pid> {
        let waitable = self.state.load(Ordering::Acquire) & WAITABLE != 0;
        if waitable && self.parent.load(Ordering::Relaxed) == sys::own_number() {
            Pid::from_raw(self.pid.load(Ordering::Relaxed))
        } else {
            None
        }
    }

    /// From now on nobody signals it, and only the caller may wait for it; `false` where somebody else had it first.
    /// The place may vanish.
    pub(crate) fn take(&self) -> bool {
        if self.state.fetch_and(!WAITABLE, Ordering::AcqRel) & WAITABLE == 0 {
            return false;
        }
        // Whoever is about to signal it has two system calls to make.
        while self.state.load(Ordering::Acquire) != 0 {
            thread::yield_now();
        }
        release(page_of(self));
        true
    }

    /// Ends it. A signal handler may do this at any time: no lock, no memory, and the number is surely its own, since
    /// whoever waits for it waits for this first.
    pub(crate) fn kill(&self) -> Result<(), NotKilled> {
        let add = |state| (state & WAITABLE != 0).then_some(state + 1);
        self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).map_err(|_| NotKilled::Gone)?;
        let sent = match self.pid() {
            // Others may have waited for it: a `wait` of the program's own, or the kernel, where SIGCHLD is ignored.
            Some(pid) => sys::kill_child(pid).map_err(|errno| match errno {
                Errno::SRCH => NotKilled::Gone,
                errno => NotKilled::System(errno),
            }),
            None => Err(NotKilled::Gone),
        };
        self.state.fetch_sub(1, Ordering::AcqRel);
        sent
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use super::*;

    /// A process that can be neither waited for nor signalled.
    fn nobody() -> &'static PRProcess {
        Place::new().unwrap().fill(Pid::from_raw(i32::MAX).unwrap())
    }

    #[test]
    fn whoever_waits_for_it_waits_for_those_about_to_signal_it() {
        let (process, sent) = (nobody(), AtomicBool::new(false));
        process.state.fetch_add(1, Ordering::AcqRel);
        thread::scope(|scope| {
            let taken = scope.spawn(|| {
                assert!(process.take());
                assert!(sent.load(Ordering::Acquire));
            });
            while process.pid().is_some() {
                thread::yield_now();
            }
            // From here on nobody new may signal it; this one still may.
            assert!(matches!(process.kill(), Err(NotKilled::Gone)));
            thread::sleep(Duration::from_millis(20));
            sent.store(true, Ordering::Release);
            process.state.fetch_sub(1, Ordering::AcqRel);
            taken.join().unwrap();
        });
    }

    #[test]
    fn it_is_taken_once_and_its_page_is_given_back_after_the_last() {
        let places = sys::page_size() / SIZE - 1;
        let all: Vec<_> = (0..3 * places).map(|_| nobody()).collect();
        assert!(all.iter().all(|process| process.take()));
        assert!(all.iter().all(|process| !process.take() && process.pid().is_none()));
        // The first pages are full and done with; the last may still be given out.
        assert!(all[..places].iter().all(|process| process.pid.load(Ordering::Relaxed) == 0));
        let another = nobody();
        assert!(all.iter().all(|process| !ptr::eq(*process, another)) && another.take());
    }

    #[test]
    fn only_a_place_is_taken_for_a_process() {
        let process = nobody();
        assert!(PRProcess::at(process).is_some_and(|found| ptr::eq(found, process)));
        let address = ptr::from_ref(process).addr();
        for nonsense in [0, 8, address + 1, address + 8, page_of(process), &raw const process as usize] {
            assert!(PRProcess::at(ptr::without_provenance(nonsense)).is_none(), "{nonsense:x}");
        }
        assert!(process.take());
    }
}
