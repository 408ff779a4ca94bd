//! The child's side, and what concerns the whole process.

#![allow(unsafe_code)]

use heirloom::{AnyRegion as Handle, InheritedState};
use pyo3::prelude::*;

use crate::error::{OrRaise, exception};
use crate::region::{Views, wrap};

/// Claim every region that this process inherited: check it, and keep it from this process's own children.
///
/// Every call that needs it does it. Do it first in a program that starts children with ``close_fds=False``.
#[pyfunction]
pub(crate) fn claim() -> PyResult<()> {
    heirloom::claim().or_raise()
}

/// A name, its kind, its size, its state, and what is wrong with it.
type Listed = (String, &'static str, u64, &'static str, Option<Py<PyAny>>);

/// List what this process inherited, in the order of the names.
#[pyfunction]
pub(crate) fn inherited(py: Python<'_>) -> PyResult<Vec<Listed>> {
    let regions = heirloom::inherited().or_raise()?.into_iter();
    let listed = regions.map(|region| {
        let (state, error) = match &region.state {
            InheritedState::Available => ("available", None),
            InheritedState::Taken => ("taken", None),
            InheritedState::Missing(error) => ("missing", Some(exception(error).into_value(py).into_any())),
            _ => ("unknown", None),
        };
        (region.name, region.kind.as_str(), region.size, state, error)
    });
    Ok(listed.collect())
}

/// Keep other processes of the same user from this one's memory and descriptors. It leaves no core dumps either.
///
/// Every holder of a region must call it, and again after every ``exec``.
#[pyfunction]
pub(crate) fn set_undumpable() -> PyResult<()> {
    heirloom::os::linux::set_undumpable().or_raise()
}

/// Take over a descriptor that arrived with an export string, and that nothing else in this process owns.
///
/// The string has the sender's number of it. If it isn't exactly the region that the string describes, it is left untouched.
#[pyfunction]
pub(crate) fn take_over(py: Python<'_>, string: &str, number: i32) -> PyResult<Py<PyAny>> {
    let (_, described) = string.split_once(':').unwrap_or_default();
    // SAFETY: The caller received the descriptor and gives it away.
    let handle = unsafe { Handle::import_owned(&format!("{number}:{described}")) }.or_raise()?;
    Ok(wrap(py, handle, Views::default())?.unbind())
}
