//! A model of shared memory for loom, which runs a test in every interleaving of its threads: see `.ci/loom`.
//!
//! A test names the numbers by which its threads order their accesses. They are loom's atomics, with the orders that `access`
//! promises. All else is plain memory in units of 8 bytes, also where the code accesses it as a number: loom reports two
//! accesses to a unit, one of them a write, that nothing orders.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ptr;
use std::rc::Rc;

use loom::cell::UnsafeCell;
use loom::sync::atomic::AtomicU32;
use loom::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

const UNIT: usize = 8;

thread_local! {
    /// The memory of the execution that runs. Loom runs all threads of a test on the test's own.
    static MEMORY: RefCell<Option<Rc<Memory>>> = const { RefCell::new(None) };
}

struct Memory {
    start: usize,
    /// By their addresses.
    numbers: HashMap<usize, AtomicU32>,
    units: Vec<UnsafeCell<()>>,
}

/// Starts an execution, before its threads: the numbers at these offsets have these values, and all other bytes are 0.
///
/// # Safety
/// The `len` bytes at `start` can be written, and nothing else uses them yet.
pub(crate) unsafe fn begin(start: *mut u8, len: usize, numbers: &[(usize, u32)]) {
    // SAFETY: The caller keeps the contract above.
    unsafe { start.write_bytes(0, len) };
    let start = start.addr();
    let memory = Memory {
        start,
        numbers: numbers.iter().map(|(offset, number)| (start + offset, AtomicU32::new(*number))).collect(),
        units: (0..len.div_ceil(UNIT)).map(|_| UnsafeCell::new(())).collect(),
    };
    MEMORY.set(Some(Rc::new(memory)));
}

/// Returns what the kernel finds in a number, which orders nothing.
pub(crate) fn peek(at: *const u32) -> u32 {
    ordering(at, |number| number.load(Relaxed)).expect("a test names the numbers at which threads sleep")
}

fn memory() -> Rc<Memory> {
    MEMORY.with_borrow(Clone::clone).expect("a test begins with `begin`")
}

/// Runs `access` on a number, if it is one that orders.
fn ordering<T>(at: *const u32, access: impl FnOnce(&AtomicU32) -> T) -> Option<T> {
    memory().numbers.get(&at.addr()).map(access)
}

/// Tells loom of an access to plain memory.
fn plain(at: *const u8, len: usize, tell: impl Fn(&UnsafeCell<()>)) {
    let memory = memory();
    let first = at.addr() - memory.start;
    memory.units[first / UNIT..(first + len).div_ceil(UNIT)].iter().for_each(tell);
}

fn reads(unit: &UnsafeCell<()>) {
    unit.with(|_| ());
}

fn writes(unit: &UnsafeCell<()>) {
    unit.with_mut(|_| ());
}

/// # Safety
/// `len` bytes can be read at `from` and written at `to`, which is private memory.
pub(super) unsafe fn copy_out(from: *const u8, to: *mut u8, len: usize) {
    plain(from, len, reads);
    // SAFETY: The caller keeps the contract above, and loom runs one thread at a time.
    unsafe { ptr::copy_nonoverlapping(from, to, len) };
}

/// # Safety
/// `len` bytes can be read at `from`, which is private memory, and written at `to`.
pub(super) unsafe fn copy_in(from: *const u8, to: *mut u8, len: usize) {
    plain(to, len, writes);
    // SAFETY: As above.
    unsafe { ptr::copy_nonoverlapping(from, to, len) };
}

/// Each function's `# Safety`: the address is aligned to 4 bytes and readable, and writable for the functions that write.
pub(super) mod u32 {
    use super::{Acquire, Release, SeqCst, ordering, plain, reads, writes};

    pub(in super::super) unsafe fn load(at: *const u32) -> u32 {
        ordering(at, |number| number.load(Acquire)).unwrap_or_else(|| {
            plain(at.cast(), size_of::<u32>(), reads);
            // SAFETY: The caller keeps the contract above, and loom runs one thread at a time.
            unsafe { *at }
        })
    }

    pub(in super::super) unsafe fn store(at: *mut u32, value: u32) {
        ordering(at, |number| number.store(value, Release)).unwrap_or_else(|| {
            plain(at.cast(), size_of::<u32>(), writes);
            // SAFETY: As above.
            unsafe { *at = value };
        });
    }

    pub(in super::super) unsafe fn swap(at: *mut u32, value: u32) -> u32 {
        ordering(at, |number| number.swap(value, SeqCst)).expect(NAMED)
    }

    pub(in super::super) unsafe fn compare_exchange(at: *mut u32, current: u32, new: u32) -> Result<u32, u32> {
        ordering(at, |number| number.compare_exchange(current, new, SeqCst, SeqCst)).expect(NAMED)
    }

    pub(in super::super) unsafe fn fetch_add(at: *mut u32, value: u32) -> u32 {
        ordering(at, |number| number.fetch_add(value, SeqCst)).expect(NAMED)
    }

    const NAMED: &str = "a test names the numbers that more than one thread changes";
}

/// Neither a channel nor a lock has such numbers.
pub(super) mod u64 {
    pub(in super::super) unsafe fn load(_: *const u64) -> u64 {
        unimplemented!()
    }

    pub(in super::super) unsafe fn store(_: *mut u64, _: u64) {
        unimplemented!()
    }

    pub(in super::super) unsafe fn swap(_: *mut u64, _: u64) -> u64 {
        unimplemented!()
    }

    pub(in super::super) unsafe fn compare_exchange(_: *mut u64, _: u64, _: u64) -> Result<u64, u64> {
        unimplemented!()
    }

    pub(in super::super) unsafe fn fetch_add(_: *mut u64, _: u64) -> u64 {
        unimplemented!()
    }
}
