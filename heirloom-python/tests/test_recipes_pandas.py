"""Frames of pandas over regions."""

import pickle
from typing import Any

import heirloom
import pytest
from recipes import (
    in_children,
    into_region,
    number_of,
    open_table,
    place_of,
    places_in_array,
    region_at,
    regions_at,
)

np = pytest.importorskip("numpy")
pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")

METHODS = ["spawn", "forkserver", "fork"]
SHAPE = (1000, 3)


def arrow_frame() -> Any:
    """Make a frame."""
    words = [f"word {number}" for number in range(1000)]
    return pd.DataFrame({"number": range(1000), "missing": [None, 1.5] * 500, "word": words})


def regions_of(frame: Any) -> dict[str, set[int]]:
    """Return which regions the columns of Arrow are in."""
    found = {}
    for name in frame.columns:
        chunks = frame[name].array.__arrow_array__().chunks
        found[name] = regions_at(place for chunk in chunks for place in places_in_array(chunk))
    return found


def read(region: heirloom.FrozenRegion) -> tuple[dict[str, set[int]], int, str]:
    """Read a table in a child."""
    frame = open_table(region).to_pandas(types_mapper=pd.ArrowDtype)
    return regions_of(frame), int(frame["number"].sum()), frame["word"].max()


def receive(frame: Any) -> tuple[dict[str, set[int]], int, str]:
    """Do the same with a frame that was pickled."""
    return regions_of(frame), int(frame["number"].sum()), frame["word"].max()


def over(region: heirloom.AnyRegion) -> Any:
    """Make a frame over an array."""
    return pd.DataFrame(region.ndarray("f8", SHAPE, order="F"), columns=["a", "b", "c"], copy=False)


def read_array(region: heirloom.AnyRegion) -> tuple[list[int], float]:
    """Read an array in a child, as a frame."""
    frame = over(region)
    return [region_at(place_of(column(frame, name))) for name in frame.columns], float(frame["b"].sum())


def column(frame: Any, name: object) -> Any:
    """Return a column's own memory."""
    return frame[name].to_numpy(copy=False)


@pytest.mark.parametrize("method", METHODS)
def test_each_worker_reads_columns_of_arrow_in_place(method: str) -> None:
    region = into_region(pa.Table.from_pandas(arrow_frame()))
    number = number_of(region)
    places = {"number": {number}, "missing": {number}, "word": {number}}
    assert in_children(method, read, region) == [(places, 499500, "word 999")] * 2


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_frame_as_an_argument_is_copied(method: str) -> None:
    region = into_region(pa.Table.from_pandas(arrow_frame()))
    frame = open_table(region).to_pandas(types_mapper=pd.ArrowDtype)
    places = {"number": {0}, "missing": {0}, "word": {0}}
    assert in_children(method, receive, frame) == [(places, 499500, "word 999")] * 2


def test_a_written_column_of_arrow_is_made_anew() -> None:
    region = into_region(pa.Table.from_pandas(arrow_frame()))
    before = bytes(region)
    frame = open_table(region).to_pandas(types_mapper=pd.ArrowDtype)
    frame.loc[0, "number"] = 5
    assert frame["number"][0] == 5
    assert regions_of(frame) == {"number": {0}, "missing": {number_of(region)}, "word": {number_of(region)}}
    assert bytes(region) == before


def test_to_pandas_copies_by_default() -> None:
    frame = open_table(into_region(pa.table({"a": [1, 2, 3], "b": [4, 5, 6]}))).to_pandas()
    assert region_at(place_of(column(frame, "a"))) == 0


@pytest.mark.parametrize("method", METHODS)
def test_each_worker_reads_an_array_in_place(method: str) -> None:
    region = heirloom.FrozenRegion(np.ones(SHAPE))
    assert in_children(method, read_array, region) == [([number_of(region)] * 3, 1000)] * 2


def test_other_ways_to_make_a_frame_of_an_array_copy() -> None:
    region = heirloom.FrozenRegion(np.ones(SHAPE))
    array = region.ndarray("f8", SHAPE, order="F")
    for frame in (pd.DataFrame(array), pd.DataFrame({0: array[:, 0]}), pickle.loads(pickle.dumps(over(region)))):
        assert region_at(place_of(column(frame, frame.columns[0]))) == 0
    assert region_at(place_of(pd.Series(array[:, 0]).to_numpy(copy=False))) == 0
    for frame in (pd.DataFrame({0: array[:, 0]}, copy=False), pd.Series(array[:, 0], copy=False).to_frame(0)):
        assert region_at(place_of(column(frame, 0))) == number_of(region)


def test_a_frame_over_a_frozen_array_cannot_be_written() -> None:
    frame = over(heirloom.FrozenRegion(np.ones(SHAPE)))
    with pytest.raises(ValueError, match="assignment destination is read-only"):
        frame.loc[0, "a"] = 2
    with pytest.raises(ValueError, match="assignment destination is read-only"):
        frame["a"].array[0] = 2
    # What isn't frozen can, and the region has it.
    region = heirloom.Region(8 * 3000)
    frame = over(region)
    frame.loc[0, "a"] = 2
    assert region.ndarray("f8")[0] == 2
