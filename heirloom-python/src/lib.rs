//! The part of the Python package `heirloom` that calls the library; `python/heirloom` is what users import.
//!
//! A region's object has the handle and, once a buffer was asked for, one view of the whole. `close` gives up the handle alone:
//! an array may be there that Python doesn't tell of.

#[cfg(not(target_os = "linux"))]
compile_error!("the Python package needs Linux");

mod claiming;
mod create;
mod detach;
mod error;
mod exported;
mod frozen;
mod inheriting;
mod read_only;
mod region;
mod source;
mod view;
mod writable;

use pyo3::prelude::*;

/// The module `heirloom._heirloom`.
#[pymodule(gil_used = true)]
mod _heirloom {
    #[pymodule_export]
    use crate::claiming::{claim, inherited, set_undumpable, take_over};
    #[pymodule_export]
    use crate::exported::ExportedRegion;
    #[pymodule_export]
    use crate::inheriting::Inheriting;
    #[pymodule_export]
    use crate::region::{AnyRegion, FrozenRegion, ReadOnlyRegion, Region};
    #[pymodule_export]
    use crate::view::View;
}
