//! Locks in a region, which tell the next owner if the last one died.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use heirloom::{ErrorKind, LockMapping, Locked};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::atomic::place;
use crate::error::{OrRaise, refused};
use crate::view::{Mapped, Memory, View};
use crate::waiting;

/// A view of a whole region, whose 32-bit numbers can be locks; from ``Region.view_with_locks``.
///
/// Each process makes its own, and its threads share it. After a fork the child makes another: this one raises ``ForkedError``
/// there.
#[pyclass(module = "heirloom", extends = View, frozen)]
pub(crate) struct LockView;

#[pymethods]
impl LockView {
    /// Return the lock at an offset: a number of 4 bytes that is 0 at first, and that nothing else uses.
    ///
    /// What it protects is up to the program. The locks are advisory: a process that doesn't take one can write the bytes.
    ///
    /// Parameters
    /// ----------
    /// offset
    ///     Where the lock is, in bytes: a multiple of 4.
    /// recover
    ///     Called in the process that takes the lock after its last owner died, or left a ``with`` block by an exception:
    ///     mend the bytes that the lock protects, which may be half written. If it raises, the lock is released, and the
    ///     next owner has to recover. ``None`` says that the bytes are right at all times.
    ///
    /// Raises
    /// ------
    /// MisalignedError, OutOfBoundsError
    ///     There is no such number.
    ///
    /// >>> import heirloom
    /// >>> region = heirloom.Region(4096)
    /// >>> lock = region.view_with_locks().lock(0, recover=lambda: print("the last owner died"))
    /// >>> with lock:
    /// ...     pass
    fn lock(slf: &Bound<'_, Self>, offset: &Bound<'_, PyAny>, recover: Option<Py<PyAny>>) -> PyResult<Lock> {
        let memory = Arc::clone(slf.as_super().get().memory());
        let offset = place(offset)?;
        memory.writable()?.atomic_u32(offset).or_raise()?;
        Ok(Lock { memory, offset, recover, held: Mutex::new(false) })
    }
}

/// A lock in a region; from ``LockView.lock``. It is a context manager, and has the methods of ``multiprocessing.Lock``.
///
/// When a process dies that has the lock, the next that takes it calls ``recover``, 64 milliseconds at most after the process has
/// ended; so does the next after a ``with`` block that an exception leaves. Not reentrant: a thread that has the lock already
/// waits for ever.
#[pyclass(module = "heirloom", frozen)]
pub(crate) struct Lock {
    memory: Arc<Memory>,
    offset: usize,
    recover: Option<Py<PyAny>>,
    /// Whether it was taken by this object.
    held: Mutex<bool>,
}

impl Lock {
    /// Returns the mapping that the lock is in.
    fn mapping(&self) -> PyResult<&LockMapping> {
        let Mapped::Locked(mapping) = self.memory.mapped() else {
            let message = format!("there is no lock at offset {}: use view_with_locks", self.offset);
            return Err(refused(ErrorKind::WrongKind, &message));
        };
        Ok(mapping)
    }

    fn take(&self, py: Python<'_>, timeout: Option<Duration>) -> PyResult<bool> {
        let mapping = self.mapping()?;
        let attempt = |slice| {
            let locked = mapping.lock_timeout(self.offset, slice)?;
            Ok(locked.map(|locked| {
                let (guard, died) = match locked {
                    Locked::Clean(guard) => (guard, false),
                    Locked::OwnerDied(guard) => (guard, true),
                };
                // `give_back` releases it.
                mem::forget(guard);
                died
            }))
        };
        // The interpreter takes longer to let go of than a free lock to take.
        let Some(died) = waiting::wait(py, timeout, || attempt(Duration::ZERO).or_raise(), attempt)? else {
            return Ok(false);
        };
        self.set_held(true);
        if let Some(recover) = self.recover.as_ref().filter(|_| died) {
            if let Err(failed) = recover.call0(py) {
                self.give_back(true)?;
                return Err(failed);
            }
        }
        Ok(true)
    }

    fn give_back(&self, died: bool) -> PyResult<()> {
        if !self.set_held(false) {
            return Err(PyRuntimeError::new_err(format!("the lock at offset {} is not held", self.offset)));
        }
        self.mapping()?.release(self.offset, died).or_raise()
    }

    /// Returns what it was.
    fn set_held(&self, held: bool) -> bool {
        mem::replace(&mut *self.held.lock().unwrap_or_else(PoisonError::into_inner), held)
    }
}

#[pymethods]
impl Lock {
    /// Take the lock, and wait until it is free. Ctrl-C is heard while it waits.
    ///
    /// Parameters
    /// ----------
    /// block
    ///     Whether to wait at all.
    /// timeout
    ///     How long to wait at most, in seconds; ``None`` for no limit.
    ///
    /// Returns
    /// -------
    /// bool
    ///     Whether this process has the lock.
    ///
    /// Raises
    /// ------
    /// ForkedError
    ///     A fork made this process after the view.
    #[pyo3(signature = (block=true, timeout=None))]
    fn acquire(&self, py: Python<'_>, block: bool, timeout: Option<f64>) -> PyResult<bool> {
        self.memory.live()?;
        let timeout = if block { waiting::timeout(timeout)? } else { Some(Duration::ZERO) };
        self.take(py, timeout)
    }

    /// Release the lock: the bytes that it protects are right.
    ///
    /// Raises
    /// ------
    /// RuntimeError
    ///     It isn't held by this object.
    fn release(&self) -> PyResult<()> {
        self.give_back(false)
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        slf.get().acquire(slf.py(), true, None)?;
        Ok(slf)
    }

    /// Release the lock. If an exception leaves the block, the next owner recovers.
    fn __exit__(
        &self,
        kind: &Bound<'_, PyAny>,
        _error: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.give_back(!kind.is_none())
    }

    fn __repr__(&self) -> String {
        format!("<heirloom.Lock at offset {}>", self.offset)
    }
}
