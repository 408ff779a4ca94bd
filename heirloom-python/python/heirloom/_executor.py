"""The standard library's executor, with a way of its own for large buffers."""

import concurrent.futures
from collections.abc import Callable, Mapping
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext
from typing import Any, SupportsIndex

from ._exchange import CallQueue, LockUnlessClosed, ResultQueue
from ._packed import MIN_BYTES, Packed, check_min_bytes, unpack
from ._shared import shared as _shared


class ProcessPoolExecutor(concurrent.futures.ProcessPoolExecutor):
    """The standard executor, which moves large buffers of arguments and results in memory instead of through pipes.

    The large buffers of a call's arguments, or of a result, are copied into one frozen region, and the receiver maps
    it. Arrays that arrive so are read-only: nobody can write them, and ``array.copy()`` is one to write to. Regions
    travel by their descriptors, without a copy. Everything else, from ``submit`` to ``BrokenProcessPool``, is as in
    ``concurrent.futures.ProcessPoolExecutor``.

    A worker ends with the process that made the executor, however that ends.

    Parameters
    ----------
    max_workers, mp_context, initializer, initargs, max_tasks_per_child
        As in ``concurrent.futures.ProcessPoolExecutor``.
    shared
        Values that all workers read, as ``heirloom.shared[name]``, from the initializer on. They are pickled once,
        here, and all workers map the same memory.
    min_bytes
        The size in bytes from which on a buffer goes by a region, and so does the rest of a value. Below it, a copy
        through a socket is faster. Arrays below it arrive as in the standard executor: one can write to them.

    Raises
    ------
    InvalidInputError
        ``min_bytes`` is not positive.
    TypeError, pickle.PicklingError
        A shared value can't be pickled.
    OutOfMemoryError, OutOfDescriptorsError

    """

    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: BaseContext | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        max_tasks_per_child: int | None = None,
        shared: Mapping[str, object] | None = None,
        min_bytes: SupportsIndex = MIN_BYTES,
    ) -> None:
        """Start no worker yet."""
        least = check_min_bytes(min_bytes)
        # Before there is anything to close.
        packed = Packed(dict(shared or {}), min_bytes=least)
        options: Any = {"max_tasks_per_child": max_tasks_per_child}
        super().__init__(max_workers, mp_context, initializer, initargs, **options)
        own: Any = self
        own._initializer = _begin
        own._initargs = (packed._parts, initializer, initargs)
        replaced = own._call_queue
        # It knows how to tell a future that its call can't be pickled.
        own._call_queue = CallQueue(replaced._sem, least, replaced._on_queue_feeder_error)
        if hasattr(replaced, "shutdown_lock"):
            replaced.shutdown_lock = LockUnlessClosed(replaced.shutdown_lock, own._call_queue)
        replaced._reader.close()
        replaced._writer.close()
        own._result_queue.close()
        own._result_queue = ResultQueue(least)

    def _spawn_process(self) -> None:
        own: Any = super()
        try:
            own._spawn_process()
        except (OSError, ValueError) as error:
            # Python 3.11 doesn't wait for this before it closes the queue of an executor that lost a worker.
            broken = getattr(self, "_broken", False)
            if not broken:
                raise
            raise BrokenProcessPool(broken) from error

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers, as in the standard executor."""
        super().shutdown(wait, cancel_futures=cancel_futures)
        if wait:
            own: Any = self
            # No worker will need the shared values.
            own._initargs = ()


def _begin(parts: tuple[Any, ...], initializer: Callable[..., object] | None, initargs: tuple[Any, ...]) -> None:
    """Prepare a worker."""
    _shared._values = unpack(*parts)
    _, layout, regions = parts
    if layout.region:
        # The values have its memory.
        regions[0].close()
    if initializer is not None:
        initializer(*initargs)
