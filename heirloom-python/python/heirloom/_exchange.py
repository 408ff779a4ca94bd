"""An executor's queues: calls to whichever worker is free, and results from all of them.

They have what ``concurrent.futures.process`` uses of multiprocessing's ``Queue`` and ``SimpleQueue``. A value's region
is in the message itself, so a worker may end as soon as it has sent its result.
"""

import pickle
import queue
import struct
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import process
from multiprocessing import context
from multiprocessing.reduction import ForkingPickler
from typing import Any, NoReturn

from ._channel import End, pair
from ._errors import Error
from ._packing import Opened, pack, take

# The number of the call, the worker that ends, and the length of the layout. They are not in the pickle, so that a
# value that can't be received fails its own call only.
_HEAD = struct.Struct("=qqI")
_NONE = -1
_NOTES_BYTES = 64 << 10  # Enough for the layout of any value.


def _send(end: End, item: Any, min_bytes: int) -> None:
    reducers: Any = ForkingPickler
    packed = pack(item, min_bytes, end.most_bytes - _NOTES_BYTES, reducers._extra_reducers)
    work_id, ends = getattr(item, "work_id", _NONE), getattr(item, "exit_pid", None) or _NONE
    if not packed.exports:
        end.send([_HEAD.pack(work_id, ends, 0), *packed.pieces], ())
        return
    with packed:
        notes = pickle.dumps((packed.layout, list(map(str, packed.exports))), 5)
        head = _HEAD.pack(work_id, ends, len(notes))
        end.send([head, notes, *packed.pieces], [exported.fileno() for exported in packed.exports])


def _open(message: memoryview, numbers: list[int], failed: Callable[[int, int | None, Exception], Any]) -> Any:
    work_id, ends, length = _HEAD.unpack_from(message)
    stream = message[_HEAD.size + length :]
    if not length:
        return pickle.loads(stream)  # noqa: S301 A relative sent it.
    regions = []
    try:
        layout, strings = pickle.loads(message[_HEAD.size : _HEAD.size + length])  # noqa: S301
        regions = take(strings, numbers)
        opened = Opened(stream, layout, regions)
    except Error as error:
        # The error would keep them.
        for region in regions:
            region.close()
        return failed(work_id, None if ends == _NONE else ends, error)
    # Else that would keep it.
    del regions
    # An error from here on is the value's own.
    return opened.load()


class CallQueue:
    """The calls, at most as many as a semaphore permits before a worker takes them."""

    def __init__(self, semaphore: Any, min_bytes: int, on_error: Callable[[Exception, Any], None]) -> None:
        """Connect the ends; the thread that pickles starts with the first call."""
        self._reader, self._writer = pair()
        self._semaphore = semaphore
        self._min_bytes = min_bytes
        self._on_error = on_error
        self._waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False

    def __getstate__(self) -> tuple[Any, ...]:
        """Give a worker what it needs."""
        context.assert_spawning(self)
        return self._reader, self._semaphore

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Be in a worker."""
        self._reader, self._semaphore = state

    def full(self) -> bool:
        """Return whether as many calls as permitted are on their way."""
        return bool(self._semaphore._semlock._is_zero())

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Send an item, by the thread."""
        if self._closed:
            raise ValueError("the queue is closed")
        if not self._semaphore.acquire(block, timeout):
            raise queue.Full
        if self._thread is None:
            self._thread = threading.Thread(target=self._feed, name="heirloom.CallQueue", daemon=True)
            self._thread.start()
        self._waiting.put(item)

    def put_nowait(self, item: Any) -> None:
        """Send an item unless too many are on their way."""
        self.put(item, block=False)

    def get(self, block: bool = True) -> Any:  # noqa: ARG002 Nobody asks for less.
        """Take an item, in a worker."""
        if hasattr(self, "_writer"):
            # A fork has it. Closed, this process gets to know when its parent ends.
            self._writer.close()
        message, numbers = self._reader.receive()
        if not message:
            # Nobody waits for results.
            sys.exit(1)
        self._semaphore.release()
        return _open(message, numbers, lambda work_id, _, error: process._CallItem(work_id, _fail, (error,), {}))

    def close(self) -> None:
        """Send what was put, and close the ends."""
        if self._closed:
            return
        self._closed = True
        self._waiting.put(_END)
        if self._thread is None:
            self._feed()

    def join_thread(self) -> None:
        """Wait for the thread."""
        if self._thread is not None:
            self._thread.join()

    def _terminate_broken(self) -> None:
        # With the workers' ends, this one wakes a thread that waits to send.
        self._reader.close()
        self.close()
        self.join_thread()

    def _feed(self) -> None:
        try:
            while (item := self._waiting.get()) is not _END:
                try:
                    _send(self._writer, item, self._min_bytes)
                except BrokenPipeError:
                    # All workers are gone, and the executor knows.
                    return
                except Exception as error:
                    self._semaphore.release()
                    self._on_error(error, item)
                finally:
                    del item
        finally:
            self._reader.close()
            self._writer.close()


class LockUnlessClosed:
    """The executor's lock, for the queue's thread, which the executor waits for when it closes the queue.

    Some versions of Python hold the lock meanwhile. Nothing needs it then: the executor is at its end.
    """

    def __init__(self, lock: threading.Lock, calls: CallQueue) -> None:
        """Know both, without keeping the queue."""
        self._lock = lock
        self._calls = weakref.ref(calls)
        self._locked = False

    def __enter__(self) -> None:
        """Lock, or find the queue closed."""
        while not (locked := self._lock.acquire(timeout=0.01)):
            calls = self._calls()
            if calls is None or calls._closed:
                break
        self._locked = locked

    def __exit__(self, *_: object) -> None:
        """Unlock."""
        if self._locked:
            self._lock.release()


_END = object()


def _fail(error: Exception) -> NoReturn:
    raise error


class ResultQueue:
    """The results."""

    def __init__(self, min_bytes: int) -> None:
        """Connect the ends."""
        reader, self._writer = pair()
        self._reader = _Reader(reader)
        self._min_bytes = min_bytes

    def __getstate__(self) -> tuple[Any, ...]:
        """Give a worker what it needs."""
        context.assert_spawning(self)
        return self._writer, self._min_bytes

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Be in a worker."""
        self._writer, self._min_bytes = state

    def put(self, item: Any) -> None:
        """Send an item, in a worker."""
        if hasattr(self, "_reader"):
            # A fork has it.
            self._reader.close()
        try:
            _send(self._writer, item, self._min_bytes)
        except BrokenPipeError:
            # The parent ended.
            sys.exit(1)

    def close(self) -> None:
        """Close the ends."""
        self._reader.close()
        self._writer.close()


class _Reader:
    """The end that the executor's thread waits for."""

    def __init__(self, end: End) -> None:
        self._end = end

    def fileno(self) -> int:
        return self._end.fileno()

    def recv(self) -> Any:
        message, numbers = self._end.receive()
        if not message:
            raise EOFError
        return _open(message, numbers, _failed)

    def close(self) -> None:
        self._end.close()


def _failed(work_id: int, exit_pid: int | None, error: Exception) -> process._ResultItem:
    return process._ResultItem(work_id, exception=error, exit_pid=exit_pid)
