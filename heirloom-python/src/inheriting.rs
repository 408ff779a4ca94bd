//! Naming regions for a child that Python's `subprocess` starts.

use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use heirloom::os::unix::InheritExt;
use heirloom::{ExportedRegion, VARIABLE};
use pyo3::prelude::*;

use crate::error::OrRaise;
use crate::region::AnyRegion;

/// Names, and the regions that a child gets under them; the descriptors stay open until ``close``.
///
/// The command is never started: it has the library's list of names, and keeps the regions.
#[pyclass(module = "heirloom._heirloom", frozen)]
pub(crate) struct Inheriting(Mutex<Option<Command>>);

impl Inheriting {
    fn command(&self) -> MutexGuard<'_, Option<Command>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Inheriting {
    #[new]
    fn new() -> Self {
        Self(Mutex::new(Some(Command::new(""))))
    }

    /// Add a region.
    fn add(&self, name: &str, region: &Bound<'_, AnyRegion>) -> PyResult<()> {
        let handle = region.get().handle()?;
        if let Some(command) = self.command().as_mut() {
            command.inherit(name, &handle).or_raise()?;
        }
        Ok(())
    }

    /// Return the value of the variable for the child, and the descriptors that it must inherit.
    fn listed(&self) -> PyResult<(String, Vec<i32>)> {
        let command = self.command();
        let mut variables = command.iter().flat_map(Command::get_envs);
        let value = variables.find(|(key, _)| *key == VARIABLE).and_then(|(_, value)| value?.to_str());
        let value = value.unwrap_or_default();
        let strings = value.split(',').filter_map(|pair| Some(pair.split_once('=')?.1));
        let numbers: Result<_, _> = strings.map(ExportedRegion::descriptor_number).collect();
        Ok((value.to_owned(), numbers.or_raise()?))
    }

    /// Let go of the regions.
    fn close(&self) {
        drop(self.command().take());
    }
}
