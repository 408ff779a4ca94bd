"""Arrays of numpy."""

from typing import Any

import heirloom
import pytest
from helpers import mappings, python

np = pytest.importorskip("numpy")


def test_arrays_share_the_memory() -> None:
    region = heirloom.Region(8192)
    numbers = region.ndarray("<f8", (10, 100), offset=64, order="F")
    assert numbers.flags.f_contiguous
    assert numbers.flags.writeable
    numbers[:] = 1.5
    assert region.ndarray("<f8", offset=64).sum() == 1500
    assert np.frombuffer(region, np.float64)[8] == 1.5
    assert region.ndarray().shape == (8192,)
    assert region.ndarray(np.dtype([("a", "u1"), ("b", "u1")])).shape == (4096,)
    assert region.view().ndarray("u2", 3).shape == (3,)


@pytest.mark.parametrize(
    ("arguments", "error", "why"),
    [
        ({"dtype": "u8", "shape": 513}, heirloom.OutOfBoundsError, "it has 4104 bytes, and there are 4096"),
        ({"dtype": "u8", "shape": (1 << 40, 1 << 40)}, heirloom.OutOfBoundsError, "and there are 4096"),
        ({"dtype": "u8", "shape": -1}, heirloom.InvalidInputError, r"shape \(-1,\): a length is negative"),
        ({"dtype": "u8", "shape": (2.0,)}, TypeError, "'float' object"),
        ({"dtype": "S3"}, heirloom.InvalidInputError, "not a whole number of its 3 bytes; give the shape"),
        ({"dtype": "V0"}, heirloom.InvalidInputError, "not a whole number of its 0 bytes; give the shape"),
        ({"dtype": "u8", "offset": 4}, heirloom.MisalignedError, "the offset must be a multiple of 8"),
        ({"offset": 4097}, heirloom.OutOfBoundsError, "at offset 4097 of 4096 bytes"),
        ({"offset": -1}, heirloom.OutOfBoundsError, "at offset -1 of 4096 bytes"),
        ({"offset": 1.0}, TypeError, "'float' object"),
        ({"dtype": object}, TypeError, "no other process knows these objects"),
        ({"dtype": "nonsense"}, TypeError, "'nonsense' not understood"),
        ({"order": "X"}, ValueError, "order must be one of"),
    ],
)
def test_arrays_that_do_not_fit(arguments: dict[str, Any], error: type[Exception], why: str) -> None:
    region = heirloom.Region(4096)
    with pytest.raises(error, match=why) as failed:
        region.ndarray(**arguments)
    assert failed.type is error
    assert region.ndarray("u8", 512).nbytes == 4096


def test_arrays_of_sealed_regions_stay_read_only() -> None:
    array = heirloom.FrozenRegion(np.arange(10)).ndarray(np.int64)
    assert list(array) == list(range(10))
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        array.flags.writeable = True


def array_of(how: str, region: heirloom.Region) -> Any:
    """Make an array over a region in one of the ways that numpy has."""
    match how:
        case "ndarray":
            return region.ndarray("u1")
        case "buffer":
            return np.ndarray((region.nbytes,), "u1", buffer=region)
        case "frombuffer":
            return np.frombuffer(region, "u1")
        case "view":
            return region.view().ndarray()
        case _:
            return np.asarray(memoryview(region))


WAYS = ["ndarray", "buffer", "frombuffer", "view", "asarray"]


@pytest.mark.parametrize("how", WAYS)
def test_arrays_outlive_their_region(how: str) -> None:
    region = heirloom.Region(4096, name="outlived")
    array = array_of(how, region)
    array[0] = 7
    region.close()
    del region
    assert array[0] == 7
    array[4095] = 8
    assert mappings("outlived") == 1
    del array
    assert mappings("outlived") == 0


def test_closing_unmaps_what_no_array_can_use() -> None:
    region = heirloom.Region(4096, name="unmapped")
    array = region.ndarray()
    region.close()
    assert mappings("unmapped") == 1
    del array
    # Though the region's object lives.
    assert mappings("unmapped") == 0
    assert region.closed


@pytest.mark.parametrize("how", WAYS)
def test_arrays_become_snapshots_when_the_region_is_frozen(how: str) -> None:
    region = heirloom.Region(1 << 20)
    array = array_of(how, region)
    array[:] = 3
    frozen = region.freeze().ndarray()
    assert frozen.min() == frozen.max() == 3
    array += 1
    assert frozen.max() == 3
    assert array.min() == 4


def test_arrays_in_any_layout_are_copied_in_c_order() -> None:
    numbers = np.arange(24, dtype="i4").reshape(4, 6)
    for array in (numbers, numbers[:, ::2], numbers.T, numbers[::-1], np.asfortranarray(numbers), numbers[:0]):
        frozen = heirloom.FrozenRegion(array)
        assert frozen.nbytes == array.nbytes
        assert (frozen.ndarray("i4", array.shape) == array).all()
    with pytest.raises(ValueError, match="cannot include dtype 'M' in a buffer"):
        heirloom.FrozenRegion(np.array(["2020-01-01"], "M8[D]"))


@pytest.mark.parametrize(
    ("freeze", "copies"),
    [
        ("heirloom.FrozenRegion(pieces)", 1),
        # The kernel copies it without a mapping.
        ("heirloom.FrozenRegion(whole)", 0),
        # The control.
        ("copy = pieces.copy(); heirloom.FrozenRegion(pieces)", 2),
    ],
)
def test_an_array_is_copied_once(freeze: str, copies: int) -> None:
    code = f"""
import numpy as np, heirloom
def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) >> 10
pieces = np.ones((4096, 32 << 10), "u1")[:, ::2]
whole = pieces.copy()
heirloom.FrozenRegion(pieces[:1])
before = peak()
{freeze}
print(peak() - before)
"""
    done = python(code)
    # In MiB; the kernel counts pages in batches.
    assert abs(int(done.stdout) - 64 * copies) < 16, done.stderr
