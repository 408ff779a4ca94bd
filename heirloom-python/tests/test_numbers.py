"""Numbers that processes change and wait for."""

import mmap
import multiprocessing as mp
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import heirloom
import pytest
from helpers import state, until

SPAWN = mp.get_context("spawn")
ADDITIONS = 1_000_000


def add(region: heirloom.Region) -> None:
    view = region.view()
    ready, counter = view.atomic_u32(0), view.atomic_u64(8)
    # All begin together.
    ready.fetch_add(1)
    view.wake_all(0)
    while (now := ready.load()) < 3:
        view.wait(0, now)
    for _ in range(ADDITIONS):
        counter.fetch_add(1)


def test_no_addition_is_lost_between_processes() -> None:
    region = heirloom.Region(4096)
    children = [SPAWN.Process(target=add, args=(region,)) for _ in range(2)]
    for child in children:
        child.start()
    add(region)
    for child in children:
        child.join()
        assert child.exitcode == 0
    assert region.view().atomic_u64(8).load() == 3 * ADDITIONS


@pytest.mark.parametrize("bits", [32, 64])
def test_operations(bits: int) -> None:
    view = heirloom.Region(4096).view()
    number: Any = view.atomic_u32(16) if bits == 32 else view.atomic_u64(16)
    top = 2**bits - 1
    number.store(12)
    assert number.swap(10) == 12
    assert number.compare_exchange(9, 1) == 10  # It is not 9, and stays.
    assert number.compare_exchange(10, 0b1100) == 10
    assert number.fetch_and(0b0110) == 0b1100
    assert number.fetch_or(0b0011) == 0b0100
    assert number.fetch_xor(0b0101) == 0b0111
    assert number.fetch_max(9) == 0b0010
    assert number.fetch_min(8) == 9
    assert number.fetch_sub(9) == 8
    assert number.load() == top  # It wrapped around.
    assert number.fetch_add(3) == top
    assert memoryview(view)[16:24].tolist() == memoryview((2).to_bytes(8, "little")).tolist()
    assert repr(number) == f"<heirloom.AtomicU{bits}: 2 at offset 16>"
    for value in (-1, 2**bits):
        with pytest.raises(OverflowError):
            number.store(value)
    with pytest.raises(TypeError):
        number.store(1.0)


def test_a_reader_loads_and_waits_and_cannot_write() -> None:
    region, writer = heirloom.Region(4096).into_read_only()
    view = region.view()
    writer.atomic_u32(0).store(5)
    assert view.atomic_u32(0).load() == 5
    assert view.wait(0, 4) == 5
    calls: list[Callable[[], object]] = [
        lambda: view.atomic_u32(0).store(1),
        lambda: view.atomic_u64(0).fetch_add(1),
        lambda: view.wake_one(0),
        lambda: view.wake_all(0),
    ]
    for call in calls:
        with pytest.raises(TypeError, match=r"^cannot modify read-only memory$"):
            call()
    writer.wake_all(0)
    assert view.atomic_u32(0).load() == 5


@pytest.mark.parametrize(
    "view",
    [
        heirloom.FrozenRegion(bytes(64)).view(),
        heirloom.FrozenRegion(bytes(64)).view_copy(),
        heirloom.Region(64).view_copy(),
    ],
)
def test_memory_that_nobody_else_changes_has_no_numbers(view: heirloom.View) -> None:
    for call in (view.atomic_u32, view.atomic_u64, lambda offset: view.wait(offset, 0), view.wake_one, view.wake_all):
        with pytest.raises(heirloom.WrongKindError, match="no other process changes this view"):
            call(0)


def test_a_snapshot_has_no_numbers_any_more() -> None:
    region = heirloom.Region(64)
    view = region.view()
    number = view.atomic_u32(0)
    number.store(1)
    region.freeze()
    assert view.detached
    with pytest.raises(heirloom.WrongKindError, match="a private snapshot"):
        number.load()


def test_a_number_is_within_the_view_and_aligned() -> None:
    view = heirloom.Region(2 * mmap.PAGESIZE).view(mmap.PAGESIZE)
    view.atomic_u64(mmap.PAGESIZE - 8).store(1)
    bad: list[tuple[Any, type[Exception]]] = [
        (mmap.PAGESIZE, heirloom.OutOfBoundsError),
        (2**70, heirloom.TooLargeError),
        (-8, heirloom.InvalidInputError),
        (2, heirloom.MisalignedError),
        (0.5, TypeError),
    ]
    for offset, error in bad:
        for call in (view.atomic_u32, view.atomic_u64, lambda offset: view.wait(offset, 0), view.wake_one):
            with pytest.raises(error):
                call(offset)
    with pytest.raises(heirloom.MisalignedError):
        view.atomic_u64(4)
    view.atomic_u32(4)


def test_the_number_keeps_the_memory() -> None:
    with heirloom.Region(4096) as region:
        number = region.view().atomic_u32(0)
    number.store(7)
    assert number.load() == 7


def answer(region: heirloom.Region) -> None:
    view = region.view()
    number = view.atomic_u32(0)
    for turn in range(0, 200, 2):
        view.wait(0, turn)
        number.fetch_add(1)
        view.wake_one(0)


def test_processes_take_turns() -> None:
    region = heirloom.Region(4096)
    child = SPAWN.Process(target=answer, args=(region,))
    child.start()
    view = region.view()
    for turn in range(0, 200, 2):
        assert view.atomic_u32(0).fetch_add(1) == turn
        view.wake_one(0)
        assert view.wait(0, turn + 1) == turn + 2
    child.join()
    assert child.exitcode == 0


def test_a_timeout_ends_the_wait() -> None:
    view = heirloom.Region(64).view()
    for timeout in (0, 0.001, 0.15):
        assert view.wait(0, 0, timeout) is None
    assert view.wait(0, 1, timeout=float("inf")) == 0
    bad: list[tuple[Any, type[Exception]]] = [
        (-1, heirloom.InvalidInputError),
        (float("nan"), heirloom.InvalidInputError),
        ("1", TypeError),
    ]
    for timeout, error in bad:
        with pytest.raises(error):
            view.wait(0, 0, timeout)


def test_other_threads_run_while_one_waits() -> None:
    view = heirloom.Region(64).view()
    waiter = threading.Thread(target=view.wait, args=(0, 0))
    waiter.start()
    # Would hang if the waiter kept the interpreter.
    view.atomic_u32(0).store(1)
    view.wake_all(0)
    waiter.join()


class InterruptError(Exception):
    pass


@pytest.fixture
def interrupt() -> Any:
    """Interrupt the main thread as Ctrl-C does, once it sleeps."""

    def handle(number: int, frame: object) -> None:
        raise InterruptError

    def interrupt_later() -> None:
        def later() -> None:
            until(lambda: state(os.getpid()) == "S")
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=later).start()

    before = signal.signal(signal.SIGINT, handle)
    yield interrupt_later
    signal.signal(signal.SIGINT, before)


def test_a_signal_interrupts_every_wait(interrupt: Any) -> None:
    view = heirloom.Region(64).view_with_locks()
    sender, receiver = heirloom.channel(4096)
    sender.send(bytes(2000))
    sender.send(bytes(2000))
    lock = view.lock(8, None)
    lock.acquire()
    empty = heirloom.channel(4096)
    waits: list[Callable[[], object]] = [
        lambda: view.wait(0, 0),
        lambda: view.lock(8, None).acquire(),
        lambda: sender.send(bytes(2000)),
        lambda: empty[1].recv(),
    ]
    for wait in waits:
        interrupt()
        with pytest.raises(InterruptError):
            wait()
    # All is as before.
    lock.release()
    assert receiver.recv() == bytes(2000)
    sender.send(b"small")
    assert [receiver.recv(), receiver.recv()] == [bytes(2000), b"small"]
