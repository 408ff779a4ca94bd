"""Tables of Arrow in regions."""

import signal
from pathlib import Path
from typing import Any

import heirloom
import pytest
from helpers import python
from recipes import in_children, into_region, number_of, open_table, places_in_table, regions_at, write_table

pa = pytest.importorskip("pyarrow")

METHODS = ["spawn", "forkserver", "fork"]


def make_table() -> Any:
    """Make a table of many types, with missing values."""
    import pyarrow as pa

    words = [f"word {number}" for number in range(1000)]
    return pa.table(
        {
            "number": pa.array(range(1000)),
            "missing": pa.array([None, 1.5] * 500),
            "flag": pa.array([True, False] * 500),
            "word": pa.array(words),
            "view": pa.array(words).cast(pa.string_view()),
            "list": pa.array([[1, 2]] * 1000),
            "dictionary": pa.array(["a", "b"] * 500).dictionary_encode(),
            "day": pa.array(range(1000), pa.date32()),
        }
    )


def read(region: heirloom.FrozenRegion) -> tuple[set[int], bool]:
    """Read a region in a child: where are the buffers, and is it the table?"""
    table = open_table(region)
    return regions_at(places_in_table(table)), table.equals(make_table())


def receive(table: Any) -> tuple[set[int], bool]:
    """Do the same with a table that was pickled."""
    return regions_at(places_in_table(table)), table.equals(make_table())


@pytest.mark.parametrize("method", METHODS)
def test_each_worker_reads_every_buffer_in_place(method: str) -> None:
    region = into_region(make_table())
    assert in_children(method, read, region) == [({number_of(region)}, True)] * 2


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_table_as_an_argument_is_copied(method: str) -> None:
    table = open_table(into_region(make_table()))
    assert in_children(method, receive, table) == [({0}, True)] * 2


def test_a_frozen_table_cannot_be_written() -> None:
    frozen = into_region(make_table())
    assert not pa.py_buffer(frozen).is_mutable
    column = open_table(frozen)["number"].chunk(0)
    with pytest.raises(TypeError, match="cannot modify read-only memory"):
        memoryview(column.buffers()[1])[0] = 1
    with pytest.raises(ValueError, match="assignment destination is read-only"):
        column.to_numpy()[0] = 1
    # What isn't frozen can.
    region = heirloom.Region(4096)
    buffer = pa.py_buffer(region)
    assert buffer.is_mutable
    memoryview(buffer).cast("B")[0] = 7
    assert memoryview(region)[0] == 7


def test_the_region_must_have_the_size_of_the_file() -> None:
    table = make_table()
    measured = pa.MockOutputStream()
    write_table(table, measured)
    small = heirloom.Region(measured.size() - 1)
    with pytest.raises(OSError, match="Write out of bounds"):
        write_table(table, pa.FixedSizeBufferWriter(pa.py_buffer(small)))
    large = heirloom.Region(measured.size() + 64)
    write_table(table, pa.FixedSizeBufferWriter(pa.py_buffer(large)))
    with pytest.raises(pa.ArrowInvalid, match="Not an Arrow file"):
        pa.ipc.open_file(pa.py_buffer(large.freeze()))


def test_writing_to_a_frozen_region_aborts() -> None:
    code = """
import resource, heirloom, pyarrow as pa
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
region = heirloom.{}
pa.FixedSizeBufferWriter(pa.py_buffer(region))
"""
    done = python(code.format("FrozenRegion(bytes(64))"))
    assert done.returncode == -signal.SIGABRT
    assert "Must pass mutable buffer" in done.stderr
    assert python(code.format("Region(64)")).returncode == 0


def test_batches_of_a_parquet_file(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    table = make_table().select(["number", "word"])
    pq.write_table(table, tmp_path / "table.parquet", row_group_size=100)
    file = pq.ParquetFile(tmp_path / "table.parquet")

    def write(sink: Any) -> int:
        count = 0
        with pa.ipc.new_file(sink, file.schema_arrow) as writer:
            for batch in file.iter_batches(batch_size=100):
                writer.write_batch(batch)
                count += 1
        return count

    measured = pa.MockOutputStream()
    assert write(measured) == 10
    region = heirloom.Region(measured.size())
    write(pa.FixedSizeBufferWriter(pa.py_buffer(region)))
    frozen = region.freeze()
    read = open_table(frozen)
    assert read.equals(table)
    assert regions_at(places_in_table(read)) == {number_of(frozen)}


def test_compressed_batches_are_copied() -> None:
    table = pa.table({"number": pa.array([1] * 10000)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    read = open_table(heirloom.FrozenRegion(sink.getvalue()))
    assert read.equals(table)
    assert regions_at(places_in_table(read)) == {0}


def test_a_table_outlives_the_region_object() -> None:
    region = into_region(make_table())
    number = number_of(region)
    table = open_table(region)
    region.close()
    del region
    assert table.equals(make_table())
    assert regions_at(places_in_table(table)) == {number}
