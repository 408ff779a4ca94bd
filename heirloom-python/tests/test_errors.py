"""Wrong input, and what the exceptions are."""

import builtins
import os
import pickle
import re
from pathlib import Path
from typing import Any

import heirloom
import pytest
from helpers import python


@pytest.mark.parametrize(
    ("size", "error"),
    [
        (0, heirloom.InvalidInputError),
        (-1, heirloom.InvalidInputError),
        (1 << 63, heirloom.TooLargeError),
        (1 << 70, heirloom.TooLargeError),
        (1.0, TypeError),
        ("1", TypeError),
        (None, TypeError),
    ],
)
def test_sizes(size: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        heirloom.Region(size)
    assert heirloom.Region(1).nbytes == 1


@pytest.mark.parametrize(
    ("offset", "length", "error"),
    [
        (1, None, heirloom.MisalignedError),
        (0, 0, heirloom.InvalidInputError),
        (8192, None, heirloom.InvalidInputError),
        (0, 8193, heirloom.OutOfBoundsError),
        (12288, 1, heirloom.OutOfBoundsError),
        (-4096, None, heirloom.InvalidInputError),
        (0, -1, heirloom.InvalidInputError),
        (4096, (1 << 64) - 1, heirloom.OutOfBoundsError),
        (1 << 64, None, heirloom.TooLargeError),
        (0.0, None, TypeError),
    ],
)
def test_ranges(offset: Any, length: Any, error: type[Exception]) -> None:
    region = heirloom.Region(8192)
    for view in (region.view, region.view_copy):
        with pytest.raises(error):
            view(offset, length)
        assert view(4096, 1).nbytes == 1


def test_names_and_objects() -> None:
    for name in ("", "a\0b", "x" * 241):
        with pytest.raises(heirloom.InvalidInputError):
            heirloom.Region(1, name=name)
        with pytest.raises(heirloom.InvalidInputError):
            heirloom.FrozenRegion(b"", name=name)
    for data in (None, "text", 1, [1]):
        with pytest.raises(TypeError):
            heirloom.FrozenRegion(data)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        heirloom.FrozenRegion.copy_of(b"bytes")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
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
