//! Export strings, with the descriptors that they name.

use std::os::fd::AsRawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::error::OrRaise;

/// Makes the class of an export: what both have, and its own method.
macro_rules! exported {
    ($(#[$doc:meta])* $class:ident, {$($own:tt)*}) => {
        $(#[$doc])*
        #[pyclass(module = "heirloom", frozen)]
        pub(crate) struct $class {
            exported: Mutex<Option<heirloom::$class>>,
            string: String,
        }

        impl $class {
            pub(crate) fn new(exported: heirloom::$class) -> Self {
                let string = exported.to_string();
                Self { exported: Mutex::new(Some(exported)), string }
            }

            fn exported(&self) -> MutexGuard<'_, Option<heirloom::$class>> {
                self.exported.lock().unwrap_or_else(PoisonError::into_inner)
            }
        }

        #[pymethods]
        impl $class {
            $($own)*

            /// Close what the string names. It never fails.
            fn close(&self) {
                drop(self.exported().take());
            }

            fn __enter__(slf: Py<Self>) -> Py<Self> {
                slf
            }

            #[pyo3(signature = (*_exception))]
            fn __exit__(&self, _exception: &Bound<'_, PyTuple>) {
                self.close();
            }

            fn __str__(&self) -> &str {
                &self.string
            }

            fn __repr__(&self) -> String {
                format!(concat!("<heirloom.", stringify!($class), ": {}>"), self.string)
            }
        }
    };
}

exported!(
    /// An export string (``str``) and the descriptor that it names, which is open until this object is closed.
    ExportedRegion, {
        /// Return the number of the descriptor that the child must inherit: for ``pass_fds``.
        fn fileno(&self) -> PyResult<i32> {
            let number = self.exported().as_ref().map(AsRawFd::as_raw_fd);
            number.ok_or_else(closed)
        }
    }
);

exported!(
    /// The export string of a channel's end (``str``) and the descriptors that it names, which are open until this object is
    /// closed.
    ExportedEnd, {
        /// Return the numbers of the descriptors that the child must inherit: for ``pass_fds``.
        fn filenos(&self) -> PyResult<[i32; 3]> {
            // Later they may be other files'.
            if self.exported().is_none() {
                return Err(closed());
            }
            heirloom::ExportedEnd::descriptor_numbers(&self.string).or_raise()
        }
    }
);

fn closed() -> PyErr {
    PyValueError::new_err("the export is closed")
}
