"""Frames of polars over regions. Its threads don't survive a fork, so no child is forked here."""

from typing import Any

import heirloom
import pytest
from recipes import Place, in_children, into_region, number_of, open_table, places_in_array, region_at, regions_at

np = pytest.importorskip("numpy")
pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")

METHODS = ["spawn", "forkserver"]
LONG = [f"more than twelve bytes {number}" for number in range(1000)]
SHORT = [str(number) for number in range(1000)]


def make_frame() -> Any:
    """Make a frame."""
    numbers = pl.int_range(1000, eager=True)
    return pl.DataFrame(
        {
            "number": numbers,
            "missing": [None, 1.5] * 500,
            "flag": [True, False] * 500,
            "day": numbers.cast(pl.Date),
            "short": SHORT,
            "long": LONG,
        }
    )


def places_of(series: Any) -> list[Place]:
    """List the buffers of a column as polars has them."""
    return places_in_array(series.rechunk().to_arrow(compat_level=pl.CompatLevel.newest()))


def read(region: heirloom.FrozenRegion) -> tuple[dict[str, set[int]], bool]:
    """Read a table in a child."""
    return receive(pl.from_arrow(open_table(region)))


def receive(frame: Any) -> tuple[dict[str, set[int]], bool]:
    """Do the same with a frame that was pickled."""
    return {name: regions_at(places_of(frame[name])) for name in frame.columns}, frame.equals(make_frame())


@pytest.mark.parametrize("method", METHODS)
def test_each_worker_reads_every_column_in_place(method: str) -> None:
    frame = make_frame()
    region = into_region(frame.to_arrow(compat_level=pl.CompatLevel.newest()))
    places = {name: {number_of(region)} for name in frame.columns}
    assert in_children(method, read, region) == [(places, True)] * 2


@pytest.mark.parametrize("method", METHODS)
def test_a_frame_as_an_argument_is_copied(method: str) -> None:
    region = into_region(make_frame().to_arrow(compat_level=pl.CompatLevel.newest()))
    frame = pl.from_arrow(open_table(region))
    places = {name: {0} for name in frame.columns}
    assert in_children(method, receive, frame) == [(places, True)] * 2


@pytest.mark.parametrize("kind", ["string", "large_string"])
def test_of_other_strings_polars_makes_16_bytes_each(kind: str) -> None:
    strings = {name: pa.array(values, getattr(pa, kind)()) for name, values in (("short", SHORT), ("long", LONG))}
    region = into_region(pa.table(strings))
    frame = pl.from_arrow(open_table(region))
    # The views, and the bytes of long strings.
    assert [(nbytes, region_at((start, nbytes))) for start, nbytes in places_of(frame["short"])] == [(16000, 0)]
    assert [(nbytes, region_at((start, nbytes))) for start, nbytes in places_of(frame["long"])] == [
        (16000, 0),
        (sum(map(len, LONG)), number_of(region)),
    ]


def test_list_offsets_and_categories_are_copied() -> None:
    region = into_region(
        pa.table({"list": pa.array([[1, 2]] * 1000), "category": pa.array(["a", "b"] * 500).dictionary_encode()})
    )
    frame = pl.from_arrow(open_table(region))
    offsets, numbers = (region_at(place) for place in places_of(frame["list"]))
    assert (offsets, numbers) == (0, number_of(region))
    assert regions_at(places_of(frame["category"].to_physical())) == {0}


def test_series_and_frames_over_arrays() -> None:
    region = heirloom.FrozenRegion(np.ones((1000, 3)))
    number = number_of(region)
    assert regions_at(places_of(pl.Series(region.ndarray("f8")))) == {number}
    assert regions_at(places_of(pl.DataFrame({"a": region.ndarray("f8")})["a"])) == {number}
    frame = pl.DataFrame(region.ndarray("f8", (1000, 3), order="F"))
    assert [regions_at(places_of(column)) for column in frame] == [{number}] * 3
    frame = pl.DataFrame(region.ndarray("f8", (1000, 3)))
    assert [regions_at(places_of(column)) for column in frame] == [{0}] * 3


def test_read_ipc_copies() -> None:
    region = into_region(pa.table({"number": range(1000)}))
    with pytest.raises(TypeError):
        pl.read_ipc(region)
    assert regions_at(places_of(pl.read_ipc(pa.BufferReader(pa.py_buffer(region)))["number"])) == {0}


def test_a_write_copies_and_leaves_the_region() -> None:
    region = into_region(pa.table({"number": range(1000)}))
    before = bytes(region)
    series = pl.from_arrow(open_table(region))["number"]
    with pytest.raises(ValueError, match="assignment destination is read-only"):
        series.to_numpy(allow_copy=False)[0] = 5
    assert regions_at(places_of(series)) == {number_of(region)}
    series[0] = 5
    assert series[0] == 5
    assert regions_at(places_of(series)) == {0}
    assert bytes(region) == before
