"""Regions in joblib's workers."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import heirloom
import pytest
from helpers import descriptors, until
from recipes import ByDescriptor, number_of, place_of, region_at

np = pytest.importorskip("numpy")
joblib = pytest.importorskip("joblib")

BACKENDS = ["loky", "multiprocessing"]


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    gc.collect()
    before = descriptors()
    yield
    # New workers for each test, and none after them.
    joblib.externals.loky.get_reusable_executor().shutdown()
    gc.collect()
    until(lambda: descriptors() == before, seconds=5)


def both(backend: str, function: Any, *arguments: Any) -> list[Any]:
    """Call a function twice in workers."""
    answers: list[Any] = joblib.Parallel(2, backend=backend)(joblib.delayed(function)(*arguments) for _ in range(2))
    return answers


def locate(region: heirloom.AnyRegion) -> tuple[int, int, float]:
    """Say in which process it arrived, in which region its bytes are, and their sum."""
    array = region.ndarray("f8")
    return os.getpid(), region_at(place_of(array)), float(array.sum())


def locate_array(array: Any) -> tuple[int, bool, float]:
    """Say where an array is: in which region, whether in joblib's file."""
    address, nbytes = place_of(array)
    files = [line for line in Path("/proc/self/maps").read_text().splitlines() if "/joblib_memmapping_folder" in line]
    spans = [[int(part, 16) for part in line.split()[0].split("-")] for line in files]
    in_file = any(start <= address and address + nbytes <= end for start, end in spans)
    return region_at((address, nbytes)), in_file, float(array.sum())


def add(region: heirloom.AnyRegion, place: int) -> int:
    """Write a number."""
    region.ndarray("f8")[place] = 1
    return os.getpid()


held: Any = None


def hold(region: heirloom.AnyRegion) -> None:
    """Keep what a worker gets at its start."""
    global held
    held = region


def locate_held() -> tuple[int, int, float]:
    """Locate it."""
    return locate(held)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_region_that_is_sent_by_its_descriptor_is_read_in_place(backend: str) -> None:
    frozen = heirloom.FrozenRegion(np.ones(100_000))
    for process, number, total in both(backend, locate, ByDescriptor(frozen)):
        assert process != os.getpid()
        assert (number, total) == (number_of(frozen), 100_000)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_region_as_a_plain_argument_is_copied(backend: str) -> None:
    frozen = heirloom.FrozenRegion(np.ones(100_000))
    for process, number, total in both(backend, locate, frozen):
        assert process != os.getpid()
        assert number not in (0, number_of(frozen))
        assert total == 100_000


@pytest.mark.parametrize("backend", BACKENDS)
def test_workers_write_results_where_they_may(backend: str) -> None:
    results = heirloom.Region(8 * 100)
    calls = [joblib.delayed(add)(ByDescriptor(results), place) for place in range(100)]
    assert os.getpid() not in joblib.Parallel(2, backend=backend)(calls)
    assert results.ndarray("f8").sum() == 100
    frozen = heirloom.FrozenRegion(bytes(8))
    with pytest.raises(ValueError, match="assignment destination is read-only"):
        both(backend, add, ByDescriptor(frozen), 0)
    assert bytes(frozen) == bytes(8)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_array_goes_by_a_file_of_joblib(backend: str) -> None:
    frozen = heirloom.FrozenRegion(np.ones(200_000))
    assert both(backend, locate_array, frozen.ndarray("f8")) == [(0, True, 200_000)] * 2


def test_loky_hands_a_region_to_its_workers_at_their_start() -> None:
    frozen = heirloom.FrozenRegion(np.ones(1000))
    with joblib.parallel_config("loky", initializer=hold, initargs=(ByDescriptor(frozen),)):
        answers = joblib.Parallel(2)([joblib.delayed(locate_held)()] * 2)
    assert [answer[1:] for answer in answers] == [(number_of(frozen), 1000)] * 2
    # joblib keeps the arguments, to compare them with the next ones.
    frozen.close()


def test_dump_and_load_make_another_region(tmp_path: Path) -> None:
    frozen = heirloom.FrozenRegion(np.ones(1000))
    joblib.dump(frozen, tmp_path / "frozen")
    loaded = joblib.load(tmp_path / "frozen")
    assert type(loaded) is heirloom.FrozenRegion
    assert bytes(loaded) == bytes(frozen)
    assert number_of(loaded) != number_of(frozen)
    with pytest.raises(TypeError, match="cannot pickle a Region"):
        joblib.dump(heirloom.Region(64), tmp_path / "region")
