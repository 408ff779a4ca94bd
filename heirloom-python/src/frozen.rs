//! What only a frozen region has: the ways to fill it.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::Seek;
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd;
use std::path::PathBuf;

use heirloom::os::linux::FrozenOptionsExt;
use heirloom::{AnyRegion as Handle, ErrorKind, FrozenOptions};
use pyo3::prelude::*;

use crate::error::{OrRaise, refused};
use crate::progress;
use crate::region::{AnyRegion, FrozenRegion, Views, wrap, wrong_type};
use crate::source::Source;

fn options(name: Option<&str>, use_huge_pages: bool) -> FrozenOptions {
    let mut options = heirloom::FrozenRegion::options();
    options.use_huge_pages(use_huge_pages);
    if let Some(name) = name {
        options.name(name);
    }
    options
}

/// Fills a region with the rest of a file.
fn copy_file(
    py: Python<'_>,
    mut file: &File,
    name: Option<&str>,
    use_huge_pages: bool,
    progress: bool,
) -> PyResult<heirloom::FrozenRegion> {
    let options = options(name, use_huge_pages);
    let size = file.metadata().ok().filter(|status| status.is_file() && status.len() > 0).map(|status| status.len());
    if size.is_some() && !progress {
        // The kernel copies.
        return py.detach(|| options.from_file(file)).or_raise();
    }
    let bar = if progress {
        let position = file.stream_position().unwrap_or(0);
        progress::bar(py, size.map(|size| size.saturating_sub(position)), name)?
    } else {
        None
    };
    progress::fill(py, &options, file, bar)
}

/// Fills a region with bytes that are not in one piece, without a copy in between.
fn gather(py: Python<'_>, source: &Source, name: Option<&str>) -> PyResult<heirloom::FrozenRegion> {
    let mut options = heirloom::Region::options();
    if let Some(name) = name {
        options.name(name);
    }
    let region = options.create(source.len() as u64).or_raise()?;
    let mapping = region.map().or_raise()?;
    source.copy_to(py, mapping.as_mut_ptr())?;
    drop(mapping);
    region.freeze().or_raise()
}

#[pymethods]
impl FrozenRegion {
    /// Freeze a copy of the bytes of an object: ``bytes``, a memoryview, an array, another region.
    ///
    /// An array that isn't in one piece is copied in C order.
    ///
    /// Parameters
    /// ----------
    /// name
    ///     A name for debugging, which ``/proc`` lists. Nobody can open the region by it.
    /// use_huge_pages
    ///     Fill huge pages of 2 MiB, as far as the kernel has them (Linux 6.1) and the data is in one piece. A large table is
    ///     read faster by them.
    /// progress
    ///     Show a bar on a terminal or in a notebook, if tqdm is installed and the data is in one piece.
    ///
    /// Raises
    /// ------
    /// OutOfMemoryError, OutOfDescriptorsError, UnsupportedError
    #[new]
    #[pyo3(signature = (data, *, name=None, use_huge_pages=false, progress=false))]
    fn new(
        py: Python<'_>,
        data: &Bound<'_, PyAny>,
        name: Option<&str>,
        use_huge_pages: bool,
        progress: bool,
    ) -> PyResult<PyClassInitializer<Self>> {
        let source = Source::new(data)?;
        let options = options(name, use_huge_pages);
        let region = match source.contiguous() {
            Some(bytes) if progress => {
                let bar = progress::bar(py, Some(bytes.len() as u64), name)?;
                progress::fill(py, &options, bytes, bar)?
            }
            Some(bytes) => py.detach(|| options.from_bytes(bytes)).or_raise()?,
            None => gather(py, &source, name)?,
        };
        Ok(PyClassInitializer::from(AnyRegion::new(Handle::Frozen(region), Views::default())).add_subclass(Self))
    }

    /// Freeze a copy of a file: a path, a descriptor, or an object with ``fileno()``.
    ///
    /// An open file is copied from its descriptor's position to the end, and the position stays there. What Python has read
    /// ahead is not part of it: open the file with ``buffering=0``. The kernel copies, without a buffer in between. The
    /// file may be a pipe.
    ///
    /// Parameters
    /// ----------
    /// progress
    ///     Show a bar on a terminal or in a notebook, if tqdm is installed. Ctrl-C ends the copy at once then, as it does
    ///     for a pipe, and the bytes go through a buffer.
    ///
    /// Raises
    /// ------
    /// OutOfMemoryError, OutOfDescriptorsError, OperatingSystemError, OSError
    #[staticmethod]
    #[pyo3(signature = (file, *, name=None, use_huge_pages=false, progress=false))]
    fn from_file<'py>(
        py: Python<'py>,
        file: &Bound<'py, PyAny>,
        name: Option<&str>,
        use_huge_pages: bool,
        progress: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let number: Option<i32> = match file.extract() {
            Ok(number) => Some(number),
            Err(_) if file.hasattr("fileno")? => Some(file.call_method0("fileno")?.extract()?),
            Err(_) => None,
        };
        let region = if let Some(number) = number {
            if number < 0 {
                return Err(refused(ErrorKind::InvalidInput, &format!("descriptor {number} is negative")));
            }
            // SAFETY: The caller keeps the descriptor open; this object doesn't close it.
            let file = ManuallyDrop::new(unsafe { File::from_raw_fd(number) });
            copy_file(py, &file, name, use_huge_pages, progress)?
        } else {
            let path: PathBuf = file.extract().map_err(|_| wrong_type("a path, a descriptor or a file", file))?;
            let file = py.detach(|| File::open(&path)).map_err(|error| {
                let missing: PyErr = error.into();
                let _ = missing.value(py).setattr("filename", path.as_os_str());
                missing
            })?;
            copy_file(py, &file, name, use_huge_pages, progress)?
        };
        wrap(py, Handle::Frozen(region), Views::default())
    }

    /// Freeze a copy of another region, of whatever kind.
    ///
    /// It works where ``freeze`` raises ``StillWritableError``. Writes at the same time may be in the copy or not.
    #[staticmethod]
    #[pyo3(signature = (region, *, name=None, use_huge_pages=false))]
    fn copy_of<'py>(
        py: Python<'py>,
        region: &Bound<'py, AnyRegion>,
        name: Option<&str>,
        use_huge_pages: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let handle = region.get().handle()?;
        let copy = py.detach(|| options(name, use_huge_pages).copy_of(&handle)).or_raise()?;
        wrap(py, Handle::Frozen(copy), Views::default())
    }
}
