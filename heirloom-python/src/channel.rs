//! Channels: messages of bytes from one process to another, through a ring in shared memory.

use std::mem;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use heirloom::{Receiver as ReceivingEnd, Sender as SendingEnd};
use pyo3::exceptions::{PyTimeoutError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::error::OrRaise;
use crate::exported::ExportedEnd;
use crate::region::size;
use crate::source::Source;
use crate::waiting;

/// An end, which one thread at a time uses; `None` once it was closed or given to another process.
pub(crate) struct End<T>(Mutex<Option<T>>);

impl<T: Send> End<T> {
    fn new(end: T) -> Self {
        Self(Mutex::new(Some(end)))
    }

    fn lock(&self) -> MutexGuard<'_, Option<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the end out. A thread that waits with it lets go of it every now and then.
    pub(crate) fn take(&self, py: Python<'_>) -> PyResult<T> {
        py.detach(|| self.lock().take()).ok_or_else(closed)
    }

    /// Runs a call that doesn't wait.
    fn call<R: Send>(&self, py: Python<'_>, call: impl FnOnce(&mut T) -> heirloom::Result<R> + Send) -> PyResult<R> {
        py.detach(|| self.lock().as_mut().map(call)).ok_or_else(closed)?.or_raise()
    }

    /// Waits until `now` has a result; `sleep` waits until it may have one.
    fn wait<R: Send>(
        &self,
        py: Python<'_>,
        timeout: Option<f64>,
        mut now: impl FnMut(&mut T) -> PyResult<Option<R>>,
        sleep: impl Fn(&mut T, Duration) -> heirloom::Result<()> + Sync,
    ) -> PyResult<Option<R>> {
        let now = || match self.0.try_lock() {
            Ok(mut end) => now(end.as_mut().ok_or_else(closed)?),
            // Another thread waits with it.
            Err(_) => Ok(None),
        };
        let sleep = |slice| match self.lock().as_mut() {
            Some(end) => sleep(end, slice).map(|()| None),
            None => Ok(None),
        };
        waiting::wait(py, waiting::timeout(timeout)?, now, sleep)
    }
}

fn closed() -> PyErr {
    PyValueError::new_err("this end of the channel is closed, or another process has it")
}

/// Create a channel, and return its two ends.
///
/// Parameters
/// ----------
/// capacity
///     The size of its ring in bytes, rounded up to a power of two of at least 4096. A message takes 8 bytes more than its
///     length, rounded up to a multiple of 8, and has at most half the capacity less 8 bytes.
///
/// Returns
/// -------
/// tuple[Sender, Receiver]
///
/// Raises
/// ------
/// InvalidInputError, TooLargeError, OutOfMemoryError, OutOfDescriptorsError, UnsupportedError
///
/// >>> import heirloom
/// >>> sender, receiver = heirloom.channel(65536)
/// >>> sender.send(b"hello")
/// >>> receiver.recv()
/// b'hello'
#[pyfunction]
pub(crate) fn channel(capacity: &Bound<'_, PyAny>) -> PyResult<(Sender, Receiver)> {
    let (sender, receiver) = heirloom::channel(size(capacity, "the capacity")?).or_raise()?;
    Ok((Sender(End::new(sender)), Receiver(End::new(receiver))))
}

/// Makes the class of an end: what both have, and its own methods.
macro_rules! end {
    ($(#[$doc:meta])* $class:ident, $end:ty, {$($own:tt)*}) => {
        $(#[$doc])*
        #[pyclass(module = "heirloom", frozen, weakref)]
        pub(crate) struct $class(pub(crate) End<$end>);

        #[pymethods]
        impl $class {
            /// Take the end that the parent process passed to this one under a name, once.
            ///
            /// Raises
            /// ------
            /// NotInheritedError, AlreadyTakenError, WrongKindError, MismatchError, MalformedError
            ///     As for ``AnyRegion.inherited``.
            #[staticmethod]
            fn inherited(name: &str) -> PyResult<Self> {
                Ok(Self(End::new(<$end>::inherited(name).or_raise()?)))
            }

            /// Import the end that an export string names, over descriptors of its own.
            ///
            /// Raises
            /// ------
            /// MalformedError, WrongKindError, MismatchError
            ///     As for ``AnyRegion.from_export``.
            #[staticmethod]
            fn from_export(string: &str) -> PyResult<Self> {
                Ok(Self(End::new(<$end>::import(string).or_raise()?)))
            }

            /// Give this end up, and return an export string and the descriptors for one child to inherit (``pass_fds``).
            ///
            /// Close the export once the child has started: until then this process hides the child's death. Most programs
            /// want ``inheriting``, or pass the end as an argument of ``multiprocessing.Process``.
            fn export(&self, py: Python<'_>) -> PyResult<ExportedEnd> {
                let end = self.0.take(py)?;
                Ok(ExportedEnd::new(end.export_inheritable().or_raise()?))
            }

            /// Return the number of the descriptor to wait for in an event loop: see ``arm``. It is for nothing else.
            fn fileno(&self, py: Python<'_>) -> PyResult<i32> {
                self.0.call(py, |end| Ok(end.as_raw_fd()))
            }

            /// Whether this end was closed, or another process has it.
            #[getter]
            fn closed(&self, py: Python<'_>) -> bool {
                py.detach(|| self.0.lock().is_none())
            }

            /// Close the channel. It never fails, and calling it again does nothing.
            fn close(&self, py: Python<'_>) {
                drop(self.0.take(py));
            }

            fn __enter__(slf: Py<Self>) -> Py<Self> {
                slf
            }

            #[pyo3(signature = (*_exception))]
            fn __exit__(&self, py: Python<'_>, _exception: &Bound<'_, PyTuple>) {
                self.close(py);
            }

            fn __reduce__(&self) -> PyResult<()> {
                Err(PyTypeError::new_err(concat!(
                    "cannot pickle a ", stringify!($class), ": only multiprocessing can send its descriptors"
                )))
            }

            $($own)*
        }
    };
}

end!(
    /// The sending end of a channel, which one process has; from ``channel``.
    ///
    /// Closing it, or the end of its process, closes the channel: the receiver gets what was sent before.
    Sender, SendingEnd, {
        /// Send a message, and wait for space in the ring. Other threads run meanwhile, and Ctrl-C is heard.
        ///
        /// Parameters
        /// ----------
        /// message
        ///     ``bytes``, or another object with a buffer. An array that isn't in one piece is sent in C order.
        /// timeout
        ///     How long to wait at most, in seconds; ``None`` for no limit.
        ///
        /// Raises
        /// ------
        /// TimeoutError
        ///     The time has passed, and nothing was sent.
        /// TooLargeError
        ///     The message is longer than ``longest_message``.
        /// PeerGoneError
        ///     The ring is full, and the receiver was closed or its process ended.
        /// PeerBrokenError
        ///     The receiver's process wrote nonsense into the channel.
        #[pyo3(signature = (message, timeout=None))]
        fn send(&self, py: Python<'_>, message: &Bound<'_, PyAny>, timeout: Option<f64>) -> PyResult<()> {
            let source = Source::new(message)?;
            let now = |sender: &mut SendingEnd| {
                let Some(slot) = sender.try_reserve(source.len()).or_raise()? else { return Ok(None) };
                source.copy_to(py, slot.as_mut_ptr())?;
                slot.send().or_raise().map(Some)
            };
            // A slot that is dropped leaves the space where it is.
            let sleep = |sender: &mut SendingEnd, slice| sender.reserve_timeout(source.len(), slice).map(drop);
            self.0.wait(py, timeout, now, sleep)?.ok_or_else(|| PyTimeoutError::new_err("the channel has no space"))
        }

        /// Prepare to wait in an event loop for space for a message of ``nbytes`` bytes: see ``Receiver.arm``.
        fn arm(&self, py: Python<'_>, nbytes: &Bound<'_, PyAny>) -> PyResult<bool> {
            let len = usize::try_from(size(nbytes, "the size")?)?;
            self.0.call(py, |sender| sender.arm(len))
        }

        /// The length of the longest message, in bytes.
        #[getter]
        fn longest_message(&self, py: Python<'_>) -> PyResult<usize> {
            self.0.call(py, |sender| Ok(sender.longest_message()))
        }
    }
);

end!(
    /// The receiving end of a channel, which one process has; from ``channel``. It iterates over the messages until the sender
    /// is gone.
    Receiver, ReceivingEnd, {
        /// Wait for a message, and return its bytes. Other threads run meanwhile, and Ctrl-C is heard.
        ///
        /// Parameters
        /// ----------
        /// timeout
        ///     How long to wait at most, in seconds; ``None`` for no limit.
        ///
        /// Returns
        /// -------
        /// bytes or None
        ///     ``None`` if the time has passed.
        ///
        /// Raises
        /// ------
        /// PeerGoneError
        ///     The sender was closed or its process ended, and every message that it sent was received.
        /// PeerBrokenError
        ///     The sender's process wrote nonsense into the channel.
        #[pyo3(signature = (timeout=None))]
        fn recv<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Option<Bound<'py, PyBytes>>> {
            let now = |receiver: &mut ReceivingEnd| {
                let Some(message) = receiver.try_recv().or_raise()? else { return Ok(None) };
                let copy = |into: &mut [u8]| message.read_at(0, into).or_raise();
                PyBytes::new_with(py, message.len(), copy).map(|bytes| Some(bytes.unbind()))
            };
            let sleep = |receiver: &mut ReceivingEnd, slice| {
                // A message that isn't dropped stays in the ring.
                receiver.recv_timeout(slice).map(mem::forget)
            };
            Ok(self.0.wait(py, timeout, now, sleep)?.map(|bytes| bytes.into_bound(py)))
        }

        /// Prepare to wait in an event loop: true if there is no message yet. ``fileno`` then becomes readable when one arrives,
        /// or when the sender is gone. False: call ``recv(timeout=0)`` again.
        ///
        /// After the descriptor became readable, call ``recv(timeout=0)`` until it returns ``None``, and this again.
        fn arm(&self, py: Python<'_>) -> PyResult<bool> {
            self.0.call(py, ReceivingEnd::arm)
        }

        fn __iter__(slf: Py<Self>) -> Py<Self> {
            slf
        }

        fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
            match self.recv(py, None) {
                Err(error) if is_gone(py, &error)? => Ok(None),
                message => message,
            }
        }
    }
);

fn is_gone(py: Python<'_>, error: &PyErr) -> PyResult<bool> {
    Ok(error.is_instance(py, &py.import("heirloom._errors")?.getattr("PeerGoneError")?))
}
