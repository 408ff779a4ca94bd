"""Arrays of numpy."""

from typing import Any

import heirloom
import pytest
from helpers import mappings

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
    ("arguments", "error"),
    [
        ({"dtype": "u8", "shape": 513}, heirloom.OutOfBoundsError),
        ({"dtype": "u8", "shape": (1 << 40, 1 << 40)}, heirloom.OutOfBoundsError),
        ({"dtype": "u8", "shape": -1}, heirloom.InvalidInputError),
        ({"dtype": "u8", "shape": (2.0,)}, TypeError),
        ({"dtype": "S3"}, heirloom.InvalidInputError),
        ({"dtype": "V0"}, heirloom.InvalidInputError),
        ({"dtype": "u8", "offset": 4}, heirloom.MisalignedError),
        ({"offset": 4097}, heirloom.OutOfBoundsError),
        ({"offset": -1}, heirloom.OutOfBoundsError),
        ({"dtype": object}, TypeError),
        ({"dtype": "nonsense"}, TypeError),
        ({"order": "X"}, ValueError),
    ],
)
def test_arrays_that_do_not_fit(arguments: dict[str, Any], error: type[Exception]) -> None:
    region = heirloom.Region(4096)
    with pytest.raises(error):
        region.ndarray(**arguments)
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
    with pytest.raises((TypeError, ValueError)):
        heirloom.FrozenRegion(np.array(["2020-01-01"], "M8[D]"))
