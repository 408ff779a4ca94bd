//! The fallback for other processors: every access is an atomic access to an aligned word of 8 bytes.
//!
//! A word may extend past the last byte, where the page, or a test's buffer, goes on.

use std::ptr;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicU64, fence};

const WORD: usize = size_of::<u64>();

/// Returns the word that holds the byte at `address`, and the byte's position in the word.
unsafe fn word<'a>(address: *const u8) -> (&'a AtomicU64, usize) {
    let offset = address.addr() % WORD;
    // SAFETY: The memory starts and ends on a multiple of 8, so the word lies within it, and only this module accesses it.
    let word = unsafe { AtomicU64::from_ptr(address.sub(offset).cast_mut().cast()) };
    (word, offset)
}

/// Loads relaxed and then fences: Rust allows only relaxed loads from read-only memory.
fn load_acquire(word: &AtomicU64) -> u64 {
    // A thread sanitizer doesn't see fences. Its tests have no read-only memory.
    if cfg!(heirloom_without_fences) {
        return word.load(Acquire);
    }
    let value = word.load(Relaxed);
    fence(Acquire);
    value
}

/// Calls `each(word, position in the word, bytes done, bytes in this word)` for every word of `len` bytes at `address`.
unsafe fn words(address: *const u8, len: usize, mut each: impl FnMut(&AtomicU64, usize, usize, usize)) {
    let mut done = 0;
    while done < len {
        // SAFETY: The byte is within the caller's range.
        let (word, offset) = unsafe { word(address.add(done)) };
        let part = (WORD - offset).min(len - done);
        each(word, offset, done, part);
        done += part;
    }
}

/// # Safety
/// `len` bytes can be read at `from` and written at `to`, which is private memory.
pub(super) unsafe fn copy_out(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: The caller keeps the contract above, and `done + part` never exceeds `len`.
    unsafe {
        words(from, len, |word, offset, done, part| {
            let bytes = word.load(Relaxed).to_ne_bytes();
            ptr::copy_nonoverlapping(bytes[offset..].as_ptr(), to.add(done), part);
        });
    }
}

/// # Safety
/// `len` bytes can be read at `from`, which is private memory, and written at `to`.
pub(super) unsafe fn copy_in(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: The caller keeps the contract above, and `done + part` never exceeds `len`.
    unsafe {
        words(to, len, |word, offset, done, part| {
            let put = |before: u64| {
                let mut bytes = before.to_ne_bytes();
                ptr::copy_nonoverlapping(from.add(done), bytes[offset..].as_mut_ptr(), part);
                u64::from_ne_bytes(bytes)
            };
            if part == WORD {
                word.store(put(0), Relaxed);
            } else {
                // The other bytes of the word belong to other writers, so retry until they are unchanged.
                let mut before = word.load(Relaxed);
                while let Err(now) = word.compare_exchange_weak(before, put(before), Relaxed, Relaxed) {
                    before = now;
                }
            }
        });
    }
}

/// Each function's `# Safety`: the address is aligned to 8 bytes and readable, and writable for the functions that write.
pub(super) mod u64 {
    use super::{Release, SeqCst, load_acquire, word};

    pub(in super::super) unsafe fn load(at: *const u64) -> u64 {
        // SAFETY: The caller keeps the contract above.
        load_acquire(unsafe { word(at.cast()) }.0)
    }

    pub(in super::super) unsafe fn store(at: *mut u64, value: u64) {
        // SAFETY: The caller keeps the contract above.
        unsafe { word(at.cast()) }.0.store(value, Release);
    }

    pub(in super::super) unsafe fn swap(at: *mut u64, value: u64) -> u64 {
        // SAFETY: The caller keeps the contract above.
        unsafe { word(at.cast()) }.0.swap(value, SeqCst)
    }

    pub(in super::super) unsafe fn compare_exchange(at: *mut u64, current: u64, new: u64) -> Result<u64, u64> {
        // SAFETY: The caller keeps the contract above.
        unsafe { word(at.cast()) }.0.compare_exchange(current, new, SeqCst, SeqCst)
    }

    pub(in super::super) unsafe fn fetch_add(at: *mut u64, value: u64) -> u64 {
        // SAFETY: The caller keeps the contract above.
        unsafe { word(at.cast()) }.0.fetch_add(value, SeqCst)
    }
}

/// Each function's `# Safety`: the address is aligned to 4 bytes and readable, and writable for the functions that write.
pub(super) mod u32 {
    use super::{SeqCst, load_acquire, word};

    const HALF: usize = size_of::<u32>();

    fn get(word: u64, offset: usize) -> u32 {
        let mut half = [0; HALF];
        half.copy_from_slice(&word.to_ne_bytes()[offset..offset + HALF]);
        u32::from_ne_bytes(half)
    }

    fn put(word: u64, offset: usize, value: u32) -> u64 {
        let mut bytes = word.to_ne_bytes();
        bytes[offset..offset + HALF].copy_from_slice(&value.to_ne_bytes());
        u64::from_ne_bytes(bytes)
    }

    /// Stores the result of `update`, unless it is `None`, and returns the previous value.
    unsafe fn update(at: *mut u32, mut update: impl FnMut(u32) -> Option<u32>) -> Result<u32, u32> {
        // SAFETY: The caller keeps the contract above.
        let (word, offset) = unsafe { word(at.cast()) };
        let mut before = word.load(SeqCst);
        loop {
            let value = get(before, offset);
            let new = update(value).ok_or(value)?;
            match word.compare_exchange_weak(before, put(before, offset, new), SeqCst, SeqCst) {
                Ok(_) => return Ok(value),
                Err(now) => before = now,
            }
        }
    }

    pub(in super::super) unsafe fn load(at: *const u32) -> u32 {
        // SAFETY: The caller keeps the contract above.
        let (word, offset) = unsafe { word(at.cast()) };
        get(load_acquire(word), offset)
    }

    pub(in super::super) unsafe fn store(at: *mut u32, value: u32) {
        // SAFETY: The caller keeps the contract above.
        unsafe { swap(at, value) };
    }

    pub(in super::super) unsafe fn swap(at: *mut u32, value: u32) -> u32 {
        // SAFETY: The caller keeps the contract above.
        let (Ok(before) | Err(before)) = unsafe { update(at, |_| Some(value)) };
        before
    }

    pub(in super::super) unsafe fn compare_exchange(at: *mut u32, current: u32, new: u32) -> Result<u32, u32> {
        // SAFETY: The caller keeps the contract above.
        unsafe { update(at, |before| (before == current).then_some(new)) }
    }

    pub(in super::super) unsafe fn fetch_add(at: *mut u32, value: u32) -> u32 {
        // SAFETY: The caller keeps the contract above.
        let (Ok(before) | Err(before)) = unsafe { update(at, |before| Some(before.wrapping_add(value))) };
        before
    }
}
