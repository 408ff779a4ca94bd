//! Long fills: Python handles signals such as Ctrl-C meanwhile, and a bar shows how far they are.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use heirloom::{FrozenOptions, FrozenRegion};
use pyo3::prelude::*;

use crate::error::OrRaise;

/// How long a fill goes on before it asks for the interpreter, which another thread may have.
const INTERVAL: Duration = Duration::from_millis(100);

/// Fills a region from a reader.
pub(crate) fn fill<R: Read + Send>(
    py: Python<'_>,
    options: &FrozenOptions,
    reader: R,
    bar: Option<Py<PyAny>>,
) -> PyResult<FrozenRegion> {
    let mut watched = Watched { reader, bar, nbytes: 0, told: Instant::now(), raised: None };
    let filled = py.detach(|| options.from_reader(&mut watched));
    if let Some(bar) = watched.bar {
        bar.call_method0(py, "close")?;
    }
    match watched.raised {
        Some(raised) => Err(raised),
        None => filled.or_raise(),
    }
}

/// Makes a bar for as many bytes, if tqdm is installed.
pub(crate) fn bar(py: Python<'_>, total: Option<u64>, name: Option<&str>) -> PyResult<Option<Py<PyAny>>> {
    let bar = py.import("heirloom._progress")?.call_method1("bar", (total, name))?;
    Ok((!bar.is_none()).then(|| bar.unbind()))
}

/// A reader that tells Python of its progress.
struct Watched<R> {
    reader: R,
    bar: Option<Py<PyAny>>,
    /// The bytes that the bar doesn't show yet.
    nbytes: usize,
    told: Instant,
    /// What a handler of a signal raised.
    raised: Option<PyErr>,
}

impl<R> Watched<R> {
    fn tell(&mut self) -> io::Result<()> {
        self.told = Instant::now();
        let nbytes = std::mem::take(&mut self.nbytes);
        let told = Python::attach(|py| {
            if let Some(bar) = &self.bar {
                bar.call_method1(py, "update", (nbytes,))?;
            }
            py.check_signals()
        });
        told.map_err(|raised| {
            self.raised = Some(raised);
            io::Error::other("a handler of a signal raised an exception")
        })
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer);
        if let Ok(nbytes) = read {
            self.nbytes += nbytes;
        }
        // A signal ends a read that waits, and the library reads again.
        let interrupted = matches!(&read, Err(error) if error.kind() == io::ErrorKind::Interrupted);
        if interrupted || self.told.elapsed() >= INTERVAL {
            self.tell()?;
        }
        read
    }
}
