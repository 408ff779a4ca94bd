//! Reading and writing memory that other processes write.
//!
//! # Memory model
//! Rust calls it undefined when two threads use the same bytes at once, one of them writing, unless both use atomics of
//! the same size. Another process keeps no such rule, and a caller in this one may well copy eight bytes where another
//! thread adds to a 32-bit counter. So no safe call here is an access in Rust's sense:
//!
//! - On x86-64 and aarch64 each is a piece of inline assembly. What happens when two of them meet is the processor's
//!   word, and the processor leaves nothing undefined: each aligned load or store of up to 8 bytes is one whole, each
//!   byte has one order of writes that everybody agrees on.
//! - Elsewhere each is made of atomics of one single size, 8 bytes, on aligned words; what is smaller is cut out of the
//!   word, and put into it by compare and exchange.
//!
//! What a caller gets from that, in this process and across processes:
//!
//! | call | one whole | order |
//! | --- | --- | --- |
//! | `load`, `load_u32`, `load_u64` | yes | acquire |
//! | `store` | yes | release |
//! | `swap`, `compare_exchange`, `update`, `fetch_…` | yes | sequentially consistent |
//! | `read_at`, `write_at`, values | no: a copy may mix bytes from before and after another's write | none |
//!
//! Copies order nothing by themselves, and the fences of [`std::sync::atomic`] order them as they order atomics: see the
//! sequence lock in `examples/sequence_lock.rs`.
//!
//! A value that another process may write at any time is only data: check it after it was copied out, never before.

#![allow(unsafe_code)]

use std::fmt;
use std::ptr::NonNull;
use std::slice;

use crate::{Error, ErrorKind, Result};

#[cfg(all(target_arch = "aarch64", target_pointer_width = "64", not(any(miri, heirloom_portable))))]
#[path = "aarch64.rs"]
mod arch;
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64", not(any(miri, heirloom_portable))))]
#[path = "x86_64.rs"]
mod arch;
#[cfg(any(
    miri,
    heirloom_portable,
    not(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_pointer_width = "64"))
))]
#[path = "portable.rs"]
mod arch;

/// The fallback beside the assembly, for the tests that compare the two.
#[cfg(test)]
#[allow(clippy::duplicate_mod)] // Where it is what this machine uses, it is there twice.
mod portable;

#[cfg(test)]
mod tests;

/// Bytes that other processes may write at any time, and this one only reads.
///
/// A [`ReadOnlyMapping`](crate::ReadOnlyMapping) shows its region as these. Offsets count from the mapping's start, in
/// bytes.
pub struct ReadOnlyBytes {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: The bytes belong to no thread, and every safe call is sound beside any other, see the memory model.
unsafe impl Send for ReadOnlyBytes {}
// SAFETY: As above.
unsafe impl Sync for ReadOnlyBytes {}

impl ReadOnlyBytes {
    /// How many bytes there are.
    ///
    /// ```
    /// assert_eq!(heirloom::Region::create(5000)?.map()?.len(), 5000);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    ///
    /// ```
    /// assert!(!heirloom::Region::create(1)?.map()?.is_empty());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first byte's address, for code that knows how to read what others write.
    ///
    /// ```
    /// let region = heirloom::Region::create(4096)?;
    /// let view = region.map()?;
    /// // SAFETY: No other process has the region yet.
    /// assert_eq!(unsafe { view.as_ptr().read_volatile() }, 0);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        self.start.as_ptr()
    }

    /// Copies the bytes from `offset` on into `into`, all of it.
    ///
    /// Bytes that somebody writes meanwhile may arrive old or new, each for itself.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfBounds`]: it would pass the end; `into` is unchanged.
    ///
    /// ```
    /// let view = heirloom::Region::create(4096)?.map()?;
    /// let mut header = [1; 16];
    /// view.read_at(0, &mut header)?;
    /// assert_eq!(header, [0; 16]);
    /// assert!(view.read_at(4090, &mut header).is_err());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[inline]
    pub fn read_at(&self, offset: usize, into: &mut [u8]) -> Result<()> {
        let from = self.at(offset, into.len(), 1)?;
        // SAFETY: `at` checked the shared side, and `into` is a whole slice of this process's own.
        unsafe { arch::copy_out(from, into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    /// Loads the 32-bit number at `offset`, in this machine's byte order, as one whole; acquire.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfBounds`], [`ErrorKind::Misaligned`]: `offset` must be a multiple of 4.
    ///
    /// ```
    /// let (region, writer) = heirloom::Region::create(4096)?.into_read_only()?;
    /// writer.atomic_u32(4)?.store(1);
    /// assert_eq!(region.map()?.load_u32(4)?, 1);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[inline]
    pub fn load_u32(&self, offset: usize) -> Result<u32> {
        let at = self.at(offset, 4, 4)?;
        // SAFETY: `at` checked bounds and alignment.
        Ok(unsafe { arch::u32::load(at.cast()) })
    }

    /// Loads the 64-bit number at `offset`, in this machine's byte order, as one whole; acquire.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfBounds`], [`ErrorKind::Misaligned`]: `offset` must be a multiple of 8.
    ///
    /// ```
    /// let (region, writer) = heirloom::Region::create(4096)?.into_read_only()?;
    /// writer.atomic_u64(8)?.store(1 << 40);
    /// assert_eq!(region.map()?.load_u64(8)?, 1 << 40);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[inline]
    pub fn load_u64(&self, offset: usize) -> Result<u64> {
        let at = self.at(offset, 8, 8)?;
        // SAFETY: `at` checked bounds and alignment.
        Ok(unsafe { arch::u64::load(at.cast()) })
    }

    /// The bytes as a slice, for a caller who knows that nobody writes.
    ///
    /// # Safety
    /// Nobody, in this process or another, writes any of these bytes while the slice lives.
    ///
    /// ```
    /// let view = heirloom::Region::create(4096)?.map()?;
    /// // SAFETY: No other process has the region, and this one doesn't write meanwhile.
    /// let bytes = unsafe { view.as_slice() };
    /// assert!(bytes.iter().all(|byte| *byte == 0));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub unsafe fn as_slice(&self) -> &[u8] {
        // SAFETY: The bytes live as long as `self`; that nobody writes is the caller's word.
        unsafe { slice::from_raw_parts(self.as_ptr(), self.len) }
    }

    /// Copies a value of a plain type out from `offset` on, which need not be aligned.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfBounds`]: it would pass the end.
    ///
    /// ```
    /// let view = heirloom::Region::create(4096)?.map()?;
    /// view.write_value(3, &[1_u16, 2, 3])?;
    /// assert_eq!(view.read_value::<[u16; 3]>(3)?, [1, 2, 3]);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[cfg(feature = "zerocopy")]
    #[inline]
    pub fn read_value<T: zerocopy::FromBytes>(&self, offset: usize) -> Result<T> {
        let from = self.at(offset, size_of::<T>(), 1)?;
        let mut value = std::mem::MaybeUninit::<T>::uninit();
        // SAFETY: `at` checked the shared side; the value is as large, and any bytes make a `T`, as its trait says.
        unsafe {
            arch::copy_out(from, value.as_mut_ptr().cast(), size_of::<T>());
            Ok(value.assume_init())
        }
    }

    /// The address of `len` bytes at `offset`, if they are all there and aligned.
    #[inline]
    fn at(&self, offset: usize, len: usize, align: usize) -> Result<*mut u8> {
        if offset.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(self.outside(offset, len));
        }
        if offset % align != 0 {
            return Err(misaligned(offset, align));
        }
        // SAFETY: `offset` was checked to lie inside, or at the end for no bytes.
        Ok(unsafe { self.start.as_ptr().add(offset) })
    }

    #[cold]
    fn outside(&self, offset: usize, len: usize) -> Error {
        let message = format!(
            "cannot reach {len} bytes at offset {offset} of a mapping of {} bytes: that passes its end",
            self.len
        );
        Error::new(ErrorKind::OutOfBounds, message)
    }
}

#[cold]
fn misaligned(offset: usize, align: usize) -> Error {
    let message = format!("cannot reach a number at offset {offset}: it must be a multiple of {align}");
    Error::new(ErrorKind::Misaligned, message)
}

/// Bytes that this process and others may write at any time.
///
/// A [`Mapping`](crate::Mapping) shows its region as these. Reading is as with [`ReadOnlyBytes`]. Every safe call may
/// meet any other at the same bytes, in this process or another: the [memory model](crate#memory-model) says what comes
/// of it.
pub struct SharedBytes(ReadOnlyBytes);

impl std::ops::Deref for SharedBytes {
    type Target = ReadOnlyBytes;

    #[inline]
    fn deref(&self) -> &ReadOnlyBytes {
        &self.0
    }
}

impl SharedBytes {
    /// # Safety
    /// `start` is a multiple of 8. From there to the next multiple of 8 at or after `len` bytes there is memory for as
    /// long as this object lives, and Rust's own loads and stores don't use it meanwhile. Only readable memory will do
    /// for an object that is lent out as [`ReadOnlyBytes`] alone.
    pub(crate) const unsafe fn new(start: NonNull<u8>, len: usize) -> Self {
        Self(ReadOnlyBytes { start, len })
    }

    pub(crate) fn start(&self) -> NonNull<u8> {
        self.0.start
    }

    /// The first byte's address, for code that knows how to share memory with others.
    ///
    /// ```
    /// let view = heirloom::Region::create(4096)?.map()?;
    /// // SAFETY: No other process has the region yet.
    /// unsafe { view.as_mut_ptr().write_volatile(1) };
    /// assert_eq!(view.load_u32(0)?.to_ne_bytes(), [1, 0, 0, 0]);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn as_mut_ptr(&self) -> *mut u8 {
        self.0.start.as_ptr()
    }

    /// Copies `from` to the bytes from `offset` on.
    ///
    /// Somebody who reads meanwhile may see each byte old or new.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfBounds`]: it would pass the end; nothing was written.
    ///
    /// ```
    /// let view = heirloom::Region::create(4096)?.map()?;
    /// view.write_at(4091, b"hello")?;
    /// assert!(view.write_at(4092, b"hello").is_err());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[inline]
    pub fn write_at(&self, offset: usize, from: &[u8]) -> Result<()> {
        let to = self.at(offset, from.len(), 1)?;
        // SAFETY: `at` checked the shared side, and `from` is a whole slice of this process's own.
        unsafe { arch::copy_in(from.as_ptr(), to, from.len()) };
        Ok(())
    }

    /// The 32-bit number at `offset`, to be used by several processes at once.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfBounds`], [`ErrorKind::Misaligned`]: `offset` must be a multiple of 4.
    ///
    /// ```
    /// let view = heirloom::Region::create(4096)?.map()?;
    /// let jobs = view.atomic_u32(16)?;
    /// assert_eq!(jobs.fetch_add(3), 0);
    /// assert_eq!(jobs.load(), 3);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[inline]
    pub fn atomic_u32(&self, offset: usize) -> Result<SharedU32<'_>> {
        let at = self.at(offset, 4, 4)?;
        Ok(SharedU32(at.cast(), std::marker::PhantomData))
    }

    /// The 64-bit number at `offset`, to be used by several processes at once.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfBounds`], [`ErrorKind::Misaligned`]: `offset` must be a multiple of 8.
    ///
    /// ```
    /// let view = heirloom::Region::create(4096)?.map()?;
    /// let total = view.atomic_u64(0)?;
    /// total.store(1 << 40);
    /// assert_eq!(total.compare_exchange(1 << 40, 0), Ok(1 << 40));
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[inline]
    pub fn atomic_u64(&self, offset: usize) -> Result<SharedU64<'_>> {
        let at = self.at(offset, 8, 8)?;
        Ok(SharedU64(at.cast(), std::marker::PhantomData))
    }

    /// The bytes as a slice to write, for a caller who knows that nobody else uses them.
    ///
    /// # Safety
    /// Nobody else, in this process or another, reads or writes any of these bytes while the slice lives.
    ///
    /// ```
    /// let view = heirloom::Region::create(4096)?.map()?;
    /// // SAFETY: No other process has the region, and this is its only use in this one.
    /// unsafe { view.as_mut_slice() }.fill(7);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    #[allow(clippy::mut_from_ref)] // The bytes are shared by their nature; that this slice isn't is the caller's word.
    pub unsafe fn as_mut_slice(&self) -> &mut [u8] {
        // SAFETY: The bytes live as long as `self`; that nobody else uses them is the caller's word.
        unsafe { slice::from_raw_parts_mut(self.as_mut_ptr(), self.len()) }
    }

    /// Copies a value of a plain type to the bytes from `offset` on, which need not be aligned.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfBounds`]: it would pass the end; nothing was written.
    ///
    /// ```
    /// let view = heirloom::Region::create(4096)?.map()?;
    /// view.write_value(4088, &7_u64)?;
    /// assert_eq!(view.load_u64(4088)?, 7);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[cfg(feature = "zerocopy")]
    #[inline]
    pub fn write_value<T: zerocopy::IntoBytes + zerocopy::Immutable + ?Sized>(
        &self,
        offset: usize,
        value: &T,
    ) -> Result<()> {
        self.write_at(offset, value.as_bytes())
    }
}

/// Tells where it is and how long, never the bytes.
impl fmt::Debug for ReadOnlyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadOnlyBytes").field("address", &self.start).field("len", &self.len).finish()
    }
}

/// Tells where it is and how long, never the bytes.
impl fmt::Debug for SharedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBytes").field("address", &self.start()).field("len", &self.len()).finish()
    }
}

/// The two sizes of number differ in nothing but their size.
macro_rules! shared_number {
    ($shared:ident, $number:ident, $getter:ident, $bits:literal) => {
        #[doc = concat!("A ", $bits, "-bit number that several processes use at once.")]
        ///
        /// Each operation is one whole for everybody, whatever else is done to the same bytes. `load` is acquire and
        /// `store` release: who loads what another stored sees all that the other wrote before. The others are
        /// sequentially consistent.
        ///
        /// ```
        /// # let view = heirloom::Region::create(4096)?.map()?;
        #[doc = concat!("let number = view.", stringify!($getter), "(8)?;")]
        /// assert_eq!(number.fetch_add(3), 0);
        /// assert_eq!(number.load(), 3);
        /// # Ok::<(), heirloom::Error>(())
        /// ```
        #[derive(Clone, Copy)]
        pub struct $shared<'a>(*mut $number, std::marker::PhantomData<&'a SharedBytes>);

        // SAFETY: Every call is sound beside any other, see the memory model.
        unsafe impl Send for $shared<'_> {}
        // SAFETY: As above.
        unsafe impl Sync for $shared<'_> {}

        impl $shared<'_> {
            /// The value; acquire.
            ///
            /// ```
            /// # let view = heirloom::Region::create(4096)?.map()?;
            #[doc = concat!("let number = view.", stringify!($getter), "(8)?;")]
            /// assert_eq!(number.load(), 0);
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            #[must_use]
            #[inline]
            pub fn load(self) -> $number {
                // SAFETY: `SharedBytes` checked bounds and alignment when it made this.
                unsafe { arch::$number::load(self.0) }
            }

            /// Sets the value; release.
            ///
            /// ```
            /// # let view = heirloom::Region::create(4096)?.map()?;
            #[doc = concat!("let number = view.", stringify!($getter), "(8)?;")]
            /// number.store(7);
            /// assert_eq!(number.load(), 7);
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            #[inline]
            pub fn store(self, value: $number) {
                // SAFETY: `SharedBytes` checked bounds and alignment when it made this.
                unsafe { arch::$number::store(self.0, value) };
            }

            /// Sets the value and gives the one before.
            ///
            /// ```
            /// # let view = heirloom::Region::create(4096)?.map()?;
            #[doc = concat!("let number = view.", stringify!($getter), "(8)?;")]
            /// assert_eq!(number.swap(7), 0);
            /// assert_eq!(number.load(), 7);
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            #[inline]
            pub fn swap(self, value: $number) -> $number {
                // SAFETY: `SharedBytes` checked bounds and alignment when it made this.
                unsafe { arch::$number::swap(self.0, value) }
            }

            /// Sets the value to `new` if it is `current`, and gives the one before: as `Ok` if it was set.
            ///
            /// # Errors
            /// The value, which is not `current`.
            ///
            /// ```
            /// # let view = heirloom::Region::create(4096)?.map()?;
            #[doc = concat!("let number = view.", stringify!($getter), "(8)?;")]
            /// assert_eq!(number.compare_exchange(0, 7), Ok(0));
            /// assert_eq!(number.compare_exchange(0, 8), Err(7));
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            #[inline]
            pub fn compare_exchange(self, current: $number, new: $number) -> Result<$number, $number> {
                // SAFETY: `SharedBytes` checked bounds and alignment when it made this.
                unsafe { arch::$number::compare_exchange(self.0, current, new) }
            }

            /// Adds, wrapping around, and gives the value before.
            ///
            /// ```
            /// # let view = heirloom::Region::create(4096)?.map()?;
            #[doc = concat!("let number = view.", stringify!($getter), "(8)?;")]
            /// assert_eq!(number.fetch_add(7), 0);
            /// assert_eq!(number.load(), 7);
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            #[inline]
            pub fn fetch_add(self, value: $number) -> $number {
                // SAFETY: `SharedBytes` checked bounds and alignment when it made this.
                unsafe { arch::$number::fetch_add(self.0, value) }
            }

            /// Subtracts, wrapping around, and gives the value before.
            ///
            /// ```
            /// # let view = heirloom::Region::create(4096)?.map()?;
            #[doc = concat!("let number = view.", stringify!($getter), "(8)?;")]
            /// number.store(7);
            /// assert_eq!(number.fetch_sub(2), 7);
            /// assert_eq!(number.load(), 5);
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            #[inline]
            pub fn fetch_sub(self, value: $number) -> $number {
                self.fetch_add(value.wrapping_neg())
            }

            /// Sets the value to what `update` makes of it, and gives the one before; `update` may be called again
            /// where somebody else was faster.
            ///
            /// ```
            /// # let view = heirloom::Region::create(4096)?.map()?;
            #[doc = concat!("let number = view.", stringify!($getter), "(8)?;")]
            /// number.store(7);
            /// assert_eq!(number.update(|before| before * 3), 7);
            /// assert_eq!(number.load(), 21);
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            #[inline]
            pub fn update(self, update: impl Fn($number) -> $number) -> $number {
                let mut before = self.load();
                loop {
                    match self.compare_exchange(before, update(before)) {
                        Ok(before) => return before,
                        Err(now) => before = now,
                    }
                }
            }

            /// Keeps the bits that are also in `value`, and gives the value before.
            ///
            /// ```
            /// # let view = heirloom::Region::create(4096)?.map()?;
            #[doc = concat!("let number = view.", stringify!($getter), "(8)?;")]
            /// number.store(0b110);
            /// assert_eq!(number.fetch_and(0b011), 0b110);
            /// assert_eq!(number.load(), 0b010);
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            #[inline]
            pub fn fetch_and(self, value: $number) -> $number {
                self.update(|before| before & value)
            }

            /// Sets the bits that are in `value`, and gives the value before.
            ///
            /// ```
            /// # let view = heirloom::Region::create(4096)?.map()?;
            #[doc = concat!("let number = view.", stringify!($getter), "(8)?;")]
            /// number.store(0b110);
            /// assert_eq!(number.fetch_or(0b011), 0b110);
            /// assert_eq!(number.load(), 0b111);
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            #[inline]
            pub fn fetch_or(self, value: $number) -> $number {
                self.update(|before| before | value)
            }

            /// Flips the bits that are in `value`, and gives the value before.
            ///
            /// ```
            /// # let view = heirloom::Region::create(4096)?.map()?;
            #[doc = concat!("let number = view.", stringify!($getter), "(8)?;")]
            /// number.store(0b110);
            /// assert_eq!(number.fetch_xor(0b011), 0b110);
            /// assert_eq!(number.load(), 0b101);
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            #[inline]
            pub fn fetch_xor(self, value: $number) -> $number {
                self.update(|before| before ^ value)
            }

            /// Sets the larger of the two, and gives the value before.
            ///
            /// ```
            /// # let view = heirloom::Region::create(4096)?.map()?;
            #[doc = concat!("let number = view.", stringify!($getter), "(8)?;")]
            /// number.store(7);
            /// assert_eq!(number.fetch_max(9), 7);
            /// assert_eq!(number.load(), 9);
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            #[inline]
            pub fn fetch_max(self, value: $number) -> $number {
                self.update(|before| before.max(value))
            }

            /// Sets the smaller of the two, and gives the value before.
            ///
            /// ```
            /// # let view = heirloom::Region::create(4096)?.map()?;
            #[doc = concat!("let number = view.", stringify!($getter), "(8)?;")]
            /// number.store(7);
            /// assert_eq!(number.fetch_min(5), 7);
            /// assert_eq!(number.load(), 5);
            /// # Ok::<(), heirloom::Error>(())
            /// ```
            #[inline]
            pub fn fetch_min(self, value: $number) -> $number {
                self.update(|before| before.min(value))
            }
        }

        /// Tells where it is, never the value.
        impl fmt::Debug for $shared<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($shared)).field(&self.0).finish()
            }
        }
    };
}

shared_number!(SharedU32, u32, atomic_u32, "32");
shared_number!(SharedU64, u64, atomic_u64, "64");
