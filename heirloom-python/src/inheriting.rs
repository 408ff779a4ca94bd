//! Naming regions and ends of channels for a child that Python's `subprocess` starts.

use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use heirloom::os::unix::InheritExt;
use heirloom::{ExportedEnd, ExportedRegion, VARIABLE};
use pyo3::prelude::*;

use crate::channel::{Receiver, Sender};
use crate::error::OrRaise;
use crate::region::AnyRegion;

/// Names, and the regions and ends that a child gets under them; the descriptors stay open until ``close``.
///
/// The command is never started: it has the library's list of names, and keeps the regions.
#[pyclass(module = "heirloom._heirloom", frozen)]
pub(crate) struct Inheriting(Mutex<Option<Command>>);

impl Inheriting {
    fn command(&self) -> MutexGuard<'_, Option<Command>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a child gets.
#[derive(FromPyObject)]
pub(crate) enum Given<'py> {
    Region(Bound<'py, AnyRegion>),
    Sender(Bound<'py, Sender>),
    Receiver(Bound<'py, Receiver>),
}

/// Returns the numbers of the descriptors that a string names.
fn numbers(string: &str) -> heirloom::Result<Vec<i32>> {
    match ExportedRegion::descriptor_number(string) {
        Ok(number) => Ok(vec![number]),
        Err(_) => ExportedEnd::descriptor_numbers(string).map(Vec::from),
    }
}

#[pymethods]
impl Inheriting {
    #[new]
    fn new() -> Self {
        Self(Mutex::new(Some(Command::new(""))))
    }

    /// Add a region, or move an end of a channel here.
    fn add(&self, py: Python<'_>, name: &str, given: Given<'_>) -> PyResult<()> {
        let mut command = self.command();
        let Some(command) = command.as_mut() else { return Ok(()) };
        match given {
            Given::Region(region) => command.inherit(name, &region.get().handle()?),
            Given::Sender(sender) => command.inherit_end(name, sender.get().0.take(py)?),
            Given::Receiver(receiver) => command.inherit_end(name, receiver.get().0.take(py)?),
        }
        .or_raise()?;
        Ok(())
    }

    /// Return the value of the variable for the child, and the descriptors that it must inherit.
    fn listed(&self) -> PyResult<(String, Vec<i32>)> {
        let command = self.command();
        let mut variables = command.iter().flat_map(Command::get_envs);
        let value = variables.find(|(key, _)| *key == VARIABLE).and_then(|(_, value)| value?.to_str());
        let value = value.unwrap_or_default();
        let strings = value.split(',').filter_map(|pair| Some(pair.split_once('=')?.1));
        let numbers: Result<Vec<_>, _> = strings.map(numbers).collect();
        Ok((value.to_owned(), numbers.or_raise()?.concat()))
    }

    /// Let go of them.
    fn close(&self) {
        drop(self.command().take());
    }
}
