//! Export strings, with the descriptors that they name.

use std::os::fd::AsRawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::error::OrRaise;

/// An export string (``str``) and the descriptor that it names, which is open until this object is closed.
#[pyclass(module = "heirloom", frozen)]
pub(crate) struct ExportedRegion {
    exported: Mutex<Option<heirloom::ExportedRegion>>,
    string: String,
}

impl ExportedRegion {
    pub(crate) fn new(exported: heirloom::ExportedRegion) -> Self {
        let string = exported.to_string();
        Self { exported: Mutex::new(Some(exported)), string }
    }

    fn exported(&self) -> MutexGuard<'_, Option<heirloom::ExportedRegion>> {
        self.exported.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl ExportedRegion {
    /// Return the number of the descriptor that the child must inherit: for ``pass_fds``.
    fn fileno(&self) -> PyResult<i32> {
        let number = self.exported().as_ref().map(AsRawFd::as_raw_fd);
        number.ok_or_else(|| PyValueError::new_err("the export is closed"))
    }

    /// Close the descriptor. It never fails.
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
        format!("<heirloom.ExportedRegion: {}>", self.string)
    }
}

/// The export string of a channel's end (``str``) and the descriptors that it names, which are open until this object is closed.
#[pyclass(module = "heirloom", frozen)]
pub(crate) struct ExportedEnd {
    exported: Mutex<Option<heirloom::ExportedEnd>>,
    string: String,
}

impl ExportedEnd {
    pub(crate) fn new(exported: heirloom::ExportedEnd) -> Self {
        let string = exported.to_string();
        Self { exported: Mutex::new(Some(exported)), string }
    }
}

#[pymethods]
impl ExportedEnd {
    /// Return the numbers of the descriptors that the child must inherit: for ``pass_fds``.
    fn filenos(&self) -> PyResult<[i32; 3]> {
        heirloom::ExportedEnd::descriptor_numbers(&self.string).or_raise()
    }

    /// Close the descriptors. It never fails.
    fn close(&self) {
        drop(self.exported.lock().unwrap_or_else(PoisonError::into_inner).take());
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
        format!("<heirloom.ExportedEnd: {}>", self.string)
    }
}
