//! Numbers in a view that processes change without losing each other's changes.

use std::sync::Arc;

use pyo3::prelude::*;

use crate::error::OrRaise;
use crate::region::size;
use crate::view::{Live, Memory};

/// Reads the offset of a number.
pub(crate) fn place(offset: &Bound<'_, PyAny>) -> PyResult<usize> {
    Ok(usize::try_from(size(offset, "the offset")?)?)
}

/// Makes the class of the numbers of one width.
macro_rules! atomic {
    ($(#[$doc:meta])* $class:ident, $number:ty, $load:ident, $atomic:ident, $shared:ident) => {
        $(#[$doc])*
        ///
        /// Each operation is atomic, whatever other threads and processes do to the same bytes. What a process wrote before it
        /// changed a number is there for those that then load it. Numbers wrap around at the end of their range. The operations
        /// return the number from before.
        #[pyclass(module = "heirloom", frozen)]
        pub(crate) struct $class {
            memory: Arc<Memory>,
            offset: usize,
        }

        impl $class {
            pub(crate) fn new(memory: &Arc<Memory>, offset: usize) -> PyResult<Self> {
                let number = Self { memory: Arc::clone(memory), offset };
                number.load()?;
                Ok(number)
            }

            fn shared(&self) -> PyResult<heirloom::$shared<'_>> {
                self.memory.writable()?.$atomic(self.offset).or_raise()
            }
        }

        #[pymethods]
        impl $class {
            /// Return the number.
            fn load(&self) -> PyResult<$number> {
                match self.memory.live()? {
                    Live::Writable(mapping) => mapping.$load(self.offset),
                    Live::ReadOnly(mapping) => mapping.$load(self.offset),
                }
                .or_raise()
            }

            /// Set the number.
            fn store(&self, value: $number) -> PyResult<()> {
                Ok(self.shared()?.store(value))
            }

            /// Set the number.
            fn swap(&self, value: $number) -> PyResult<$number> {
                Ok(self.shared()?.swap(value))
            }

            /// Set the number to ``new`` if it is ``current``: it was if ``current`` is returned.
            fn compare_exchange(&self, current: $number, new: $number) -> PyResult<$number> {
                Ok(self.shared()?.compare_exchange(current, new).unwrap_or_else(|number| number))
            }

            /// Add to the number.
            fn fetch_add(&self, value: $number) -> PyResult<$number> {
                Ok(self.shared()?.fetch_add(value))
            }

            /// Subtract from the number.
            fn fetch_sub(&self, value: $number) -> PyResult<$number> {
                Ok(self.shared()?.fetch_sub(value))
            }

            /// Keep the bits that ``value`` has as well.
            fn fetch_and(&self, value: $number) -> PyResult<$number> {
                Ok(self.shared()?.fetch_and(value))
            }

            /// Add the bits of ``value``.
            fn fetch_or(&self, value: $number) -> PyResult<$number> {
                Ok(self.shared()?.fetch_or(value))
            }

            /// Flip the bits of ``value``.
            fn fetch_xor(&self, value: $number) -> PyResult<$number> {
                Ok(self.shared()?.fetch_xor(value))
            }

            /// Set the number to ``value`` if that is greater.
            fn fetch_max(&self, value: $number) -> PyResult<$number> {
                Ok(self.shared()?.fetch_max(value))
            }

            /// Set the number to ``value`` if that is less.
            fn fetch_min(&self, value: $number) -> PyResult<$number> {
                Ok(self.shared()?.fetch_min(value))
            }

            fn __repr__(&self) -> PyResult<String> {
                Ok(format!(concat!("<heirloom.", stringify!($class), ": {} at offset {}>"), self.load()?, self.offset))
            }
        }
    };
}

atomic!(
    /// A number of 32 bits in a view, from 0 to 2**32 - 1; from ``View.atomic_u32``.
    AtomicU32, u32, load_u32, atomic_u32, SharedU32
);
atomic!(
    /// A number of 64 bits in a view, from 0 to 2**64 - 1; from ``View.atomic_u64``.
    AtomicU64, u64, load_u64, atomic_u64, SharedU64
);
