"""Pickles whose large buffers are in one frozen region, and whose regions travel by their descriptors."""

import copyreg
import os
import pickle
import threading
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

from . import _heirloom
from ._channel import MOST_DESCRIPTORS
from ._errors import OutOfDescriptorsError
from ._heirloom import AnyRegion, ExportedRegion, FrozenRegion, ReadOnlyRegion, Region

_ALIGNMENT = 64
_MOST_BUFFERS = 1024  # So that the layout stays small.
_MOST_PIECES = 512  # The kernel takes 1024 in one call.


class Layout(NamedTuple):
    """Where things are in the region of a value."""

    spans: list[tuple[int, int]]
    """The start and the length of each buffer."""
    stream: tuple[int, int] | None
    """Those of the pickle itself, unless it is beside the region."""
    region: bool
    """Whether the first region is the value's own."""


_BESIDE = Layout([], None, False)


class Pack:
    """A pickled value: the pickle's pieces, where the rest is, and the regions that go with it."""

    def __init__(self, pieces: Sequence[Any], layout: Layout, exports: list[ExportedRegion]) -> None:
        """Own the exports."""
        self.pieces = pieces
        self.layout = layout
        self.exports = exports

    def __enter__(self) -> Self:
        """Keep the descriptors open."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Close them."""
        _close(self.exports)


def pack(value: object, min_bytes: int, most_bytes: int, reducers: Mapping[Any, Any] | None = None) -> Pack:
    """Pickle a value. Buffers from ``min_bytes`` on, and a pickle from there or ``most_bytes`` on, go into a region.

    With multiprocessing's reducers, there is one receiver, and it is running.
    """
    pieces, large, exports = _Pieces(), list[memoryview](), list[ExportedRegion]()

    def in_band(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < min_bytes or len(large) == _MOST_BUFFERS:
            return True
        large.append(raw)
        return False

    def by_descriptor(region: AnyRegion) -> Any:
        if len(exports) + 1 >= MOST_DESCRIPTORS:
            return otherwise(region)
        exports.append(region.export())
        # The first place is for the value's own region.
        return _arrived, (len(exports),)

    def otherwise(region: AnyRegion) -> Any:
        from ._carry import reduce, reduce_ex

        # A frozen one goes by value, which leaves nothing to close if nobody receives it.
        return reduce(region) if reducers and not isinstance(region, FrozenRegion) else reduce_ex(region, 5)

    writer = pickle.Pickler(pieces, 5, buffer_callback=in_band)
    own = {Region: by_descriptor, ReadOnlyRegion: by_descriptor, FrozenRegion: by_descriptor}
    writer.dispatch_table = {**copyreg.dispatch_table, **(reducers or {}), **own}
    try:
        writer.dump(value)
        length = pieces.nbytes
        inside = length >= min(min_bytes, most_bytes)
        if not large and not inside:
            return Pack(pieces.held, _BESIDE, exports)
        spans, size = [], 0
        for raw in large:
            size += -size % _ALIGNMENT
            spans.append((size, raw.nbytes))
            size += raw.nbytes
        stream = (size, length) if inside else None
        region = Region(size + length if inside else size, name="pool")
        for (start, _), raw in zip(spans, large, strict=True):
            _write(region, start, [raw])
        if inside:
            _write(region, size, pieces.held)
        with region.freeze() as frozen:
            exports.insert(0, frozen.export())
        return Pack([] if inside else pieces.held, Layout(spans, stream, True), exports)
    except BaseException:
        _close(exports)
        raise


class _Pieces:
    """A file that keeps what the pickler writes, without a copy of large bytes."""

    def __init__(self) -> None:
        self.held: list[Any] = []
        self.nbytes = 0

    def write(self, piece: Any) -> None:
        if type(piece) is memoryview:
            # It ends with this call.
            piece = bytes(piece)
        elif type(piece) is not bytes:
            piece = pickle.PickleBuffer(piece).raw()
        self.held.append(piece)
        self.nbytes += len(piece)


def _write(region: Region, start: int, pieces: Sequence[Any]) -> None:
    """Write pieces after each other: the kernel copies them, and needs no mapping for it."""
    number = region.fileno()
    for first in range(0, len(pieces), _MOST_PIECES):
        rest = list(pieces[first : first + _MOST_PIECES])
        while rest:
            written = os.pwritev(number, rest, start)
            start += written
            while rest and written >= len(rest[0]):
                written -= len(rest.pop(0))
            if rest:
                rest[0] = memoryview(rest[0])[written:]


def _close(exports: Iterable[ExportedRegion]) -> None:
    for exported in exports:
        exported.close()


class Opened:
    """A pack that arrived, whose regions are checked and mapped."""

    def __init__(self, stream: Any, layout: Layout, regions: Sequence[AnyRegion]) -> None:
        """Map the value's own region."""
        self._buffers: list[memoryview] = []
        self._stream = stream
        # Without a region of its own, the first place is empty.
        self._regions: list[AnyRegion | None] = [None, *regions[layout.region :]]
        if layout.region:
            whole = memoryview(regions[0].view())
            self._buffers += [whole[start : start + length] for start, length in layout.spans]
            if layout.stream:
                start, length = layout.stream
                self._stream = whole[start : start + length]

    def load(self) -> Any:
        """Unpickle the value, once."""
        outer = getattr(_local, "regions", None)
        _local.regions = self._regions
        try:
            return pickle.loads(self._stream, buffers=self._buffers)  # noqa: S301 A relative sent it.
        finally:
            _local.regions = outer


_local = threading.local()


def _arrived(place: int) -> AnyRegion:
    """Stand for a region in a pickle."""
    region: AnyRegion = _local.regions[place]
    return region


def take(strings: Sequence[str], numbers: Sequence[int]) -> list[AnyRegion]:
    """Take descriptors that arrived, if they are exactly what was sent, or else close all of them.

    Raises
    ------
    OutOfDescriptorsError
        Some didn't fit into this process.
    MismatchError, MalformedError
        One is not what was sent.

    """
    taken: list[AnyRegion] = []
    try:
        if len(numbers) != len(strings):
            raise OutOfDescriptorsError(
                f"cannot receive {len(strings)} regions: this process can open no more descriptors; raise the limit "
                "(ulimit -n), or drop regions"
            )
        for string, number in zip(strings, numbers, strict=True):
            taken.append(_heirloom.take_over(string, number))
    except BaseException:
        for region in taken:
            region.close()
        for number in numbers[len(taken) :]:
            os.close(number)
        raise
    return taken
