//! Creating a region.

use std::path::PathBuf;

use heirloom::AnyRegion as Handle;
use pyo3::prelude::*;

use crate::error::OrRaise;
use crate::region::size;

/// What a new region is to be.
pub(crate) struct Wanted {
    pub(crate) name: Option<String>,
    pub(crate) populate: bool,
    pub(crate) huge_pages: bool,
    pub(crate) unsealed_file_in: Option<PathBuf>,
}

pub(crate) fn create(py: Python<'_>, nbytes: &Bound<'_, PyAny>, wanted: Wanted) -> PyResult<Handle> {
    let size = size(nbytes, "the size")?;
    let mut options = heirloom::Region::options();
    options.populate(wanted.populate).huge_pages(wanted.huge_pages);
    if let Some(name) = wanted.name {
        options.name(name);
    }
    if let Some(directory) = wanted.unsealed_file_in {
        options.unsealed_file_in(directory);
    }
    // Allocating all the memory takes a while.
    py.detach(|| options.create(size)).or_raise().map(Handle::Writable)
}
