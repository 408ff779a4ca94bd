//! Mapped memory as an object with the buffer protocol.

#![allow(unsafe_code)]

use std::ffi::c_int;
use std::fmt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use heirloom::{CopyMapping, ErrorKind, FrozenCopyMapping, FrozenMapping, LockMapping, Mapping, ReadOnlyMapping};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{ffi, intern};

use crate::atomic::{AtomicU32, AtomicU64, place};
use crate::error::{OrRaise, refused};
use crate::waiting;

/// A mapping, which is unmapped with the last object that shows it.
pub(crate) struct Memory {
    mapped: Mapped,
    start: NonNull<u8>,
    len: usize,
    /// Where it is in the region, in bytes.
    offset: u64,
    /// Whether its pages are this process's own, in place of the region's.
    detached: AtomicBool,
    /// Whether core dumps leave it out. Also the lock that keeps a freeze and `no_dump` apart.
    undumped: Mutex<bool>,
}

/// The mapping types of the library.
pub(crate) enum Mapped {
    Shared(Mapping),
    Locked(LockMapping),
    ReadOnly(ReadOnlyMapping),
    Frozen(FrozenMapping),
    Copy(CopyMapping),
    FrozenCopy(FrozenCopyMapping),
}

/// A mapping whose bytes other processes may change.
#[derive(Clone, Copy)]
pub(crate) enum Live<'a> {
    Writable(&'a Mapping),
    ReadOnly(&'a ReadOnlyMapping),
}

// SAFETY: The pointer is to the mapping's bytes. What is done with them is up to Python's code, on any thread: see `View`.
unsafe impl Send for Memory {}
// SAFETY: As above.
unsafe impl Sync for Memory {}

impl Memory {
    pub(crate) fn new(mut mapped: Mapped, offset: u64) -> Arc<Self> {
        let (start, len) = match &mut mapped {
            Mapped::Shared(mapping) => (mapping.as_mut_ptr(), mapping.len()),
            Mapped::Locked(mapping) => (mapping.as_mut_ptr(), mapping.len()),
            Mapped::ReadOnly(mapping) => (mapping.as_ptr().cast_mut(), mapping.len()),
            Mapped::Frozen(mapping) => (mapping.as_ptr().cast_mut(), mapping.len()),
            Mapped::Copy(mapping) => (mapping.as_mut_ptr(), mapping.len()),
            Mapped::FrozenCopy(mapping) => (mapping.as_mut_ptr(), mapping.len()),
        };
        let start = NonNull::new(start).unwrap_or(NonNull::dangling());
        let (detached, undumped) = (AtomicBool::new(false), Mutex::new(false));
        Arc::new(Self { mapped, start, len, offset, detached, undumped })
    }

    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn mapped(&self) -> &Mapped {
        &self.mapped
    }

    /// Returns the mapping, if other processes may change its bytes.
    pub(crate) fn live(&self) -> PyResult<Live<'_>> {
        match &self.mapped {
            Mapped::Shared(mapping) if self.is_writer() => Ok(Live::Writable(mapping)),
            Mapped::Locked(mapping) if self.is_writer() => Ok(Live::Writable(mapping)),
            Mapped::ReadOnly(mapping) => Ok(Live::ReadOnly(mapping)),
            _ => Err(refused(
                ErrorKind::WrongKind,
                &format!(
                    "no other process changes this view ({self}), so it has no numbers to wait for; use memoryview"
                ),
            )),
        }
    }

    /// Returns the mapping, if this process and others may change its bytes.
    pub(crate) fn writable(&self) -> PyResult<&Mapping> {
        match self.live()? {
            Live::Writable(mapping) => Ok(mapping),
            Live::ReadOnly(_) => Err(PyTypeError::new_err("cannot modify read-only memory")),
        }
    }

    fn read_only(&self) -> bool {
        matches!(self.mapped, Mapped::ReadOnly(_) | Mapped::Frozen(_))
    }

    /// Returns whether it keeps its region from being frozen.
    pub(crate) fn is_writer(&self) -> bool {
        matches!(self.mapped, Mapped::Shared(_) | Mapped::Locked(_)) && !self.detached.load(Ordering::Acquire)
    }

    pub(crate) fn set_detached(&self) {
        self.detached.store(true, Ordering::Release);
    }

    /// Runs `replace`, which gets to know whether core dumps shall leave the pages out, while `no_dump` waits.
    pub(crate) fn replace<T>(&self, replace: impl FnOnce(bool) -> T) -> T {
        replace(*self.undumped.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn no_dump(&self) -> heirloom::Result<()> {
        let mut undumped = self.undumped.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.mapped {
            Mapped::Shared(mapping) => mapping.no_dump(),
            Mapped::Locked(mapping) => mapping.no_dump(),
            Mapped::ReadOnly(mapping) => mapping.no_dump(),
            Mapped::Frozen(mapping) => mapping.no_dump(),
            Mapped::Copy(mapping) => mapping.no_dump(),
            Mapped::FrozenCopy(mapping) => mapping.no_dump(),
        }?;
        *undumped = true;
        Ok(())
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.mapped {
            Mapped::Shared(_) | Mapped::Locked(_) if self.is_writer() => "writable",
            Mapped::Shared(_) | Mapped::Locked(_) => "a private snapshot",
            Mapped::ReadOnly(_) | Mapped::Frozen(_) => "read-only",
            Mapped::Copy(_) | Mapped::FrozenCopy(_) => "copy-on-write",
        };
        write!(f, "{} bytes, {kind}", self.len)
    }
}

/// Memory of a region in this process, with the buffer protocol.
///
/// It has no ``close``: memoryviews and arrays over it keep it mapped, and it is unmapped with the last of them.
///
/// Another process may write the bytes while this one reads them, unless the region is frozen. Neither Python nor numpy knows of
/// that: a read may mix bytes from before and after a write, and what was checked may have changed when it is used. Let one
/// process at a time write a part, or copy what you got before you check it.
#[pyclass(module = "heirloom", frozen, subclass, weakref)]
pub(crate) struct View {
    memory: Arc<Memory>,
}

impl View {
    pub(crate) fn new(memory: Arc<Memory>) -> Self {
        Self { memory }
    }

    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }
}

/// Answers a request for a buffer over the whole view.
///
/// # Safety
/// As for `bf_getbuffer`: `buffer` is null or points to a `Py_buffer` to fill in.
pub(crate) unsafe fn fill(view: &Bound<'_, View>, buffer: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
    let memory = &view.get().memory;
    let len = ffi::Py_ssize_t::try_from(memory.len)?;
    let read_only = c_int::from(memory.read_only());
    // SAFETY: The buffer is the caller's. The view owns the bytes, and the buffer gets a reference to the view.
    let filled =
        unsafe { ffi::PyBuffer_FillInfo(buffer, view.as_ptr(), memory.start.as_ptr().cast(), len, read_only, flags) };
    if filled == 0 { Ok(()) } else { Err(PyErr::fetch(view.py())) }
}

#[pymethods]
impl View {
    /// The size in bytes.
    #[getter]
    fn nbytes(&self) -> usize {
        self.memory.len
    }

    /// Whether this process can't write the bytes by this view.
    #[getter]
    fn readonly(&self) -> bool {
        self.memory.read_only()
    }

    /// Whether ``freeze`` made it a private copy of the region: writes to it are this process's own.
    #[getter]
    fn detached(&self) -> bool {
        self.memory.detached.load(Ordering::Acquire)
    }

    /// Exclude the view from core dumps, for secrets.
    fn no_dump(&self) -> PyResult<()> {
        self.memory.no_dump().or_raise()
    }

    /// Make an array over the bytes, without a copy: see ``AnyRegion.ndarray``.
    #[pyo3(signature = (*args, **kwargs))]
    #[pyo3(text_signature = "($self, /, dtype=\"uint8\", shape=None, *, offset=0, order=\"C\")")]
    fn ndarray<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        ndarray(slf, args, kwargs)
    }

    /// Return the number of 4 bytes at ``offset``, a multiple of 4, for atomic operations.
    ///
    /// Raises
    /// ------
    /// MisalignedError, OutOfBoundsError
    ///     There is no such number.
    /// WrongKindError
    ///     The view is frozen, copy-on-write or detached: no other process changes it.
    fn atomic_u32(&self, offset: &Bound<'_, PyAny>) -> PyResult<AtomicU32> {
        AtomicU32::new(&self.memory, place(offset)?)
    }

    /// Return the number of 8 bytes at ``offset``, a multiple of 8, for atomic operations: see ``atomic_u32``.
    fn atomic_u64(&self, offset: &Bound<'_, PyAny>) -> PyResult<AtomicU64> {
        AtomicU64::new(&self.memory, place(offset)?)
    }

    /// Wait until the number of 4 bytes at ``offset`` is not ``current``, and return it.
    ///
    /// It sleeps until a process calls ``wake_one`` or ``wake_all`` for that offset, and looks at least 10 times a second
    /// without being woken. Other threads run, and Ctrl-C is heard. A number that changes and changes back may go unnoticed: let
    /// numbers grow. It sees no death: look at the process from time to time.
    ///
    /// Parameters
    /// ----------
    /// timeout
    ///     How long to wait at most, in seconds; ``None`` for no limit.
    ///
    /// Returns
    /// -------
    /// int or None
    ///     ``None`` if the time has passed.
    ///
    /// Raises
    /// ------
    /// MisalignedError, OutOfBoundsError, WrongKindError
    ///     As for ``atomic_u32``.
    #[pyo3(signature = (offset, current, timeout=None))]
    fn wait(
        &self,
        py: Python<'_>,
        offset: &Bound<'_, PyAny>,
        current: u32,
        timeout: Option<f64>,
    ) -> PyResult<Option<u32>> {
        let offset = place(offset)?;
        let timeout = waiting::timeout(timeout)?;
        let live = self.memory.live()?;
        let attempt = |slice| match live {
            Live::Writable(view) => view.wait_timeout(offset, current, slice),
            Live::ReadOnly(view) => view.wait_timeout(offset, current, slice),
        };
        waiting::wait(py, timeout, || attempt(Duration::ZERO).or_raise(), attempt)
    }

    /// Wake one thread, of any process, that waits for the number at ``offset``; call it after the number was changed.
    ///
    /// Another holder can take the wake. Use it only if one waiter is as good as another.
    ///
    /// Raises
    /// ------
    /// MisalignedError, OutOfBoundsError, WrongKindError
    ///     As for ``atomic_u32``.
    /// TypeError
    ///     The view is read-only.
    fn wake_one(&self, offset: &Bound<'_, PyAny>) -> PyResult<()> {
        self.memory.writable()?.wake_one(place(offset)?).or_raise()
    }

    /// Wake all threads, of all processes, that wait for the number at ``offset``: see ``wake_one``.
    fn wake_all(&self, offset: &Bound<'_, PyAny>) -> PyResult<()> {
        self.memory.writable()?.wake_all(place(offset)?).or_raise()
    }

    fn __len__(&self) -> usize {
        self.memory.len
    }

    fn __repr__(&self) -> String {
        format!("<heirloom.View: {}>", self.memory)
    }

    unsafe fn __getbuffer__(slf: Bound<'_, Self>, buffer: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        // SAFETY: The interpreter keeps the contract of `bf_getbuffer`.
        unsafe { fill(&slf, buffer, flags) }
    }

    /// numpy keeps a buffer only if its type has this slot.
    #[allow(clippy::unused_self)]
    unsafe fn __releasebuffer__(&self, _buffer: *mut ffi::Py_buffer) {}
}

/// Calls the function in Python that imports numpy.
pub(crate) fn ndarray<'py>(
    view: &Bound<'py, View>,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = view.py();
    let function = py.import("heirloom._arrays")?.getattr(intern!(py, "ndarray"))?;
    let function = py.import("functools")?.call_method1("partial", (function, view))?;
    function.call(args, kwargs)
}
