//! Reads and writes memory that other processes write at the same time.
//!
//! # Memory model
//! In Rust, two concurrent accesses to the same bytes, one of them a write, are undefined behaviour unless both are atomics
//! of the same size. Other processes don't keep that rule, and safe callers in this process may copy eight bytes while
//! another thread increments a 32-bit counter among them. So no safe call here is an access in Rust's memory model:
//!
//! - On x86-64 and aarch64 each access is inline assembly. The processor defines what concurrent accesses do: an aligned
//!   load or store of up to 8 bytes is never torn, and all observers agree on the order of the writes to a byte.
//! - On other processors each access consists of atomics of 8 bytes on aligned words. Smaller values are extracted from
//!   the word, and inserted by compare-and-exchange.
//!
//! Both in this process and across processes:
//!
//! | call | atomic | order |
//! | --- | --- | --- |
//! | `load`, `load_u32`, `load_u64` | yes | acquire |
//! | `store` | yes | release |
//! | `swap`, `compare_exchange`, `update`, `fetch_…` | yes | sequentially consistent |
//! | `read_at`, `write_at`, typed values | no: a copy may mix bytes from before and after a concurrent write | none |
//!
//! Copies order nothing by themselves; the fences of [`std::sync::atomic`] order them as they order atomics. The example
//! `sequence_lock` shows it.

#![allow(unsafe_code)]

use std::fmt;
use std::ptr::NonNull;
use std::slice;

use crate::{Error, ErrorKind, Result};

#[cfg(all(target_arch = "aarch64", target_pointer_width = "64", not(any(miri, heirloom_portable, heirloom_loom))))]
#[path = "aarch64.rs"]
mod arch;
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64", not(any(miri, heirloom_portable, heirloom_loom))))]
#[path = "x86_64/mod.rs"]
mod arch;
#[cfg(all(
    any(
        miri,
        heirloom_portable,
        not(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_pointer_width = "64"))
    ),
    not(heirloom_loom)
))]
#[path = "portable.rs"]
mod arch;
#[cfg(heirloom_loom)]
#[path = "modelled.rs"]
mod arch;

/// The fallback, for the tests that compare the assembly with it.
#[cfg(all(test, not(heirloom_loom)))]
#[allow(clippy::duplicate_mod)] // On a machine that uses the fallback, the module is there twice.
mod portable;

#[cfg(all(test, not(heirloom_loom)))]
mod tests;

#[cfg(heirloom_loom)]
pub(crate) use arch::{begin, peek};

/// Bytes that other processes may write at any time and that this one reads.
///
/// A [`ReadOnlyMapping`](crate::ReadOnlyMapping) dereferences to it. Offsets are in bytes from the mapping's start.
pub struct ReadOnlyBytes {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: No thread owns the bytes, and every safe call is sound concurrently with any other: see the memory model.
unsafe impl Send for ReadOnlyBytes {}
// SAFETY: As above.
unsafe impl Sync for ReadOnlyBytes {}

impl ReadOnlyBytes {
    /// Returns the length in bytes.
    ///
    /// ```
    /// assert_eq!(heirloom::Region::create(5000)?.map()?.len(), 5000);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether the length is 0.
    ///
    /// ```
    /// assert!(!heirloom::Region::create(1)?.map()?.is_empty());
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the address of the first byte, for code that reads concurrently written memory itself.
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

    /// Copies bytes from `offset` into the whole of `into`.
    ///
    /// Unlike `FileExt::read_at` it never reads less. Each byte that another process writes at the same time may be old or
    /// new.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfBounds`]: the range exceeds the mapping; `into` is unchanged.
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
        // SAFETY: `at` checked the shared side, and `into` is a slice of private memory.
        unsafe { arch::copy_out(from, into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    /// Copies all bytes into a new vector.
    ///
    /// As for [`read_at`](Self::read_at), each byte that another process writes at the same time may be old or new.
    ///
    /// ```
    /// let view = heirloom::Region::create(4096)?.map()?;
    /// view.write_at(0, b"hello")?;
    /// assert_eq!(&view.to_vec()[..5], b"hello");
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len);
        // SAFETY: All of this object's bytes can be read, and the vector has space for them, which the copy fills.
        unsafe {
            arch::copy_out(self.start.as_ptr(), bytes.as_mut_ptr(), self.len);
            bytes.set_len(self.len);
        }
        bytes
    }

    /// Loads the 32-bit number at `offset` atomically, with acquire ordering, in native byte order.
    ///
    /// # Errors
    /// - [`ErrorKind::OutOfBounds`]: the number exceeds the mapping.
    /// - [`ErrorKind::Misaligned`]: `offset` is not a multiple of 4.
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

    /// Loads the 64-bit number at `offset` atomically, with acquire ordering, in native byte order.
    ///
    /// # Errors
    /// - [`ErrorKind::OutOfBounds`]: the number exceeds the mapping.
    /// - [`ErrorKind::Misaligned`]: `offset` is not a multiple of 8.
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

    /// Returns the end of `len` bytes at `offset`, after checking that the mapping has them.
    #[allow(dead_code)] // Only Linux makes holes.
    pub(crate) fn end_of(&self, offset: usize, len: usize) -> Result<usize> {
        self.at(offset, len, 1).map(|_| offset + len)
    }

    /// Returns the address of the 32-bit number at `offset`.
    pub(crate) fn number(&self, offset: usize) -> Result<*mut u32> {
        self.at(offset, 4, 4).map(<*mut u8>::cast)
    }

    /// Returns the bytes as a slice.
    ///
    /// # Safety
    /// No thread of any process writes any of the bytes while the slice lives.
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
        // SAFETY: The bytes live as long as `self`, and the caller guarantees that nothing writes them.
        unsafe { slice::from_raw_parts(self.as_ptr(), self.len) }
    }

    /// Copies a typed value from `offset`, which needs no alignment.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfBounds`]: the value exceeds the mapping.
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
        // SAFETY: `at` checked the shared side, the value has the same size, and `FromBytes` makes any bytes a valid `T`.
        unsafe {
            arch::copy_out(from, value.as_mut_ptr().cast(), size_of::<T>());
            Ok(value.assume_init())
        }
    }

    /// Returns the address of `len` bytes at `offset`, after checking bounds and alignment.
    #[inline]
    fn at(&self, offset: usize, len: usize, align: usize) -> Result<*mut u8> {
        if offset.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(self.outside(offset, len));
        }
        if offset % align != 0 {
            return Err(misaligned(offset, align));
        }
        // SAFETY: The check above found `offset` inside the mapping, or at its end.
        Ok(unsafe { self.start.as_ptr().add(offset) })
    }

    #[cold]
    fn outside(&self, offset: usize, len: usize) -> Error {
        let message = format!(
            "cannot access {len} bytes at offset {offset} of a mapping of {} bytes: the range exceeds it",
            self.len
        );
        Error::new(ErrorKind::OutOfBounds, message)
    }
}

#[cold]
fn misaligned(offset: usize, align: usize) -> Error {
    let message = format!("cannot access a number at offset {offset}: the offset must be a multiple of {align}");
    Error::new(ErrorKind::Misaligned, message)
}

/// Bytes that this process and others may write at any time.
///
/// A [`Mapping`](crate::Mapping) dereferences to it, and it dereferences to [`ReadOnlyBytes`], which has the methods that read.
/// Every safe call is sound concurrently with any other, in this process or another: see the
/// [memory model](crate#memory-model).
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
    /// `start` is a multiple of 8. The memory from there to the next multiple of 8 at or after `len` bytes is mapped for as
    /// long as this object lives, and ordinary loads and stores of Rust don't access it. It may be mapped for reading only if
    /// the object is used as [`ReadOnlyBytes`] alone.
    pub(crate) const unsafe fn new(start: NonNull<u8>, len: usize) -> Self {
        Self(ReadOnlyBytes { start, len })
    }

    pub(crate) fn start(&self) -> NonNull<u8> {
        self.0.start
    }

    /// Returns the address of the first byte, for code that accesses shared memory itself.
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

    /// Copies the whole of `from` to `offset`.
    ///
    /// A concurrent reader may see each byte old or new. Until it returns, the call may write a byte more than once, and so
    /// over what another process wrote there in the meantime.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfBounds`]: the range exceeds the mapping; nothing was written.
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
        // SAFETY: `at` checked the shared side, and `from` is a slice of private memory.
        unsafe { arch::copy_in(from.as_ptr(), to, from.len()) };
        Ok(())
    }

    /// Returns the 32-bit atomic number at `offset`. To load only, use [`load_u32`](ReadOnlyBytes::load_u32).
    ///
    /// # Errors
    /// - [`ErrorKind::OutOfBounds`]: the number exceeds the mapping.
    /// - [`ErrorKind::Misaligned`]: `offset` is not a multiple of 4.
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

    /// Returns the 64-bit atomic number at `offset`. To load only, use [`load_u64`](ReadOnlyBytes::load_u64).
    ///
    /// # Errors
    /// - [`ErrorKind::OutOfBounds`]: the number exceeds the mapping.
    /// - [`ErrorKind::Misaligned`]: `offset` is not a multiple of 8.
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

    /// Returns the bytes as a mutable slice.
    ///
    /// # Safety
    /// Nothing else, in any thread of any process, reads or writes any of the bytes while the slice lives.
    ///
    /// ```
    /// let view = heirloom::Region::create(4096)?.map()?;
    /// // SAFETY: No other process has the region, and this is its only use in this one.
    /// unsafe { view.as_mut_slice() }.fill(7);
    /// # Ok::<(), heirloom::Error>(())
    /// ```
    #[must_use]
    #[allow(clippy::mut_from_ref)] // The bytes are shared; the caller guarantees exclusive access.
    pub unsafe fn as_mut_slice(&self) -> &mut [u8] {
        // SAFETY: The bytes live as long as `self`, and the caller guarantees exclusive access.
        unsafe { slice::from_raw_parts_mut(self.as_mut_ptr(), self.len()) }
    }

    /// Copies a typed value to `offset`, which needs no alignment.
    ///
    /// # Errors
    /// [`ErrorKind::OutOfBounds`]: the value exceeds the mapping; nothing was written.
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

/// Shows address and length, never the bytes.
impl fmt::Debug for ReadOnlyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadOnlyBytes").field("address", &self.start).field("len", &self.len).finish()
    }
}

/// Shows address and length, never the bytes.
impl fmt::Debug for SharedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBytes").field("address", &self.start()).field("len", &self.len()).finish()
    }
}

/// Defines an atomic number; the two sizes have the same methods.
macro_rules! shared_number {
    ($shared:ident, $number:ident, $getter:ident, $bits:literal) => {
        #[doc = concat!("A ", $bits, "-bit atomic number that processes share.")]
        ///
        /// Each operation is atomic, whatever other threads and processes do to the same bytes. `load` acquires and `store`
        /// releases: if a `load` returns the value of a `store`, that process then also reads the bytes that the storing
        /// process wrote before the `store`. The other operations are sequentially consistent.
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

        // SAFETY: Every call is sound concurrently with any other: see the memory model.
        unsafe impl Send for $shared<'_> {}
        // SAFETY: As above.
        unsafe impl Sync for $shared<'_> {}

        impl $shared<'_> {
            /// Loads the value, with acquire ordering.
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

            /// Stores a value, with release ordering.
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

            /// Stores a value and returns the previous one.
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

            /// Stores `new` if the value is `current`, and returns the previous value.
            ///
            /// # Errors
            /// Returns the value if it is not `current`.
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

            /// Adds with wrapping, and returns the previous value.
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

            /// Subtracts with wrapping, and returns the previous value.
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

            /// Stores the result of `update`, and returns the previous value. `update` is called again if the value changed
            /// in between.
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

            /// Stores the bitwise "and" with `value`, and returns the previous value.
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

            /// Stores the bitwise "or" with `value`, and returns the previous value.
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

            /// Stores the bitwise "xor" with `value`, and returns the previous value.
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

            /// Stores the maximum with `value`, and returns the previous value.
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

            /// Stores the minimum with `value`, and returns the previous value.
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

        /// Shows the address, never the value.
        impl fmt::Debug for $shared<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($shared)).field(&self.0).finish()
            }
        }
    };
}

shared_number!(SharedU32, u32, atomic_u32, "32");
shared_number!(SharedU64, u64, atomic_u64, "64");
