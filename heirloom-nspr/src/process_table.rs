//! The memory of `PRProcess` objects, which programs may read and a signal handler may use.

#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::process;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::reserved::PROCESSES;
use crate::sys::{self, AtomicNumber, Child};

/// A started process. Its address is never reused and stays readable, so any use after the end of the process is
/// detected.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct PRProcess {
    /// The child's PID, on Windows its handle. Programs read it here, because NSPR has no function for it.
    child: AtomicNumber,
    /// `WAITABLE` plus the number of its users. 0 after the process is gone, and in unused memory.
    state: AtomicU32,
    /// The PID of the process that started it. In a process forked from that one, the child is not a child.
    parent: AtomicU32,
}

const WAITABLE: u32 = 1 << 31;

/// The first slot of each page: the number of its other slots in use, plus one while it is `NEXT`'s page.
struct Header {
    used: AtomicU32,
}

/// The page with free slots, and the offset of the next one.
static NEXT: Mutex<(usize, usize)> = Mutex::new((0, 0));

const SIZE: usize = mem::size_of::<PRProcess>();

/// A slot for a process that is about to be started.
pub(crate) struct Slot(&'static PRProcess);

impl Slot {
    pub(crate) fn new() -> io::Result<Self> {
        let mut next = NEXT.lock().unwrap_or_else(PoisonError::into_inner);
        let (page, offset) = *next;
        if page == 0 || offset == sys::page_size() {
            let fresh = PROCESSES.take(sys::page_size())?;
            header(fresh).used.store(1, Ordering::Relaxed);
            if page != 0 {
                release(page);
            }
            *next = (fresh, SIZE);
        }
        let (page, offset) = *next;
        next.1 += SIZE;
        header(page).used.fetch_add(1, Ordering::Relaxed);
        // SAFETY: The page is never unmapped, and zeros are a valid unused slot.
        Ok(Self(unsafe { &*ptr::with_exposed_provenance(page + offset) }))
    }

    /// Stores the started process.
    pub(crate) fn fill(self, child: Child) -> &'static PRProcess {
        let slot = self.0;
        mem::forget(self);
        slot.child.store(child.number(), Ordering::Relaxed);
        slot.parent.store(process::id(), Ordering::Relaxed);
        slot.state.store(WAITABLE, Ordering::Release);
        slot
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        release(page_of(self.0));
    }
}

fn page_of(slot: &PRProcess) -> usize {
    let address = ptr::from_ref(slot).addr();
    address - address % sys::page_size()
}

fn header(page: usize) -> &'static Header {
    // SAFETY: Each page of `PROCESSES` starts with a header, initially zero, and is never unmapped.
    unsafe { &*ptr::with_exposed_provenance(page) }
}

/// Releases one slot of a page.
fn release(page: usize) {
    if header(page).used.fetch_sub(1, Ordering::AcqRel) == 1 {
        // SAFETY: All slots of the page were used and released. Zeros mean the same: the process is gone.
        unsafe { sys::clear_page(ptr::with_exposed_provenance_mut(page)) };
    }
}

impl PRProcess {
    /// Returns the slot at an address, if it is one. Takes no lock.
    pub(crate) fn at(address: *const Self) -> Option<&'static Self> {
        let address = address.addr();
        let is_slot = address % SIZE == 0 && address % sys::page_size() != 0 && PROCESSES.contains(address);
        // SAFETY: It is a slot of a page that is never unmapped, and zeros are a valid slot.
        is_slot.then(|| unsafe { &*ptr::with_exposed_provenance(address) })
    }

    /// Returns the child while it can be waited for.
    fn child(&self) -> Option<Child> {
        let waitable = self.state.load(Ordering::Acquire) & WAITABLE != 0;
        if waitable && self.parent.load(Ordering::Relaxed) == process::id() {
            Child::of_number(self.child.load(Ordering::Relaxed))
        } else {
            None
        }
    }

    /// Runs `work` on the child, which keeps its number meanwhile: `take` waits for `work` to end, so it must be short.
    /// Returns `None` if the child was waited for or detached. It is safe in a signal handler: it takes no lock and
    /// allocates nothing.
    pub(crate) fn with_child<T>(&self, work: impl FnOnce(Child) -> T) -> Option<T> {
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            if state & WAITABLE == 0 {
                return None;
            }
            match self.state.compare_exchange_weak(state, state + 1, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break,
                Err(now) => state = now,
            }
        }
        let done = self.child().map(work);
        self.state.fetch_sub(1, Ordering::AcqRel);
        done
    }

    /// Takes the child for the caller alone. Returns `None` if another caller took it. The slot may then read as zero.
    pub(crate) fn take(&self) -> Option<Child> {
        let child = self.child()?;
        if self.state.fetch_and(!WAITABLE, Ordering::AcqRel) & WAITABLE == 0 {
            return None;
        }
        // Its users make only a few system calls.
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
    fn fake_process() -> &'static PRProcess {
        Slot::new().unwrap().fill(Child::of_number(0x7fff_fffc).unwrap())
    }

    #[test]
    fn take_waits_for_users() {
        let (process, done) = (fake_process(), AtomicBool::new(false));
        process.state.fetch_add(1, Ordering::AcqRel);
        thread::scope(|scope| {
            let taken = scope.spawn(|| {
                assert!(process.take().is_some());
                assert!(done.load(Ordering::Acquire));
            });
            while process.child().is_some() {
                thread::yield_now();
            }
            // No new user is admitted; this one may still use the child.
            assert!(process.with_child(|_| ()).is_none());
            thread::sleep(Duration::from_millis(20));
            done.store(true, Ordering::Release);
            process.state.fetch_sub(1, Ordering::AcqRel);
            taken.join().unwrap();
        });
    }

    #[test]
    fn take_works_once_and_the_last_one_frees_the_page() {
        let slots = sys::page_size() / SIZE - 1;
        let all: Vec<_> = (0..3 * slots).map(|_| fake_process()).collect();
        assert!(all.iter().all(|process| process.take().is_some()));
        assert!(all.iter().all(|process| process.take().is_none() && process.child().is_none()));
        // The first pages are freed; the last may still have free slots. Windows frees no page.
        assert!(cfg!(windows) || all[..slots].iter().all(|process| process.child.load(Ordering::Relaxed) == 0));
        let another = fake_process();
        assert!(all.iter().all(|process| !ptr::eq(*process, another)) && another.take().is_some());
    }

    #[test]
    fn only_slots_are_recognized() {
        let process = fake_process();
        assert!(PRProcess::at(process).is_some_and(|found| ptr::eq(found, process)));
        let address = ptr::from_ref(process).addr();
        for invalid in [0, 8, address + 1, address + 8, page_of(process), &raw const process as usize] {
            assert!(PRProcess::at(ptr::without_provenance(invalid)).is_none(), "{invalid:x}");
        }
        assert!(process.take().is_some());
    }
}
