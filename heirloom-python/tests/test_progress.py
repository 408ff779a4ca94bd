"""Long fills: the bar, and Ctrl-C."""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import heirloom
import pytest
from helpers import descriptors, python, state, until

FROM_PIPE = """
import heirloom
region = heirloom.FrozenRegion.from_file(0, name="long", progress=True)
print(region.nbytes)
"""
MIB = 1 << 20


class Filled:
    """A program that fills a region from a pipe, with a terminal as its stderr."""

    def __init__(self, code: str = FROM_PIPE) -> None:
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, 80))
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=theirs
        )
        os.close(theirs)
        self.shown = b""
        self._reading = threading.Thread(target=self._read, args=(ours,))
        self._reading.start()

    def _read(self, terminal: int) -> None:
        # Until the last holder of the other end has gone.
        with os.fdopen(terminal, "rb", buffering=0) as screen:
            try:
                while piece := screen.read(4096):
                    self.shown += piece
            except OSError:
                pass

    def feed(self, nbytes: int) -> None:
        assert self.process.stdin
        self.process.stdin.write(bytes(nbytes))
        self.process.stdin.flush()

    def end(self) -> str:
        out, _ = self.process.communicate(timeout=60)
        self._reading.join()
        return out.decode()


def test_a_bar_on_a_terminal_shows_how_far_a_fill_is() -> None:
    pytest.importorskip("tqdm")
    filled = Filled()
    fed = 0

    def shows_some() -> bool:
        nonlocal fed
        filled.feed(64 << 10)
        fed += 64 << 10
        return b"B/s" in filled.shown.partition(b"long: 0.00B")[2]

    until(shows_some)
    assert filled.end() == f"{fed}\n"
    # Nothing of it is left on the screen: the last line was cleared.
    assert filled.shown.rpartition(b"\r")[0].rpartition(b"\r")[2].strip() == b""


def test_a_fill_shows_nothing_unless_it_was_asked_for_or_where_there_is_no_terminal(tmp_path: Path) -> None:
    silent = Filled(FROM_PIPE.replace("progress=True", "progress=False"))
    silent.feed(MIB)
    assert (silent.end(), silent.shown) == (f"{MIB}\n", b"")

    (tmp_path / "input").write_bytes(bytes(MIB))
    done = python(f"import heirloom; heirloom.FrozenRegion.from_file({str(tmp_path / 'input')!r}, progress=True)")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_fill_works_without_tqdm() -> None:
    without = Filled("import sys; sys.modules['tqdm'] = None\n" + FROM_PIPE)
    without.feed(MIB)
    assert (without.end(), without.shown) == (f"{MIB}\n", b"")


def test_a_region_is_the_same_with_a_bar(tmp_path: Path) -> None:
    data = os.urandom(3 * MIB + 5)
    path = tmp_path / "input"
    path.write_bytes(data)
    assert bytes(memoryview(heirloom.FrozenRegion(data, progress=True))) == data
    assert bytes(memoryview(heirloom.FrozenRegion(data, use_huge_pages=True, progress=True))) == data
    assert bytes(memoryview(heirloom.FrozenRegion.from_file(path, progress=True))) == data
    with path.open("rb", buffering=0) as file:
        file.seek(MIB)
        assert bytes(memoryview(heirloom.FrozenRegion.from_file(file, progress=True))) == data[MIB:]


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Let SIGINT raise, which a shell may have told this process to ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts")
@pytest.mark.parametrize("progress", [False, True])
def test_ctrl_c_ends_a_fill_that_waits_for_a_pipe(progress: bool) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"some")
    before = descriptors()
    ended = threading.Event()

    def interrupt() -> None:
        until(lambda: not select.select([reading], [], [], 0)[0] and state(os.getpid()) == "S")
        os.kill(os.getpid(), signal.SIGINT)
        # So that a fill that goes on ends, too.
        ended.wait(20)
        os.close(writing)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        heirloom.FrozenRegion.from_file(reading, progress=progress)
    assert descriptors() == before

    os.write(writing, b"rest")
    ended.set()
    thread.join()
    assert bytes(memoryview(heirloom.FrozenRegion.from_file(reading, progress=progress))) == b"rest"
    os.close(reading)
