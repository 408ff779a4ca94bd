//! The part of the Python package `heirloom` that calls the library; `python/heirloom` is what users import.
//!
//! A region's object has the handle and, once a buffer was asked for, one view of the whole. `close` gives up the handle alone:
//! an array may be there that Python doesn't tell of.

#[cfg(not(target_os = "linux"))]
compile_error!("the Python package needs Linux");

mod atomic;
mod channel;
mod claiming;
mod create;
mod detach;
mod error;
mod exported;
mod frozen;
mod inheriting;
mod lock;
mod progress;
mod read_only;
mod region;
mod source;
mod view;
mod waiting;
mod writable;

use pyo3::prelude::*;

/// The module `heirloom._heirloom`.
#[pymodule(gil_used = true)]
#[allow(unsafe_code)]
mod _heirloom {
    use pyo3::exceptions::PyImportError;
    use pyo3::ffi;
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::atomic::{AtomicU32, AtomicU64};
    #[pymodule_export]
    use crate::channel::{Receiver, Sender, channel};
    #[pymodule_export]
    use crate::claiming::{claim, inherited, set_undumpable, take_over};
    #[pymodule_export]
    use crate::exported::{ExportedEnd, ExportedRegion};
    #[pymodule_export]
    use crate::inheriting::Inheriting;
    #[pymodule_export]
    use crate::lock::{Lock, LockView};
    #[pymodule_export]
    use crate::region::{AnyRegion, FrozenRegion, ReadOnlyRegion, Region};
    #[pymodule_export]
    use crate::view::View;

    #[pymodule_init]
    fn init(_module: &Bound<'_, PyModule>) -> PyResult<()> {
        // SAFETY: The interpreter is attached, and so there is one.
        if unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) } == 0 {
            return Ok(());
        }
        Err(PyImportError::new_err("heirloom can't be used in a subinterpreter: its objects belong to the main one"))
    }
}
