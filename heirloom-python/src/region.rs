//! The region types: what all of them have.

#![allow(unsafe_code)]

use std::ffi::c_int;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use heirloom::{AnyRegion as Handle, Error, ErrorKind, RegionKind};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use crate::error::{OrRaise, exception, refused};
use crate::exported::ExportedRegion;
use crate::view::{self, Mapped, Memory, View};

/// What the three region types have in common, and the type for "a region of whatever kind".
///
/// A region is memory of a fixed size without a name. A buffer of it, as by ``memoryview(region)`` or ``ndarray``, keeps
/// the memory mapped for as long as it lives, whatever happens to the region.
#[pyclass(module = "heirloom", subclass, frozen, weakref)]
pub(crate) struct AnyRegion {
    state: Mutex<State>,
    views: Views,
    size: u64,
    kind: RegionKind,
}

struct State {
    /// ``None`` once the region was closed or became another.
    handle: Option<Handle>,
    /// The view behind every buffer of the region itself.
    whole: Option<Py<View>>,
    /// Whether a buffer of the region itself was asked for: ``numpy.ndarray(buffer=region)`` then keeps this object alone.
    lent: bool,
}

/// The views of a region in this process, as far as they live.
#[derive(Clone, Default)]
pub(crate) struct Views(Arc<Mutex<Vec<Weak<Memory>>>>);

impl Views {
    pub(crate) fn add(&self, memory: &Arc<Memory>) {
        let mut views = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        views.retain(|view| view.strong_count() > 0);
        views.push(Arc::downgrade(memory));
    }

    /// Returns those that keep the region from being frozen.
    pub(crate) fn writers(&self) -> Vec<Arc<Memory>> {
        let views = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        views.iter().filter_map(Weak::upgrade).filter(|view| view.is_writer() && view.len() > 0).collect()
    }
}

/// Memory that every holder may write.
///
/// Every process that gets it sees the writes of all others at once. Nothing waits or locks by itself.
#[pyclass(module = "heirloom", extends = AnyRegion, frozen)]
pub(crate) struct Region;

/// Memory that nobody new may write: only the views from before ``Region.into_read_only`` can.
#[pyclass(module = "heirloom", extends = AnyRegion, frozen)]
pub(crate) struct ReadOnlyRegion;

/// Memory that never changes.
#[pyclass(module = "heirloom", extends = AnyRegion, frozen)]
pub(crate) struct FrozenRegion;

/// Makes the object of the type that fits the kind.
pub(crate) fn wrap(py: Python<'_>, handle: Handle, views: Views) -> PyResult<Bound<'_, PyAny>> {
    let base = |handle| PyClassInitializer::from(AnyRegion::new(handle, views));
    Ok(match &handle {
        Handle::Writable(_) => Bound::new(py, base(handle).add_subclass(Region))?.into_any(),
        Handle::ReadOnly(_) => Bound::new(py, base(handle).add_subclass(ReadOnlyRegion))?.into_any(),
        Handle::Frozen(_) => Bound::new(py, base(handle).add_subclass(FrozenRegion))?.into_any(),
    })
}

/// Makes the object of the type `wanted`; `tried` says what failed.
pub(crate) fn wrap_as<'py>(
    wanted: &Bound<'py, PyType>,
    handle: Result<Handle, heirloom::Error>,
    tried: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let handle = handle.or_raise()?;
    check_kind(wanted, handle.kind(), tried)?;
    wrap(wanted.py(), handle, Views::default())
}

/// Checks that a region of `kind` is of the type `wanted`.
pub(crate) fn check_kind(wanted: &Bound<'_, PyType>, kind: RegionKind, tried: &str) -> PyResult<()> {
    let py = wanted.py();
    let has = match kind {
        RegionKind::Frozen => py.get_type::<FrozenRegion>(),
        RegionKind::ReadOnly => py.get_type::<ReadOnlyRegion>(),
        _ => py.get_type::<Region>(),
    };
    if has.is_subclass(wanted)? {
        return Ok(());
    }
    let (wanted, has) = (wanted.name()?, has.name()?);
    Err(refused(ErrorKind::WrongKind, &format!("cannot {tried} as a {wanted}: it is {kind}; use {has} or AnyRegion")))
}

impl AnyRegion {
    pub(crate) fn new(handle: Handle, views: Views) -> Self {
        let (size, kind) = (handle.size(), handle.kind());
        Self { state: Mutex::new(State { handle: Some(handle), whole: None, lent: false }), views, size, kind }
    }

    /// No other thread waits for the lock while this one runs Python code.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a handle of its own, which needs no descriptor of its own.
    pub(crate) fn handle(&self) -> PyResult<Handle> {
        self.state().handle.clone().ok_or_else(closed)
    }

    pub(crate) fn views(&self) -> &Views {
        &self.views
    }

    /// Converts the region: takes the handle out, and puts it back if that fails.
    pub(crate) fn convert<T: Send>(
        &self,
        py: Python<'_>,
        convert: impl FnOnce(Handle) -> Result<T, (Error, Handle)> + Send,
    ) -> PyResult<T> {
        let handle = self.state().handle.take().ok_or_else(closed)?;
        py.detach(|| convert(handle)).map_err(|(error, handle)| {
            self.state().handle = Some(handle);
            exception(&error)
        })
    }

    /// Returns the view behind every buffer of the region itself.
    fn whole<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, View>> {
        let handle = self.handle()?;
        if let Some(view) = &self.state().whole {
            return Ok(view.bind(py).clone());
        }
        let view = self.map(py, &handle, 0, None, false)?;
        let mut state = self.state();
        // Another thread may have been faster.
        let view = state.whole.get_or_insert_with(|| view.unbind());
        Ok(view.bind(py).clone())
    }

    fn map<'py>(
        &self,
        py: Python<'py>,
        handle: &Handle,
        offset: u64,
        length: Option<u64>,
        copy: bool,
    ) -> PyResult<Bound<'py, View>> {
        let memory = py.detach(|| map(handle, offset, length, copy)).or_raise()?;
        self.views.add(&memory);
        Bound::new(py, View::new(memory))
    }
}

fn map(handle: &Handle, offset: u64, length: Option<u64>, copy: bool) -> heirloom::Result<Arc<Memory>> {
    let end = length.map_or(handle.size(), |length| offset.saturating_add(length));
    // The library maps an empty region only as a whole.
    let all = offset == 0 && end == handle.size();
    let range = offset..end;
    let mapped = match (handle, copy, all) {
        (Handle::Writable(region), false, true) => Mapped::Shared(region.map()?),
        (Handle::Writable(region), false, false) => Mapped::Shared(region.map_range(range)?),
        (Handle::Writable(region), true, true) => Mapped::Copy(region.map_copy()?),
        (Handle::Writable(region), true, false) => Mapped::Copy(region.map_copy_range(range)?),
        (Handle::ReadOnly(region), false, true) => Mapped::ReadOnly(region.map()?),
        (Handle::ReadOnly(region), false, false) => Mapped::ReadOnly(region.map_range(range)?),
        (Handle::ReadOnly(region), true, true) => Mapped::Copy(region.map_copy()?),
        (Handle::ReadOnly(region), true, false) => Mapped::Copy(region.map_copy_range(range)?),
        (Handle::Frozen(region), false, true) => Mapped::Frozen(region.map()?),
        (Handle::Frozen(region), false, false) => Mapped::Frozen(region.map_range(range)?),
        (Handle::Frozen(region), true, true) => Mapped::FrozenCopy(region.map_copy()?),
        (Handle::Frozen(region), true, false) => Mapped::FrozenCopy(region.map_copy_range(range)?),
    };
    Ok(Memory::new(mapped, offset))
}

fn closed() -> PyErr {
    PyValueError::new_err("the region is closed, or it became a read-only or frozen one")
}

/// Reads a size or offset: an integer that isn't negative.
pub(crate) fn size(value: &Bound<'_, PyAny>, what: &str) -> PyResult<u64> {
    let index = value.py().import("operator")?.call_method1("index", (value,))?;
    index.extract().or_else(|_| {
        if index.lt(0)? {
            return Err(refused(ErrorKind::InvalidInput, &format!("{what} is negative: {index}")));
        }
        Err(refused(ErrorKind::TooLarge, &format!("{what} exceeds the address space: {index}")))
    })
}

fn range(offset: Option<&Bound<'_, PyAny>>, length: Option<&Bound<'_, PyAny>>) -> PyResult<(u64, Option<u64>)> {
    let offset = offset.map(|offset| size(offset, "the offset")).transpose()?;
    let length = length.map(|length| size(length, "the length")).transpose()?;
    Ok((offset.unwrap_or(0), length))
}

#[pymethods]
impl AnyRegion {
    /// Take the region that the parent process passed to this one under a name, once.
    ///
    /// ``AnyRegion.inherited`` takes any kind, the others only their own.
    ///
    /// Raises
    /// ------
    /// NotInheritedError
    ///     No inherited region has this name; the message lists the names.
    /// AlreadyTakenError
    ///     An earlier call took it.
    /// WrongKindError
    ///     The region has another kind; it can still be taken.
    /// MismatchError
    ///     The descriptor is missing, or is not exactly that region.
    /// MalformedError
    ///     The variable ``HEIRLOOM_REGIONS`` is malformed.
    #[classmethod]
    fn inherited<'py>(cls: &Bound<'py, PyType>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let listed = heirloom::inherited().or_raise()?;
        if let Some(found) = listed.iter().find(|found| found.name == name) {
            check_kind(cls, found.kind, &format!("inherit the region {name:?}"))?;
        }
        wrap_as(cls, Handle::inherited(name), "inherit a region")
    }

    /// Import the region that an export string names, over a descriptor of its own.
    ///
    /// The descriptor that the string names is checked first; if it isn't exactly that region, it is left untouched.
    ///
    /// Raises
    /// ------
    /// MalformedError
    ///     The string is not an export string.
    /// WrongKindError
    ///     The string names another kind of region.
    /// MismatchError
    ///     The descriptor is closed, or is not exactly that region.
    #[classmethod]
    fn from_export<'py>(cls: &Bound<'py, PyType>, string: &str) -> PyResult<Bound<'py, PyAny>> {
        wrap_as(cls, Handle::import(string), &format!("import {string:?}"))
    }

    /// Take a descriptor that arrived by other means; the region owns it from then on.
    ///
    /// The kernel must report memory of this kind with its seals. Otherwise the descriptor stays the caller's.
    ///
    /// Raises
    /// ------
    /// MismatchError
    ///     It is other memory, or a file.
    /// WrongKindError
    ///     It is another kind of region.
    #[classmethod]
    fn from_fd<'py>(cls: &Bound<'py, PyType>, fd: i32) -> PyResult<Bound<'py, PyAny>> {
        if fd < 0 {
            return Err(refused(
                ErrorKind::InvalidInput,
                &format!("cannot take descriptor {fd} as a region: it is negative"),
            ));
        }
        // SAFETY: The number is not -1. The caller gives the descriptor away; on failure it is given back.
        let owned = unsafe { OwnedFd::from_raw_fd(fd) };
        match Handle::try_from(owned) {
            Err(failed) => {
                let (error, owned) = failed.into_parts();
                let _ = owned.into_raw_fd();
                Err(exception(&error))
            }
            Ok(handle) => match check_kind(cls, handle.kind(), &format!("take descriptor {fd}")) {
                Ok(()) => wrap(cls.py(), handle, Views::default()),
                Err(wrong) => {
                    let _ = OwnedFd::try_from(handle).or_raise()?.into_raw_fd();
                    Err(wrong)
                }
            },
        }
    }

    /// The size in bytes, which never changes.
    #[getter]
    fn nbytes(&self) -> u64 {
        self.size
    }

    /// ``"writable"``, ``"unsealed"``, ``"read-only"`` or ``"frozen"``.
    #[getter]
    fn kind(&self) -> &'static str {
        self.kind.as_str()
    }

    /// Whether the region was closed, or became another by ``freeze`` or ``into_read_only``.
    #[getter]
    fn closed(&self) -> bool {
        self.state().handle.is_none()
    }

    fn __len__(&self) -> PyResult<usize> {
        Ok(usize::try_from(self.size)?)
    }

    /// Map the region, or ``length`` bytes of it from ``offset`` on.
    ///
    /// Each call maps anew. ``offset`` is a multiple of the page size (``mmap.ALLOCATIONGRANULARITY``).
    ///
    /// Raises
    /// ------
    /// MisalignedError, OutOfBoundsError
    ///     The range doesn't start with a page, or exceeds the region.
    /// SealedError
    ///     Another holder made the memory read-only or froze it.
    /// OutOfMemoryError
    ///     The address space is full.
    #[pyo3(signature = (offset=None, length=None), text_signature = "($self, /, offset=0, length=None)")]
    fn view<'py>(
        &self,
        py: Python<'py>,
        offset: Option<&Bound<'py, PyAny>>,
        length: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, View>> {
        let (offset, length) = range(offset, length)?;
        self.map(py, &self.handle()?, offset, length, false)
    }

    /// Map the region, or a part, copy-on-write: nobody else sees what is written to this view.
    ///
    /// A page that wasn't written yet still shows what others write, unless the region is frozen. Arguments and errors are those
    /// of ``view``.
    #[pyo3(signature = (offset=None, length=None), text_signature = "($self, /, offset=0, length=None)")]
    fn view_copy<'py>(
        &self,
        py: Python<'py>,
        offset: Option<&Bound<'py, PyAny>>,
        length: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, View>> {
        let (offset, length) = range(offset, length)?;
        self.map(py, &self.handle()?, offset, length, true)
    }

    /// Make an array over the region, without a copy.
    ///
    /// It needs numpy. The array keeps the memory mapped; it can be written if the region can.
    ///
    /// Parameters
    /// ----------
    /// dtype
    ///     The type of the elements, bytes by default. Objects can't be shared.
    /// shape
    ///     The shape; by default one dimension up to the end.
    /// offset
    ///     Where the array starts, in bytes: a multiple of the elements' alignment.
    /// order
    ///     ``"C"`` or ``"F"``.
    ///
    /// Raises
    /// ------
    /// MisalignedError, OutOfBoundsError, InvalidInputError
    ///     The array doesn't fit.
    #[pyo3(signature = (*args, **kwargs))]
    #[pyo3(text_signature = "($self, /, dtype=\"uint8\", shape=None, *, offset=0, order=\"C\")")]
    fn ndarray<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        view::ndarray(&self.whole(py)?, args, kwargs)
    }

    /// Return the number of the descriptor, which the region keeps.
    fn fileno(&self) -> PyResult<i32> {
        Ok(self.handle()?.as_raw_fd())
    }

    /// Return an export string and a descriptor for a child to inherit under the same number (``pass_fds``).
    ///
    /// The descriptor is close-on-exec, and open until the export is closed. Most programs want ``inheriting``.
    fn export(&self) -> PyResult<ExportedRegion> {
        Ok(ExportedRegion::new(self.handle()?.export().or_raise()?))
    }

    /// Give up the descriptor. It never fails, and calling it again does nothing.
    ///
    /// Memoryviews, arrays and views stay good: the memory is freed with the last of them, and of other processes. While this
    /// object lives, so does memory of which a buffer was asked for by the buffer protocol.
    fn close(&self) {
        let mut state = self.state();
        let handle = state.handle.take();
        let view = if state.lent { None } else { state.whole.take() };
        drop(state);
        // Only now, without the lock.
        drop((handle, view));
    }

    fn __enter__(slf: Py<Self>, py: Python<'_>) -> PyResult<Py<Self>> {
        slf.get().handle()?;
        Ok(slf.clone_ref(py))
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyTuple>) {
        self.close();
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        let open = if this.closed() { ", closed" } else { "" };
        Ok(format!("<heirloom.{}: {} bytes, {}{open}>", slf.get_type().name()?, this.size, this.kind))
    }

    /// Pickle by value where nothing can write it; multiprocessing has a way of its own.
    fn __reduce_ex__<'py>(slf: &Bound<'py, Self>, protocol: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("heirloom._carry")?.call_method1("reduce_ex", (slf, protocol))
    }

    unsafe fn __getbuffer__(slf: Bound<'_, Self>, buffer: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let this = slf.get();
        let view = this.whole(slf.py())?;
        this.state().lent = true;
        // SAFETY: The interpreter keeps the contract of `bf_getbuffer`.
        unsafe { view::fill(&view, buffer, flags) }
    }

    /// The buffer belongs to the view, but numpy keeps it only if this type has the slot.
    #[allow(clippy::unused_self)]
    unsafe fn __releasebuffer__(&self, _buffer: *mut ffi::Py_buffer) {}
}

/// Makes the error for an argument of a wrong type.
pub(crate) fn wrong_type(expected: &str, got: &Bound<'_, PyAny>) -> PyErr {
    let name = got.get_type().name().map(|name| name.to_string()).unwrap_or_default();
    PyTypeError::new_err(format!("expected {expected}, not {name}"))
}
