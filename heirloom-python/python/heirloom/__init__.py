"""Anonymous shared memory that child processes inherit.

A region is memory of a fixed size that has no name: nothing is left in ``/dev/shm`` whatever happens, and the kernel
frees it with the last process that holds it. It is an object with the buffer protocol, an argument of
``multiprocessing.Process``, and something that ``subprocess`` hands to a program in any language.

>>> import heirloom
>>> region = heirloom.Region(64)
>>> memoryview(region)[:5] = b"hello"
>>> frozen = region.freeze()  # from now on nobody can change it
>>> bytes(memoryview(frozen)[:5])
b'hello'
"""

import sys
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

if sys.platform != "linux":
    raise ImportError(
        f"heirloom needs Linux, and this is {sys.platform}: its library in Rust has Windows and macOS, "
        "but this package doesn't yet"
    )
if "t" in sys.abiflags:
    raise ImportError(
        "heirloom needs a Python with the global interpreter lock, and this is a free-threaded build: nobody has "
        "tested it there"
    )

from ._errors import (
    AlreadyTakenError,
    Error,
    ForkedError,
    InvalidInputError,
    MalformedError,
    MisalignedError,
    MismatchError,
    NameInUseError,
    NotInheritedError,
    OperatingSystemError,
    OutOfBoundsError,
    OutOfDescriptorsError,
    OutOfMemoryError,
    PeerBrokenError,
    PeerGoneError,
    SealedError,
    StillWritableError,
    TooLargeError,
    TooManyError,
    UnsupportedError,
    WrongKindError,
)
from ._heirloom import (
    AnyRegion,
    AtomicU32,
    AtomicU64,
    ExportedEnd,
    ExportedRegion,
    FrozenRegion,
    Lock,
    LockView,
    ReadOnlyRegion,
    Receiver,
    Region,
    Sender,
    View,
    channel,
    claim,
    set_undumpable,
)
from ._inheritance import Inherited, inherited, inheriting
from ._registration import register_now_or_later as _register_now_or_later
from ._shared import shared

if _TYPE_CHECKING:
    from ._executor import ProcessPoolExecutor
    from ._packed import Packed

__all__ = [
    "AlreadyTakenError",
    "AnyRegion",
    "AtomicU32",
    "AtomicU64",
    "Error",
    "ExportedEnd",
    "ExportedRegion",
    "ForkedError",
    "FrozenRegion",
    "Inherited",
    "InvalidInputError",
    "Lock",
    "LockView",
    "MalformedError",
    "MisalignedError",
    "MismatchError",
    "NameInUseError",
    "NotInheritedError",
    "OperatingSystemError",
    "OutOfBoundsError",
    "OutOfDescriptorsError",
    "OutOfMemoryError",
    "Packed",
    "PeerBrokenError",
    "PeerGoneError",
    "ProcessPoolExecutor",
    "ReadOnlyRegion",
    "Receiver",
    "Region",
    "SealedError",
    "Sender",
    "StillWritableError",
    "TooLargeError",
    "TooManyError",
    "UnsupportedError",
    "View",
    "WrongKindError",
    "channel",
    "claim",
    "inherited",
    "inheriting",
    "set_undumpable",
    "shared",
]

# They import multiprocessing, which takes longer than all the rest.
_LATER = {"Packed": "_packed", "ProcessPoolExecutor": "_executor"}


def __getattr__(name: str) -> _Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f".{_LATER[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})


_register_now_or_later()
