//! Atomic operations on numbers in a mapping.

use std::ffi::c_int;

use super::arguments::{DONE, FAILED, object, store};
use super::error::wait;
use super::mapping::View;

/// Defines the functions on numbers of one size.
macro_rules! numbers {
    ($number:ty, $atomic:ident, $load:ident, $load_of:ident, $store:ident, $exchange:ident, $compare:ident, $add:ident) => {
        /// Loads a number.
        ///
        /// # Safety
        /// `view` is a mapping, and `value` can be written.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $load(view: *const View, offset: usize, value: *mut $number) -> c_int {
            wait(FAILED, || {
                // SAFETY: The caller's contract.
                let view = unsafe { object(view, "the mapping") }?;
                let bytes = view.number_bytes()?;
                // SAFETY: As above.
                unsafe { store(value, bytes.$load_of(offset)?) };
                Ok(DONE)
            })
        }

        /// Stores a number.
        ///
        /// # Safety
        /// `mapping` is a mapping.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $store(mapping: *const View, offset: usize, value: $number) -> c_int {
            wait(FAILED, || {
                // SAFETY: The caller's contract.
                unsafe { object(mapping, "the mapping") }?.shared()?.$atomic(offset)?.store(value);
                Ok(DONE)
            })
        }

        /// Stores a number, and tells the one before.
        ///
        /// # Safety
        /// `mapping` is a mapping, and `before` is NULL or can be written.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $exchange(
            mapping: *const View,
            offset: usize,
            value: $number,
            before: *mut $number,
        ) -> c_int {
            wait(FAILED, || {
                // SAFETY: The caller's contract.
                unsafe { store(before, object(mapping, "the mapping")?.shared()?.$atomic(offset)?.swap(value)) };
                Ok(DONE)
            })
        }

        /// Stores `new` if the number is `*current`; tells whether, and the number before in `*current`.
        ///
        /// # Safety
        /// `mapping` is a mapping, and `current` can be read and written.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $compare(
            mapping: *const View,
            offset: usize,
            current: *mut $number,
            new: $number,
        ) -> c_int {
            wait(FAILED, || {
                // SAFETY: The caller's contract.
                let (mapping, expected) = unsafe {
                    (object(mapping, "the mapping")?, *object(current.cast_const(), "the number to compare")?)
                };
                let exchanged = mapping.shared()?.$atomic(offset)?.compare_exchange(expected, new);
                // SAFETY: As above.
                unsafe { current.write(exchanged.unwrap_or_else(|before| before)) };
                Ok(c_int::from(exchanged.is_ok()))
            })
        }

        /// Adds with wrapping, and tells the number before.
        ///
        /// # Safety
        /// `mapping` is a mapping, and `before` is NULL or can be written.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $add(
            mapping: *const View,
            offset: usize,
            value: $number,
            before: *mut $number,
        ) -> c_int {
            wait(FAILED, || {
                // SAFETY: The caller's contract.
                unsafe { store(before, object(mapping, "the mapping")?.shared()?.$atomic(offset)?.fetch_add(value)) };
                Ok(DONE)
            })
        }
    };
}

numbers!(
    u32,
    atomic_u32,
    heirloom_load_u32,
    load_u32,
    heirloom_store_u32,
    heirloom_exchange_u32,
    heirloom_compare_exchange_u32,
    heirloom_fetch_add_u32
);
numbers!(
    u64,
    atomic_u64,
    heirloom_load_u64,
    load_u64,
    heirloom_store_u64,
    heirloom_exchange_u64,
    heirloom_compare_exchange_u64,
    heirloom_fetch_add_u64
);
