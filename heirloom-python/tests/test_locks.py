"""Locks that tell the next owner if the last one died."""

import gc
import multiprocessing as mp
import os
import signal
import threading
from typing import Any

import heirloom
import pytest
from helpers import descriptors, python

SPAWN = mp.get_context("spawn")
TRANSFERS = 2_000


def move(region: heirloom.Region) -> None:
    """Move 1 from one number to another, by plain reads and writes that only the lock keeps apart."""
    lock = region.view_with_locks().lock(0, recover=None)
    accounts = memoryview(region).cast("Q")
    for _ in range(TRANSFERS):
        with lock:
            accounts[1] -= 1
            accounts[2] += 1


def test_processes_and_threads_keep_each_other_out() -> None:
    region = heirloom.Region(4096)
    memoryview(region).cast("Q")[1] = 4 * TRANSFERS
    children: list[Any] = [SPAWN.Process(target=move, args=(region,)) for _ in range(2)]
    threads: list[Any] = [threading.Thread(target=move, args=(region,)) for _ in range(2)]
    for runner in (*children, *threads):
        runner.start()
    for runner in (*children, *threads):
        runner.join()
    assert [child.exitcode for child in children] == [0, 0]
    assert memoryview(region).cast("Q")[:3].tolist() == [0, 0, 4 * TRANSFERS]


def die_with_the_lock(region: heirloom.Region) -> None:
    region.view_with_locks().lock(64, recover=None).acquire()
    memoryview(region)[0] = 1
    os.kill(os.getpid(), signal.SIGKILL)


def end_with_the_lock(region: heirloom.Region) -> None:
    region.view_with_locks().lock(64, recover=None).acquire()


@pytest.mark.parametrize("end", [die_with_the_lock, end_with_the_lock])
def test_the_next_owner_recovers_after_a_death(end: Any) -> None:
    region = heirloom.Region(4096)
    calls = []
    lock = region.view_with_locks().lock(64, recover=lambda: calls.append(bytes(region)[0]))
    with lock:
        assert calls == []
    child = SPAWN.Process(target=end, args=(region,))
    child.start()
    child.join()
    with lock:
        assert calls == [end is die_with_the_lock]
    with lock:
        assert len(calls) == 1


def test_an_exception_in_the_block_counts_as_a_death() -> None:
    calls = []
    lock = heirloom.Region(64).view_with_locks().lock(0, recover=lambda: calls.append("called"))
    with pytest.raises(ZeroDivisionError), lock:
        _ = 1 / 0
    with lock:
        assert calls == ["called"]
    with lock:
        assert calls == ["called"]


def test_who_cannot_recover_leaves_it_to_the_next() -> None:
    view = heirloom.Region(64).view_with_locks()
    calls = []

    def fail() -> None:
        raise RuntimeError("can't be mended")

    broken = view.lock(0, recover=fail)
    with broken:
        pass
    with pytest.raises(ZeroDivisionError), broken:
        _ = 1 / 0
    for _ in range(2):
        with pytest.raises(RuntimeError, match="can't be mended"), broken:
            pytest.fail("the block runs without the lock")
    with view.lock(0, recover=lambda: calls.append("called")):
        assert calls == ["called"]


def test_one_must_say_how_to_recover() -> None:
    view = heirloom.Region(64).view_with_locks()
    with pytest.raises(TypeError, match="recover"):
        view.lock(0)  # type: ignore[call-arg]
    view.lock(0, None)


def test_acquire_and_release() -> None:
    view = heirloom.Region(64).view_with_locks()
    lock, other = view.lock(0, None), view.lock(0, None)
    assert lock.acquire()
    assert not other.acquire(block=False)
    assert not other.acquire(timeout=0.001)
    assert not other.acquire(True, 0.15)
    with pytest.raises(RuntimeError, match=r"^the lock at offset 0 is not held$"):
        other.release()
    lock.release()
    with pytest.raises(RuntimeError, match=r"^the lock at offset 0 is not held$"):
        lock.release()
    assert other.acquire(block=False)
    other.release()
    with pytest.raises(heirloom.InvalidInputError):
        lock.acquire(timeout=-1)


def test_a_lock_is_within_the_view_and_aligned() -> None:
    view = heirloom.Region(64).view_with_locks()
    view.lock(60, None)
    for offset, error in ((64, heirloom.OutOfBoundsError), (2, heirloom.MisalignedError), (-4, ValueError)):
        with pytest.raises(error):
            view.lock(offset, None)


def test_a_fork_is_refused() -> None:
    code = """
import heirloom, os
region = heirloom.Region(64)
lock = region.view_with_locks().lock(0, None)
with lock:
    pid = os.fork()
    if pid == 0:
        try:
            lock.acquire()
        except heirloom.ForkedError as error:
            print(error, flush=True)
        # A view of its own waits as every other process does.
        print(region.view_with_locks().lock(0, None).acquire(block=False), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
with lock:
    print("still the parent's")
"""
    done = python(code)
    assert done.stderr == ""
    refused, *rest = done.stdout.splitlines()
    assert "call Region.view_with_locks in this process" in refused
    assert rest == ["False", "still the parent's"]


def test_only_a_writable_region_has_locks() -> None:
    assert not hasattr(heirloom.ReadOnlyRegion, "view_with_locks")
    assert not hasattr(heirloom.FrozenRegion, "view_with_locks")
    region = heirloom.Region(64)
    region.close()
    with pytest.raises(ValueError, match="closed"):
        region.view_with_locks()


def test_a_view_with_locks_is_a_view() -> None:
    before = descriptors("locks")
    region = heirloom.Region(64, name="locks")
    view = region.view_with_locks()
    assert isinstance(view, heirloom.View)
    memoryview(view)[4:8] = b"text"
    assert bytes(region)[4:8] == b"text"
    assert view.wait(0, 1) == 0
    lock = view.lock(0, None)
    region.freeze()
    assert view.detached
    with pytest.raises(heirloom.WrongKindError, match="a private snapshot"):
        lock.acquire()
    del region, view, lock
    gc.collect()
    assert descriptors("locks") == before
