//! What only a read-only region has.

use heirloom::AnyRegion as Handle;
use pyo3::prelude::*;

use crate::detach;
use crate::region::{ReadOnlyRegion, wrap};

#[pymethods]
impl ReadOnlyRegion {
    /// Seal the region against all writing: see ``Region.freeze``.
    ///
    /// Unlike there, the view that ``Region.into_read_only`` returned must be gone, with every array over it, and so must
    /// the views of the region from before: no such view could be put back if the kernel refused.
    fn freeze<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let base = slf.as_super().get();
        let frozen = base.convert(slf.py(), |handle| detach::freeze(handle, base.views()))?;
        wrap(slf.py(), Handle::Frozen(frozen), base.views().clone())
    }
}
