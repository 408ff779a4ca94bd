//! What a frozen region is filled with: an object with a buffer.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int};
use std::mem::MaybeUninit;

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;

/// A buffer of another object, given back on drop.
pub(crate) struct Source(Box<ffi::Py_buffer>);

// SAFETY: The exporter keeps the bytes in place until the buffer is released, which `drop` does with the interpreter attached.
unsafe impl Send for Source {}
// SAFETY: As above.
unsafe impl Sync for Source {}

impl Source {
    pub(crate) fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut buffer = Box::new(MaybeUninit::uninit());
        // SAFETY: The buffer has space for the answer.
        if unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), buffer.as_mut_ptr(), ffi::PyBUF_FULL_RO) } != 0 {
            return Err(PyErr::fetch(object.py()));
        }
        // SAFETY: The call succeeded and so filled it in. Its box stays where it is, as some exporters need it.
        let source = Self(unsafe { Box::from_raw(Box::into_raw(buffer).cast()) });
        if source.has_objects() {
            return Err(PyTypeError::new_err(
                "cannot freeze objects: a region has bytes, and no other process knows these objects",
            ));
        }
        Ok(source)
    }

    /// Returns whether the bytes are addresses of objects, which the format says by an `O` that isn't in a name.
    fn has_objects(&self) -> bool {
        if self.0.format.is_null() {
            return false;
        }
        // SAFETY: The exporter keeps the string.
        let format = unsafe { CStr::from_ptr(self.0.format) };
        format.to_bytes().split(|&byte| byte == b':').step_by(2).any(|outside| outside.contains(&b'O'))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len.unsigned_abs()
    }

    /// Returns the bytes if they are in one piece, in the order of C.
    pub(crate) fn contiguous(&self) -> Option<&[u8]> {
        // SAFETY: The buffer is valid.
        if unsafe { ffi::PyBuffer_IsContiguous(&raw const *self.0, c_char_of(b'C')) } == 0 {
            return None;
        }
        if self.len() == 0 {
            return Some(&[]);
        }
        // SAFETY: The exporter keeps these bytes in place. Only the kernel reads them, so another thread that writes them
        // meanwhile makes the copy a mixture and nothing worse.
        Some(unsafe { std::slice::from_raw_parts(self.0.buf.cast(), self.len()) })
    }

    /// Copies the bytes in the order of C.
    pub(crate) fn copy_to(&self, py: Python<'_>, into: *mut u8) -> PyResult<()> {
        // SAFETY: The caller has space for all bytes at `into`.
        let failed: c_int =
            unsafe { ffi::PyBuffer_ToContiguous(into.cast(), &raw const *self.0, self.0.len, c_char_of(b'C')) };
        if failed == 0 { Ok(()) } else { Err(PyErr::fetch(py)) }
    }
}

#[allow(clippy::cast_possible_wrap)] // ASCII; and `c_char` has a sign on some processors.
const fn c_char_of(letter: u8) -> c_char {
    letter as c_char
}

impl Drop for Source {
    fn drop(&mut self) {
        // SAFETY: The buffer is valid, and released once.
        Python::attach(|_| unsafe { ffi::PyBuffer_Release(&raw mut *self.0) });
    }
}
