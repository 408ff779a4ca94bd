"""What workers of executors do in the tests."""

import contextlib
import os
import resource
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import heirloom
import helpers


def mapped(name: str = "pool") -> set[str]:
    """List the regions of this name that this process maps, by their numbers in the kernel."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return {line.split()[4] for line in lines if f"/memfd:heirloom/{name}" in line}


def describe(array: Any) -> tuple[float, bool, int]:
    """Say what arrived: the sum, whether it can be written, how many regions are mapped."""
    return float(array.sum()), bool(array.flags.writeable), len(mapped())


def make(count: int, value: int = 1) -> Any:
    """Make an array."""
    import numpy as np

    return np.full(count, value)


def echo(value: Any) -> Any:
    """Return the argument."""
    return value


def make_what_cannot_be_pickled() -> Any:
    """Make an array and a function that has no name."""
    return [make(1 << 20), heirloom.FrozenRegion(b"x"), lambda: None]


def frozen(data: bytes) -> heirloom.FrozenRegion:
    """Make a region."""
    return heirloom.FrozenRegion(data, name="made")


def first_bytes(regions: Sequence[heirloom.AnyRegion]) -> list[bytes]:
    """Read regions."""
    return [bytes(region)[:4] for region in regions]


def raise_with(value: Any) -> None:
    """Raise an exception that has a value."""
    raise LookupError("in the worker", value)


def end(value: Any) -> None:
    """End abruptly, after the argument arrived."""
    os._exit(3)


def sleep(seconds: float, value: Any = None) -> int:
    """Take a while."""
    time.sleep(seconds)
    return os.getpid()


def look_up(name: str) -> tuple[int, float, bool, set[str]]:
    """Read a shared array."""
    time.sleep(0.05)
    array = heirloom.shared[name]
    return os.getpid(), float(array.sum()), bool(array.flags.writeable), mapped()


def shared_names() -> list[str]:
    """List what is shared."""
    return list(heirloom.shared)


initialized: Any = None


def initialize(name: str) -> None:
    """Read a shared value before the first call."""
    global initialized
    initialized = heirloom.shared[name]


def what_was_initialized() -> Any:
    """Return it."""
    return initialized


def keep(array: Any, *semaphores: Any) -> None:
    """Keep an array, the shared one by default, for `read_kept`."""
    global initialized
    initialized = heirloom.shared["table"] if array is None else array, *semaphores


def read_kept() -> tuple[int, int, int]:
    """Read all of the array, and wait until all workers have."""
    array, done, all_done = initialized
    total = int(array.sum())
    done.release()
    all_done.acquire()
    # At the start, an allocator may have a mapping of its own.
    return os.getpid(), array.ctypes.data + array.nbytes // 2, total


def open_no_more() -> None:
    """Keep this process from opening a descriptor."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    with contextlib.suppress(OSError):
        while True:
            os.dup(0)


def check(regions: list[heirloom.AnyRegion], answers: Any) -> None:
    """Check what was packed."""
    answers.put(helpers.check(regions))


def answer(value: Any, answers: Any) -> None:
    """Answer what arrived."""
    if isinstance(value, heirloom.Packed):
        # A fork has the object itself.
        value = value.unpack()
    answers.put((type(value).__name__, {name: describe(array) for name, array in value.items()}))


class Counted:
    """Counts how often it is pickled, in this process."""

    pickled = 0

    def __getstate__(self) -> Mapping[str, int]:
        """Count."""
        Counted.pickled += 1
        return {"some": 1}
