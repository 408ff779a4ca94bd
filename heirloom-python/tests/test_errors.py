"""Wrong input, and what the exceptions are."""

import builtins
import ctypes
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import heirloom
import pytest
from helpers import python


@pytest.mark.parametrize(
    ("size", "error", "why"),
    [
        (0, heirloom.InvalidInputError, "region of 0 bytes: the size must be at least 1"),
        (-1, heirloom.InvalidInputError, "the size is negative: -1"),
        (1 << 63, heirloom.TooLargeError, "of 9223372036854775808 bytes: it exceeds the address space"),
        (1 << 70, heirloom.TooLargeError, "the size exceeds the address space: 1180591620717411303424"),
        (1.0, TypeError, "'float' object"),
        ("1", TypeError, "'str' object"),
        (None, TypeError, "'NoneType' object"),
    ],
)
def test_sizes(size: Any, error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why) as failed:
        heirloom.Region(size)
    assert failed.type is error
    assert heirloom.Region(1).nbytes == 1


@pytest.mark.parametrize(
    ("offset", "length", "error", "why"),
    [
        (1, None, heirloom.MisalignedError, "bytes 1 to 8192 .*: the start is not a multiple of"),
        (0, 0, heirloom.InvalidInputError, "the range is empty"),
        (8192, None, heirloom.InvalidInputError, "the range is empty"),
        (0, 8193, heirloom.OutOfBoundsError, "bytes 0 to 8193 of a region of 8192 bytes: the range exceeds the region"),
        (12288, 1, heirloom.OutOfBoundsError, "the range starts behind the region's end"),
        (-4096, None, heirloom.InvalidInputError, "the offset is negative: -4096"),
        (0, -1, heirloom.InvalidInputError, "the length is negative: -1"),
        (4096, (1 << 64) - 1, heirloom.OutOfBoundsError, "the range exceeds the region or the address space"),
        (1 << 64, None, heirloom.TooLargeError, "the offset exceeds the address space"),
        (0.0, None, TypeError, "'float' object"),
        (0, 1.5, TypeError, "'float' object"),
    ],
)
def test_ranges(offset: Any, length: Any, error: type[Exception], why: str) -> None:
    region = heirloom.Region(8192)
    for view in (region.view, region.view_copy):
        with pytest.raises(error, match=why) as failed:
            view(offset, length)
        assert failed.type is error
        assert view(4096, 1).nbytes == 1


def test_slices_end_where_the_region_ends() -> None:
    view = memoryview(heirloom.Region(10))
    assert len(view[8:20]) == 2
    with pytest.raises(IndexError):
        view[10]
    with pytest.raises(ValueError, match="different structures"):
        view[8:20] = b"abc"
    view[8:20] = b"ab"


class Mixed(ctypes.Structure):
    """Has an object."""

    _fields_ = (("number", ctypes.c_int), ("some", ctypes.py_object))


class Offset(ctypes.Structure):
    """Has none, though the format has the letter."""

    _fields_ = (("Offset", ctypes.c_int),)


def test_a_closed_region_is_no_source() -> None:
    region = heirloom.Region(10)
    region.close()
    uses: list[Callable[[], object]] = [
        lambda: heirloom.FrozenRegion(region),
        lambda: heirloom.FrozenRegion.copy_of(region),
        lambda: heirloom.inheriting(region=region).__enter__(),
        lambda: heirloom.Packed(region),
        lambda: heirloom.ProcessPoolExecutor(shared={"region": region}),
    ]
    for use in uses:
        with pytest.raises(ValueError, match=r"^the region is closed, or it became a read-only or frozen one$"):
            use()


def test_names_and_objects() -> None:
    for name in ("", "a\0b", "x" * 241):
        with pytest.raises(heirloom.InvalidInputError):
            heirloom.Region(1, name=name)
        with pytest.raises(heirloom.InvalidInputError):
            heirloom.FrozenRegion(b"", name=name)
    for data in (None, "text", 1, [1]):
        with pytest.raises(TypeError, match=f"a bytes-like object is required, not '{type(data).__name__}'"):
            heirloom.FrozenRegion(data)  # type: ignore[arg-type]
    for objects in ((ctypes.py_object * 2)(), Mixed()):
        with pytest.raises(TypeError, match="cannot freeze objects: a region has bytes, and no other process knows"):
            heirloom.FrozenRegion(objects)
    assert heirloom.FrozenRegion(Offset()).nbytes == 4
    with pytest.raises(TypeError, match="'bytes' object is not an instance of 'AnyRegion'"):
        heirloom.FrozenRegion.copy_of(b"bytes")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected a path, a descriptor or a file, not list"):
        heirloom.FrozenRegion.from_file([])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"No constructor|cannot create"):
        heirloom.AnyRegion()


def test_every_kind_of_the_library_has_a_class() -> None:
    source = Path(__file__).parents[2] / "heirloom/src/error.rs"
    kinds = set(re.findall(r"^    (\w+),$", source.read_text().split("pub enum ErrorKind {")[1].split("\n}")[0], re.M))
    ours = {cls.kind for cls in heirloom.Error.__subclasses__()}
    # Programs are started by subprocess.
    assert {"StillWritable", "PeerGone"} <= kinds
    assert ours <= kinds
    assert kinds - ours == {
        "ProgramNotFound",
        "ProgramNotRunnable",
    }


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("StillWritable", "BufferError"),
        ("Sealed", "PermissionError"),
        ("NotInherited", "LookupError"),
        ("AlreadyTaken", "LookupError"),
        ("WrongKind", "TypeError"),
        ("Malformed", "ValueError"),
        ("Mismatch", "ValueError"),
        ("InvalidInput", "ValueError"),
        ("TooLarge", "OverflowError"),
        ("OutOfMemory", "MemoryError"),
        ("OutOfDescriptors", "OSError"),
        ("OutOfBounds", "IndexError"),
        ("PeerGone", "ConnectionError"),
        ("OperatingSystem", "OSError"),
    ],
)
def test_each_is_a_built_in_and_can_be_pickled(name: str, builtin: str) -> None:
    cls = getattr(heirloom, f"{name}Error")
    assert issubclass(cls, heirloom.Error)
    assert issubclass(cls, getattr(builtins, builtin))
    error = cls("why")
    error.errno = 22
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.errno, again.kind) == (cls, "why", 22, cls.kind)


def test_advice_is_in_python_s_words() -> None:
    region = heirloom.Region(4096)
    sealed = heirloom.AnyRegion.from_fd(os.dup(region.fileno()))
    region.freeze()
    with pytest.raises(PermissionError) as failed:
        sealed.view()
    assert isinstance(failed.value, heirloom.SealedError)
    assert str(failed.value).endswith("; take heirloom.FrozenRegion.copy_of(region)")
    assert "::" not in str(failed.value)
    with pytest.raises(LookupError, match=r"this process inherited no regions; .* see heirloom.inheriting"):
        heirloom.AnyRegion.inherited("none")
    assert heirloom.inherited() == {}


def test_out_of_descriptors() -> None:
    code = """
import resource, heirloom
resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
try:
    regions = [heirloom.Region(1) for _ in range(16)]
except OSError as error:
    print(type(error).__name__, error.errno, error)
"""
    said = python(code).stdout
    assert said.startswith("OutOfDescriptorsError 24 cannot create a region of 1 bytes: Too many open files")
    assert said.endswith("; close some descriptors or raise the limit (ulimit -n)\n")
