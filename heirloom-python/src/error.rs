//! Turns the library's errors into the exceptions of `heirloom._errors`.

use heirloom::{Error, ErrorKind};
use pyo3::prelude::*;

/// Makes the exception; `PyErr` can't be made from the library's error by `?`, since both types are foreign.
pub(crate) fn exception(error: &Error) -> PyErr {
    Python::attach(|py| {
        make(py, &format!("{:?}", error.kind()), error.message(), error.advice(), error.raw_os_error())
            .unwrap_or_else(|failed| failed)
    })
}

/// Makes the exception of an error that this package detected itself.
pub(crate) fn refused(kind: ErrorKind, message: &str) -> PyErr {
    Python::attach(|py| make(py, &format!("{kind:?}"), message, None, None).unwrap_or_else(|failed| failed))
}

fn make(py: Python<'_>, kind: &str, message: &str, advice: Option<&str>, errno: Option<i32>) -> PyResult<PyErr> {
    let made = py.import("heirloom._errors")?.call_method1("_make", (kind, message, advice, errno))?;
    Ok(PyErr::from_value(made))
}

/// Extends the library's results.
pub(crate) trait OrRaise<T> {
    /// Turns the error into an exception.
    fn or_raise(self) -> PyResult<T>;
}

impl<T, E: Into<Error>> OrRaise<T> for Result<T, E> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(|error| exception(&error.into()))
    }
}
