"""A value that is pickled once, for many receivers."""

import operator
from typing import Any, SupportsIndex

from ._errors import InvalidInputError
from ._heirloom import AnyRegion
from ._packing import Layout, Opened, pack

MIN_BYTES = 256 << 10


def check_min_bytes(min_bytes: SupportsIndex) -> int:
    """Check a break-even."""
    checked = operator.index(min_bytes)
    if checked < 1:
        raise InvalidInputError(f"min_bytes is {checked}, and must be 1 or more")
    return checked


class Packed:
    """A value whose large buffers are in one frozen region: it is pickled once, and unpickles to the value itself.

    It is for ``multiprocessing``: an argument of a ``Process``, or what a ``Queue``, ``Pipe`` or ``Pool`` carries.
    However many arrays the value has, one descriptor travels. Every receiver maps the same memory, so its arrays are
    read-only. The value's regions travel by descriptors of their own. Other pickles have a copy of the bytes.

    A child that was forked with it as an argument has the object, not a pickle: there, call ``unpack``.

    Parameters
    ----------
    value
        Any object that can be pickled.
    min_bytes
        Buffers of at least so many bytes go into the region, and so does the rest if it has as many. Smaller ones are
        copied for each receiver, and can be written there.

    Raises
    ------
    InvalidInputError
        ``min_bytes`` is not positive.
    OutOfMemoryError, OutOfDescriptorsError

    >>> import heirloom, pickle
    >>> packed = heirloom.Packed({"weights": bytes(1 << 20)})
    >>> len(pickle.loads(pickle.dumps(packed))["weights"])
    1048576

    """

    def __init__(self, value: object, *, min_bytes: SupportsIndex = MIN_BYTES) -> None:
        """Pickle the value."""
        least = check_min_bytes(min_bytes)
        with pack(value, least, least) as packed:
            stream = b"".join(packed.pieces)
            regions = [AnyRegion.from_export(str(exported)) for exported in packed.exports]
        self._parts = (stream, packed.layout, regions)

    def unpack(self) -> Any:
        """Make the value, as a receiver does."""
        return unpack(*self._parts)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what is packed, which unpickles to the value."""
        return unpack, self._parts


def unpack(stream: bytes, layout: Layout, regions: list[AnyRegion]) -> Any:
    """Make the value."""
    return Opened(stream, layout, regions).load()
