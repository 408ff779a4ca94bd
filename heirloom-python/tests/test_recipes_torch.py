"""Data sets of PyTorch over regions.

Not in ``requirements.txt``: with what it needs of CUDA, the wheel for Linux takes 5 GB.
"""

import os
import signal
from typing import Any

import heirloom
import pytest
from helpers import mappings, python
from recipes import in_children, number_of, region_at

np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch", reason="PyTorch takes 5 GB: pip install torch, and run this file again")
from torch.utils.data import DataLoader, Dataset  # noqa: E402

METHODS = ["spawn", "forkserver", "fork"]
COLUMNS = 8


class Rows(Dataset):  # type: ignore[misc]
    """The rows of a matrix in a region, as in the recipe."""

    def __init__(self, region: heirloom.FrozenRegion) -> None:
        """Make a tensor in place."""
        self.region = region
        self.rows = torch.frombuffer(region.view_copy(), dtype=torch.float32).view(-1, COLUMNS)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the region only."""
        return Rows, (self.region,)

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        """Return a row in place."""
        return self.rows[index]


class Located(Rows):
    """Tells of each row where it is, and in which process."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the region only."""
        return Located, (self.region,)

    def __getitem__(self, index: int) -> tuple[int, int, float]:
        """Look a row up."""
        row = self.rows[index]
        return os.getpid(), region_at((row.data_ptr(), row.nbytes)), float(row.sum())


class Written(Rows):
    """Writes to each row."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the region only."""
        return Written, (self.region,)

    def __getitem__(self, index: int) -> tuple[float, float]:
        """Write to a row."""
        row = self.rows[index]
        row += 1
        return float(row[0]), float(self.region.ndarray("f4")[index * COLUMNS])


def matrix(rows: int = 100) -> Any:
    """Make a matrix."""
    return np.arange(rows * COLUMNS, dtype="f4").reshape(rows, COLUMNS)


def load(data: Any, method: str, **options: Any) -> list[Any]:
    """Load all items by two workers."""
    return list(DataLoader(data, num_workers=2, multiprocessing_context=method, **options))


def locate(tensor: Any) -> int:
    """Find a tensor in a child."""
    return region_at((tensor.data_ptr(), tensor.nbytes))


def as_they_are(items: Any) -> Any:
    """Make no tensors of them."""
    return items


@pytest.mark.parametrize("method", METHODS)
def test_every_worker_reads_the_rows_in_place(method: str) -> None:
    region = heirloom.FrozenRegion(matrix())
    items = load(Located(region), method, batch_size=None, collate_fn=as_they_are)
    processes, numbers, sums = zip(*items, strict=True)
    assert len({*processes, os.getpid()}) == 3
    assert set(numbers) == {number_of(region)}
    assert list(sums) == matrix().sum(1).tolist()


@pytest.mark.parametrize("method", METHODS)
def test_batches_have_the_rows(method: str) -> None:
    batches = load(Rows(heirloom.FrozenRegion(matrix())), method, batch_size=10)
    assert torch.equal(torch.cat(batches), torch.from_numpy(matrix()))


@pytest.mark.parametrize("method", METHODS)
def test_what_a_worker_writes_is_its_own(method: str) -> None:
    region = heirloom.FrozenRegion(matrix())
    items = load(Written(region), method, batch_size=None, collate_fn=as_they_are)
    assert items == [(first + 1, first) for first in matrix()[:, 0].tolist()]
    assert bytes(region) == matrix().tobytes()


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_tensor_as_an_argument_is_copied(method: str) -> None:
    region = heirloom.FrozenRegion(matrix())
    tensor = Rows(region).rows
    assert locate(tensor) == number_of(region)
    assert in_children(method, locate, tensor) == [0, 0]


def test_a_row_is_sent_with_all_memory_of_its_tensor() -> None:
    data = Rows(heirloom.FrozenRegion(matrix()))
    rows = load(data, "spawn", batch_size=None)
    assert {row.untyped_storage().nbytes() for row in rows} == {data.region.nbytes}
    batches = load(data, "spawn", batch_size=1)
    assert {batch.untyped_storage().nbytes() for batch in batches} == {4 * COLUMNS}


def test_tensors_over_a_writable_region() -> None:
    region = heirloom.Region(4 * COLUMNS, name="tensors")
    for tensor in (torch.from_numpy(region.ndarray("f4")), torch.frombuffer(region, dtype=torch.float32)):
        assert locate(tensor) == number_of(region)
        tensor += 1
    assert region.ndarray("f4").tolist() == [2] * COLUMNS
    region.close()
    del region
    assert tensor.tolist() == [2] * COLUMNS
    del tensor
    assert mappings("tensors") == 0


def test_tensors_over_a_frozen_region_itself_warn_and_crash() -> None:
    code = """
import resource, heirloom, torch
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
region = heirloom.FrozenRegion(bytes(64))
tensor = torch.frombuffer(region{}, dtype=torch.float32)
tensor += 1
"""
    done = python(code.format(""))
    assert done.returncode == -signal.SIGSEGV
    assert "The given buffer is not writable" in done.stderr
    done = python(code.format(".view_copy()"))
    assert (done.returncode, done.stderr) == (0, "")
