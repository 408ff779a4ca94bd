//! What only a writable region has.

use std::path::PathBuf;
use std::sync::Arc;

use heirloom::AnyRegion as Handle;
use pyo3::prelude::*;

use crate::create::{Wanted, create};
use crate::detach;
use crate::error::OrRaise;
use crate::lock::LockView;
use crate::region::{AnyRegion, Region, Views, wrap};
use crate::view::{Mapped, Memory, View};

#[pymethods]
impl Region {
    /// Create memory of ``nbytes`` bytes, filled with zeros.
    ///
    /// Parameters
    /// ----------
    /// nbytes
    ///     The size in bytes, at least 1.
    /// name
    ///     A name for debugging, which ``/proc`` lists. Nobody can open the region by it.
    /// populate
    ///     Allocate all memory at once, and raise ``OutOfMemoryError`` rather than be killed later.
    /// huge_pages
    ///     Take huge pages of 2 MiB from the system's pool (``vm.nr_hugepages``), or fail. The size is a multiple of 2 MiB.
    /// unsealed_file_in
    ///     Keep the bytes in an unnamed file in this directory. It can't be sealed, and has none of the guarantees.
    ///
    /// Raises
    /// ------
    /// InvalidInputError, TooLargeError, OutOfMemoryError, OutOfDescriptorsError, UnsupportedError
    #[new]
    #[pyo3(signature = (nbytes, *, name=None, populate=false, huge_pages=false, unsealed_file_in=None))]
    fn new(
        py: Python<'_>,
        nbytes: &Bound<'_, PyAny>,
        name: Option<String>,
        populate: bool,
        huge_pages: bool,
        unsealed_file_in: Option<PathBuf>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let handle = create(py, nbytes, Wanted { name, populate, huge_pages, unsealed_file_in })?;
        Ok(PyClassInitializer::from(AnyRegion::new(handle, Views::default())).add_subclass(Self))
    }

    /// Seal the region against all writing: from now on no process can change a byte.
    ///
    /// This object is closed. Arrays and views of it in this process become private copy-on-write snapshots at the same
    /// addresses, so what is written to them later is this process's own. Let no other thread write them during the call.
    ///
    /// Returns
    /// -------
    /// FrozenRegion
    ///
    /// Raises
    /// ------
    /// StillWritableError
    ///     Another process maps the memory for writing, or a page is pinned. Everything is as before.
    /// SealedError
    ///     A holder forbade further seals.
    /// UnsupportedError
    ///     The region is a file in a directory.
    fn freeze<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let base = slf.as_super().get();
        let frozen = base.convert(slf.py(), |handle| detach::freeze(handle, base.views()))?;
        wrap(slf.py(), Handle::Frozen(frozen), base.views().clone())
    }

    /// Map the whole region, so that its numbers can be locks: see ``LockView.lock``.
    ///
    /// It takes a descriptor of its own.
    ///
    /// Raises
    /// ------
    /// UnsupportedError
    ///     There is no ``/proc``, or a sandbox forbids it.
    /// SealedError, OutOfDescriptorsError, OutOfMemoryError
    fn view_with_locks<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, LockView>> {
        let py = slf.py();
        let base = slf.as_super().get();
        let region = heirloom::Region::try_from(base.handle()?).or_raise()?;
        let memory = Memory::new(Mapped::Locked(region.map_with_locks().or_raise()?), 0);
        base.views().add(&memory);
        Bound::new(py, PyClassInitializer::from(View::new(memory)).add_subclass(LockView))
    }

    /// Seal the region against new writers.
    ///
    /// This object is closed. Arrays and views of it from before stay writable, in this process and in others: call it before
    /// the region is passed on, and this process is the only writer.
    ///
    /// Returns
    /// -------
    /// tuple[ReadOnlyRegion, View]
    ///     The region, and a view by which this process keeps writing.
    ///
    /// Raises
    /// ------
    /// SealedError
    ///     It is read-only or frozen already, or a holder forbade further seals.
    /// UnsupportedError
    ///     The region is a file in a directory, or the kernel has no such seal (Linux before 5.1).
    fn into_read_only<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, View>)> {
        let base = slf.as_super().get();
        let (region, writer) = base.convert(slf.py(), |handle| {
            let region = heirloom::Region::try_from(handle).map_err(detach::failed)?;
            region.into_read_only().map_err(detach::failed)
        })?;
        let memory: Arc<Memory> = Memory::new(Mapped::Shared(writer), 0);
        base.views().add(&memory);
        let region = wrap(slf.py(), Handle::ReadOnly(region), base.views().clone())?;
        Ok((region, Bound::new(slf.py(), View::new(memory))?))
    }
}
