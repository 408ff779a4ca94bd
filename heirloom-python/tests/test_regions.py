"""The three kinds: buffers, views, closing, conversions."""

import ctypes
import gc
import io
import mmap
import os
import re
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import heirloom
import pytest
from helpers import descriptors, mappings, python


def test_new_memory_is_zero_and_shared_by_all_views() -> None:
    region = heirloom.Region(10_000)
    assert (len(region), region.nbytes, region.kind) == (10_000, 10_000, "writable")
    assert bytes(region) == bytes(10_000)
    memoryview(region)[:5] = b"hello"
    assert bytes(region.view())[:5] == b"hello"
    assert not memoryview(region).readonly


def test_parts_and_copies() -> None:
    page = mmap.ALLOCATIONGRANULARITY
    region = heirloom.Region(3 * page)
    part, copy = region.view(page, 10), region.view_copy(page)
    memoryview(part)[:4] = b"part"
    assert (part.nbytes, copy.nbytes) == (10, 2 * page)
    assert bytes(region)[page : page + 4] == bytes(copy)[:4] == b"part"
    memoryview(copy)[:4] = b"mine"
    assert bytes(part)[:4] == b"part"
    assert not copy.readonly


def test_kinds_that_cannot_be_written_have_read_only_buffers() -> None:
    read_only, writer = heirloom.Region(4096).into_read_only()
    frozen = heirloom.FrozenRegion(b"frozen")
    for region in (read_only, frozen):
        view = memoryview(region)
        assert view.readonly
        assert region.view().readonly
        with pytest.raises(TypeError, match="read-only memory"):
            view[0] = 1
    memoryview(writer)[:4] = b"news"
    assert bytes(read_only)[:4] == b"news"
    memoryview(frozen.view_copy())[0] = 1
    assert bytes(frozen) == b"frozen"


@pytest.mark.parametrize("kind", ["read-only", "frozen"])
def test_the_kernel_refuses_what_python_is_talked_into(kind: str) -> None:
    code = """
import ctypes, sys, heirloom
region = heirloom.Region(4096)
wanted = sys.argv[1] if len(sys.argv) > 1 else KIND
if wanted == "frozen": region = region.freeze()
if wanted == "read-only": region, writer = region.into_read_only()
class Buffer(ctypes.Structure):
    _fields_ = [("buf", ctypes.c_void_p)] + [(str(i), ctypes.c_void_p) for i in range(20)]
buffer = Buffer()
assert ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(region), ctypes.byref(buffer), 0) == 0
ctypes.memset(buffer.buf, 1, 1)
print("written", flush=True)
"""
    assert python(code.replace("KIND", repr(kind))).returncode == -signal.SIGSEGV
    control = python(code.replace("KIND", repr("writable")))
    assert (control.returncode, control.stdout) == (0, "written\n"), control.stderr


def test_close_gives_up_the_descriptor_and_leaves_the_memory_to_its_users() -> None:
    region = heirloom.Region(4096, name="closing")
    view = memoryview(region)
    other = region.view()
    assert descriptors("closing") == 1
    region.close()
    region.close()
    assert region.closed
    assert descriptors("closing") == 0
    view[:4] = b"live"
    assert bytes(other)[:4] == b"live"
    uses = "view", "view_copy", "ndarray", "fileno", "export", "freeze", "into_read_only", "__enter__"
    for use in uses:
        with pytest.raises(ValueError, match="closed"):
            getattr(region, use)()
    with pytest.raises(ValueError, match="closed"):
        memoryview(region)
    del view, other, region
    gc.collect()
    assert mappings("closing") == 0


def test_a_block_closes_and_unmaps() -> None:
    with heirloom.Region(4096, name="block") as region:
        assert not region.closed
    assert region.closed
    with pytest.raises(RuntimeError, match="inside"), heirloom.Region(4096, name="block") as region:
        raise RuntimeError("inside")
    assert region.closed
    assert descriptors("block") == mappings("block") == 0


def test_objects_free_their_memory() -> None:
    region = heirloom.Region(4096, name="freed")
    view = region.view()
    references: list[weakref.ref[Any]] = [weakref.ref(region), weakref.ref(view)]
    del region
    assert mappings("freed") == 1
    del view
    assert [reference() for reference in references] == [None, None]
    assert descriptors("freed") == mappings("freed") == 0


def test_freeze_makes_live_views_private_snapshots() -> None:
    page = mmap.ALLOCATIONGRANULARITY
    region = heirloom.Region(2 * page + 100)
    whole, part, copy = memoryview(region), region.view(page, 10), region.view_copy()
    whole[:5] = b"final"
    whole[page : page + 4] = b"part"
    frozen = region.freeze()
    assert (region.closed, frozen.kind, part.detached, copy.detached) == (True, "frozen", True, False)
    assert bytes(whole[:5]) == b"final"
    whole[:5] = b"mine!"
    memoryview(part)[:4] = b"mine"
    assert bytes(frozen)[:5] == b"final"
    assert bytes(frozen)[page : page + 4] == b"part"
    assert bytes(whole[:5]) == b"mine!"


def test_a_refused_freeze_leaves_everything_as_it_was() -> None:
    region = heirloom.Region(1 << 20)
    view, part = memoryview(region), region.view(mmap.ALLOCATIONGRANULARITY)
    view[:6] = b"before"
    code = """
import heirloom, sys
view = memoryview(heirloom.Region.inherited("held"))
print(bytes(view[:6]), flush=True)
sys.stdin.readline()
print(bytes(view[:6]), bytes(view[-5:]), flush=True)
"""
    with heirloom.inheriting(held=region) as kw:
        child = subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True, **kw)
    assert child.stdin
    assert child.stdout
    assert child.stdout.readline() == "b'before'\n"
    with pytest.raises(
        BufferError, match=r"cannot freeze .* of 1048576 bytes: .*; .*heirloom.FrozenRegion.copy_of"
    ) as failed:
        region.freeze()
    assert isinstance(failed.value, heirloom.StillWritableError)
    assert (failed.value.kind, failed.value.errno) == ("StillWritable", 16)
    assert not region.closed
    assert not part.detached
    view[:6] = b"after!"
    memoryview(part)[-5:] = b"after"
    assert child.communicate("\n")[0] == "b'after!' b'after'\n"
    assert bytes(heirloom.FrozenRegion.copy_of(region))[:6] == b"after!"
    assert bytes(region.freeze())[:6] == b"after!"


def test_what_is_written_while_a_freeze_is_refused_is_kept() -> None:
    page = mmap.PAGESIZE
    region = heirloom.Region(100 * page + 1)
    view = memoryview(region)
    # A page in a pipe: the kernel waits for a while, and then refuses.
    address = ctypes.addressof(ctypes.c_char.from_buffer(view))
    reader, writer = os.pipe()
    piece = (ctypes.c_size_t * 2)(address, page)
    assert ctypes.CDLL(None, use_errno=True).vmsplice(writer, ctypes.byref(piece), 1, 0) == page

    def write() -> None:
        for at in [*range(0, 30 * page, page), 100 * page]:
            view[at] = 1
            time.sleep(0.001)

    thread = threading.Thread(target=write)
    thread.start()
    with pytest.raises(heirloom.StillWritableError):
        region.freeze()
    thread.join()
    assert bytes(region)[::page] == bytes(view)[::page] == b"\1" * 30 + bytes(70) + b"\1"
    assert len(os.read(reader, page)) == page
    frozen = region.freeze()
    assert bytes(frozen)[::page] == b"\1" * 30 + bytes(70) + b"\1"
    os.close(reader)
    os.close(writer)


def test_a_read_only_region_freezes_once_its_writer_is_gone() -> None:
    region, writer = heirloom.Region(4096).into_read_only()
    memoryview(writer)[:4] = b"last"
    with pytest.raises(heirloom.StillWritableError):
        region.freeze()
    memoryview(writer)[:4] = b"news"
    assert bytes(region)[:4] == b"news"
    del writer
    assert bytes(region.freeze())[:4] == b"news"


def test_a_view_that_is_left_out_of_dumps_stays_so() -> None:
    region = heirloom.Region(4096, name="secret")
    view = region.view()
    view.no_dump()
    frozen = region.freeze()
    flags = [
        lines.split("VmFlags:")[1].split("\n")[0]
        for lines in Path("/proc/self/smaps").read_text().split("/memfd:heirloom/secret")[1:]
    ]
    assert len(flags) == 1
    assert " dd" in flags[0]
    assert bytes(frozen) == bytes(view)


def test_frozen_regions_from_data_files_and_regions(tmp_path: Path) -> None:
    assert bytes(heirloom.FrozenRegion(b"")) == b""
    assert bytes(heirloom.FrozenRegion(memoryview(b"0123456789")[::3])) == b"0369"
    assert bytes(heirloom.FrozenRegion(heirloom.FrozenRegion(b"again"))) == b"again"
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    assert bytes(heirloom.FrozenRegion.from_file(path)) == b"0123456789"
    assert bytes(heirloom.FrozenRegion.from_file(str(path))) == b"0123456789"
    with path.open("rb", buffering=0) as file:
        file.seek(7)
        assert bytes(heirloom.FrozenRegion.from_file(file, name="rest")) == b"789"
        os.lseek(file.fileno(), 9, os.SEEK_SET)
        assert bytes(heirloom.FrozenRegion.from_file(file.fileno())) == b"9"
    for closed in (file, io.BytesIO(b"no descriptor")):
        with pytest.raises(ValueError, match=r"closed file|fileno"):
            heirloom.FrozenRegion.from_file(closed)
    with pytest.raises(heirloom.InvalidInputError):
        heirloom.FrozenRegion.from_file(-1)
    with pytest.raises(FileNotFoundError) as missing:
        heirloom.FrozenRegion.from_file(tmp_path / "none")
    assert missing.value.filename == str(tmp_path / "none")


def test_unsealed_files_have_their_own_kind(tmp_path: Path) -> None:
    region = heirloom.Region(4096, unsealed_file_in=tmp_path)
    assert region.kind == "unsealed"
    view = memoryview(region)
    with pytest.raises(heirloom.UnsupportedError, match="a file in a directory"):
        region.freeze()
    view[:4] = b"kept"
    assert bytes(region)[:4] == b"kept"
    assert not any(tmp_path.iterdir())


def test_descriptors_and_export_strings_are_checked() -> None:
    region = heirloom.FrozenRegion(b"text")
    with region.export() as exported:
        assert str(exported).startswith(f"{exported.fileno()}:0:1:frozen:4:")
        assert bytes(heirloom.AnyRegion.from_export(str(exported))) == b"text"
        with pytest.raises(TypeError, match=r"as a Region: it is frozen; use FrozenRegion or AnyRegion$") as wrong:
            heirloom.Region.from_export(str(exported))
        assert isinstance(wrong.value, heirloom.WrongKindError)
        with pytest.raises(heirloom.MismatchError, match="size differs"):
            heirloom.AnyRegion.from_export(str(exported).replace(":frozen:4:", ":frozen:5:"))
    with pytest.raises(heirloom.MismatchError, match="is not open"):
        heirloom.FrozenRegion.from_export(str(exported))
    with pytest.raises(ValueError, match="closed"):
        exported.fileno()
    with pytest.raises(heirloom.MalformedError):
        heirloom.AnyRegion.from_export("nonsense")

    number = os.dup(region.fileno())
    with pytest.raises(heirloom.WrongKindError):
        heirloom.ReadOnlyRegion.from_fd(number)
    with heirloom.FrozenRegion.from_fd(number) as taken:
        assert taken.fileno() == number
        assert not os.get_inheritable(number)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)
    with open("/dev/null") as file:
        with pytest.raises(heirloom.MismatchError):
            heirloom.AnyRegion.from_fd(file.fileno())
        assert os.fstat(file.fileno())
    with pytest.raises(heirloom.InvalidInputError):
        heirloom.AnyRegion.from_fd(-1)
    with pytest.raises(heirloom.Error):
        heirloom.AnyRegion.from_fd(1_000_000)


def test_names_and_representations() -> None:
    region = heirloom.Region(4096, name="named")
    assert os.readlink(f"/proc/self/fd/{region.fileno()}") == "/memfd:heirloom/named (deleted)"
    assert repr(region) == "<heirloom.Region: 4096 bytes, writable>"
    assert repr(region.view()) == "<heirloom.View: 4096 bytes, writable>"
    region.close()
    assert repr(region) == "<heirloom.Region: 4096 bytes, writable, closed>"


def test_threads_may_use_and_close_one_region() -> None:
    from concurrent.futures import ThreadPoolExecutor

    def use(_: int) -> int:
        region = shared
        try:
            return len(memoryview(region)) + region.view().nbytes
        except ValueError:
            return 0

    with ThreadPoolExecutor(8) as threads:
        for _ in range(50):
            shared = heirloom.Region(4096)
            uses = [threads.submit(use, n) for n in range(8)]
            shared.close()
            assert {done.result() for done in uses} <= {0, 8192}


def test_huge_pages_come_from_the_pool_or_not_at_all() -> None:
    with pytest.raises(heirloom.InvalidInputError, match="multiple of 2 MiB"):
        heirloom.Region(4096, huge_pages=True)
    free = int(re.findall(r"^HugePages_Free: +(\d+)$", Path("/proc/meminfo").read_text(), re.M)[0])
    if free == 0:
        with pytest.raises(heirloom.OutOfMemoryError):
            heirloom.Region(2 << 20, huge_pages=True)
    else:
        assert heirloom.Region(2 << 20, huge_pages=True).nbytes == 2 << 20


def test_a_frozen_region_may_be_in_huge_pages(tmp_path: Path) -> None:
    data = bytes(range(256)) * (8 << 12)
    file = tmp_path / "data"
    file.write_bytes(data)
    plain = heirloom.FrozenRegion(data)
    # A mapping shows whether the kernel had huge pages: none is no error.
    for region in (
        heirloom.FrozenRegion(data, use_huge_pages=True),
        heirloom.FrozenRegion.from_file(file, use_huge_pages=True),
        heirloom.FrozenRegion.copy_of(plain, use_huge_pages=True),
    ):
        assert bytes(region) == data
