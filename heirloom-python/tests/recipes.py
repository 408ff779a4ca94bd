"""What the recipes' tests do in children, and how they find out where a buffer is."""

import multiprocessing as mp
import os
import pickle
from collections.abc import Callable, Iterable
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import heirloom

Place = tuple[int, int]
"""An address and a number of bytes."""


def number_of(region: heirloom.AnyRegion) -> int:
    """Return a region's number in the kernel, which is the same in every process."""
    return os.stat(region.fileno()).st_ino


def region_at(place: Place) -> int:
    """Return the number of the region whose mapping in this process has these bytes, or 0 if they are elsewhere."""
    address, nbytes = place
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, _access, _offset, _device, number, *path = line.split(maxsplit=5)
        start, end = (int(part, 16) for part in span.split("-"))
        if start <= address and address + nbytes <= end:
            return int(number) if path and path[0].startswith("/memfd:heirloom/") else 0
    return 0


def regions_at(places: Iterable[Place]) -> set[int]:
    """Return the numbers of the regions that buffers are in; 0 stands for other memory."""
    return {region_at(place) for place in places}


def in_children(method: str, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Call a function in two children at once, and return their answers."""
    start: Any = mp.get_context(method)
    children = []
    for _ in range(2):
        ours, theirs = start.Pipe()
        child = start.Process(target=_answer, args=(theirs, function, arguments))
        child.start()
        theirs.close()
        children.append((child, ours))
    answers = [ours.recv() for _, ours in children]
    for child, ours in children:
        ours.send("end")
        child.join()
        assert child.exitcode == 0
    return answers


def _answer(theirs: Any, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    theirs.send(function(*arguments))
    theirs.recv()


def write_table(table: Any, sink: Any) -> None:
    """Write a table of Arrow."""
    import pyarrow as pa

    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def into_region(table: Any) -> heirloom.FrozenRegion:
    """Write a table of Arrow into a region, as the recipe does."""
    import pyarrow as pa

    measured = pa.MockOutputStream()
    write_table(table, measured)
    region = heirloom.Region(measured.size(), name="table")
    write_table(table, pa.FixedSizeBufferWriter(pa.py_buffer(region)))
    return region.freeze()


def open_table(region: heirloom.FrozenRegion) -> Any:
    """Open a table of Arrow in place."""
    import pyarrow as pa

    return pa.ipc.open_file(pa.py_buffer(region)).read_all()


def places_in_array(array: Any) -> list[Place]:
    """List the buffers of an array of Arrow."""
    return [(buffer.address, buffer.size) for buffer in array.buffers() if buffer is not None]


def places_in_table(table: Any) -> list[Place]:
    """List the buffers of a table of Arrow."""
    import pyarrow as pa

    found = []
    for column in table.columns:
        for chunk in column.chunks:
            found += places_in_array(chunk)
            if pa.types.is_dictionary(chunk.type):
                found += places_in_array(chunk.dictionary)
    return found


def place_of(array: Any) -> Place:
    """Return where an array of numpy is, if it is contiguous."""
    return array.ctypes.data, array.nbytes


class ByDescriptor:
    """A region that arrives in a worker of joblib as itself."""

    def __init__(self, region: heirloom.AnyRegion) -> None:
        """Keep the region."""
        self.region = region

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as multiprocessing does."""
        return pickle.loads, (bytes(ForkingPickler.dumps(self.region)),)
