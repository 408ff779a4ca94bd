"""The executor: what moves by regions, what is left, and that the rest is the standard's."""

import contextlib
import gc
import multiprocessing as mp
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import process, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver, resource_tracker
from multiprocessing.reduction import DupFd, ForkingPickler
from pathlib import Path
from typing import Any

import heirloom
import pytest
import workers
from heirloom import _channel, _exchange, _packing
from helpers import check, descriptors, expected, holders, one_of_each, until

np = pytest.importorskip("numpy")

METHODS = ["spawn", "forkserver", "fork"]
LARGE = 1 << 20


@pytest.fixture(params=METHODS)
def start(request: pytest.FixtureRequest) -> Any:
    return mp.get_context(request.param)


@pytest.fixture
def spawn() -> Any:
    return mp.get_context("spawn")


@pytest.fixture(scope="module")
def helpers_of_multiprocessing() -> None:
    """Start what stays open in this process."""
    resource_tracker.ensure_running()
    forkserver.ensure_running()
    os.close(DupFd(0).detach())
    # Its thread closes the original.
    time.sleep(0.3)


@pytest.fixture(autouse=True)
def nothing_left(helpers_of_multiprocessing: None) -> Iterator[None]:
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    yield
    gc.collect()
    until(lambda: len(os.listdir("/proc/self/fd")) == before, seconds=10)
    assert descriptors() == 0
    assert workers.mapped() == set()


def test_large_arrays_are_mapped_and_small_ones_are_copied(start: Any) -> None:
    with heirloom.ProcessPoolExecutor(1, start) as executor:
        assert executor.submit(workers.describe, np.ones(LARGE)).result() == (LARGE, False, 1)
        # The control: it has no region, and the earlier one is gone.
        assert executor.submit(workers.describe, np.ones(100)).result() == (100, True, 0)
        large, small = executor.submit(workers.make, LARGE).result(), executor.submit(workers.make, 100).result()
    assert (large.sum(), large.flags.writeable, len(workers.mapped())) == (LARGE, False, 1)
    assert (small.sum(), small.flags.writeable) == (100, True)
    with pytest.raises(ValueError, match="read-only"):
        large[0] = 2
    with pytest.raises(ValueError, match="WRITEABLE"):
        large.flags.writeable = True
    copy = large.copy()
    copy[0] = 2


def test_a_value_has_one_region_however_many_arrays_it_has(start: Any) -> None:
    arrays = {str(number): np.full(LARGE >> 4, number) for number in range(20)}
    arrays["columns"] = np.asfortranarray(np.arange(LARGE).reshape(1024, -1))
    arrays["part"] = np.arange(2 * LARGE)[::2]
    with heirloom.ProcessPoolExecutor(1, start) as executor:
        back = executor.submit(workers.echo, arrays).result()
    assert all(np.array_equal(back[name], array) for name, array in arrays.items())
    assert back["columns"].flags.f_contiguous
    assert len(workers.mapped()) == 1
    assert descriptors() == 0


@pytest.mark.parametrize("count", [0, 1, 100, LARGE, 5 * LARGE])
def test_bytes_of_any_size(count: int, spawn: Any) -> None:
    value = [os.urandom(count), bytearray(os.urandom(count)), "é" * count, memoryview]
    with heirloom.ProcessPoolExecutor(1, spawn) as executor:
        back = executor.submit(workers.echo, value).result()
    assert back == value
    back[1].append(1)


@pytest.mark.parametrize("min_bytes", [1, 1 << 14, 1 << 40])
def test_values_of_any_size_with_any_break_even(min_bytes: int, spawn: Any) -> None:
    with heirloom.ProcessPoolExecutor(2, spawn, min_bytes=min_bytes) as executor:
        # Round the longest message, too.
        for count in (0, 1, 1000, 319 << 10, *range(326_000, 330_000, 500), 383 << 10, 1 << 20):
            for value in (bytes(count), np.zeros(count, "u1")):
                back = executor.submit(workers.echo, value).result()
                assert (type(back), len(back)) == (type(value), count)
        many = [np.full(2, number) for number in range(60_000)]
        assert np.array_equal(executor.submit(workers.echo, many).result(), many)


def test_large_bytes_are_copied_once_on_their_way() -> None:
    value = bytes(LARGE)
    pieces = _packing._Pieces()
    pickle.Pickler(pieces, 5).dump(value)
    assert any(piece is value for piece in pieces.held)
    with _packing.pack(value, 1 << 16, 1 << 16) as packed:
        assert (packed.pieces, len(packed.exports)) == ([], 1)


def test_regions_travel_by_their_descriptors(start: Any) -> None:
    regions = one_of_each()
    with heirloom.ProcessPoolExecutor(1, start) as executor:
        assert executor.submit(check, [*regions, regions[0]]).result() == [*expected(regions), expected(regions)[0]]
        assert [bytes(region)[4:8] for region in regions] == [b"seen", bytes(4), bytes(4)]
        back = executor.submit(workers.echo, {"array": np.ones(LARGE), "regions": regions}).result()
    assert [os.fstat(region.fileno()).st_ino for region in back["regions"]] == [
        os.fstat(region.fileno()).st_ino for region in regions
    ]
    assert back["array"].sum() == LARGE


def test_more_regions_than_a_message_takes(spawn: Any) -> None:
    regions = [heirloom.FrozenRegion(b"%04d" % number, name="many") for number in range(300)]
    with heirloom.ProcessPoolExecutor(1, spawn) as executor:
        assert executor.submit(workers.first_bytes, regions).result() == [bytes(region) for region in regions]


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_results_of_workers_that_end_arrive(method: str) -> None:
    with heirloom.ProcessPoolExecutor(2, mp.get_context(method), max_tasks_per_child=1) as executor:
        regions = [executor.submit(workers.frozen, b"%d" % number) for number in range(6)]
        arrays = [executor.submit(workers.make, LARGE, number) for number in range(6)]
        wait([*regions, *arrays])
        # All but the last worker have ended.
        time.sleep(0.2)
        assert [bytes(future.result()) for future in regions] == [b"%d" % number for number in range(6)]
        assert [future.result()[0] for future in arrays] == list(range(6))


def test_shared_values_are_one_memory_for_all_workers(start: Any) -> None:
    counted = workers.Counted()
    workers.Counted.pickled = 0
    shared = {"table": np.arange(LARGE), "counted": counted, "region": heirloom.FrozenRegion(b"text", name="part")}
    with heirloom.ProcessPoolExecutor(
        3, start, initializer=workers.initialize, initargs=("counted",), shared=shared
    ) as executor:
        # What the caller does with it later is the caller's.
        shared["region"].close()
        shared["table"][:] = 0
        seen = [future.result() for future in [executor.submit(workers.look_up, "table") for _ in range(24)]]
        assert executor.submit(workers.what_was_initialized).result().some == 1
        # The memory needs no descriptor in a worker, but the region that is a value does.
        assert executor.submit(descriptors).result() == 1
        assert executor.submit(workers.shared_names).result() == ["table", "counted", "region"]
    assert len({pid for pid, *_ in seen}) >= 2
    assert {(total, writable) for _, total, writable, _ in seen} == {(sum(range(LARGE)), False)}
    ((number,),) = {tuple(numbers) for *_, numbers in seen}
    assert number
    assert workers.Counted.pickled == 1
    assert dict(heirloom.shared) == {}


def share_at(pid: int, address: int) -> int:
    """Return a process's proportional share of the memory in the mapping at an address, in bytes."""
    counted = False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        first, *rest = line.split()
        if "-" in first:
            start, end = (int(part, 16) for part in first.split("-"))
            counted = start <= address < end
        elif counted and first == "Pss:":
            return int(rest[0]) << 10
    raise LookupError(address)


def shares(executor: Any, done: Any, all_done: Any, count: int) -> list[int]:
    """Let so many workers read their array, and return their shares of its memory."""
    futures = [executor.submit(workers.read_kept) for _ in range(count)]
    for _ in range(count):
        assert done.acquire(timeout=60)
    for _ in range(count):
        all_done.release()
    seen = [future.result() for future in futures]
    assert {total for *_, total in seen} == {16 << 20}
    assert len({pid for pid, *_ in seen}) == count
    return [share_at(pid, address) for pid, address, _ in seen]


def test_32_workers_have_one_copy_of_a_shared_value(start: Any) -> None:
    table = np.ones(16 << 20, "u1")
    semaphores = start.Semaphore(0), start.Semaphore(0)
    with heirloom.ProcessPoolExecutor(
        32, start, initializer=workers.keep, initargs=(None, *semaphores), shared={"table": table}
    ) as executor:
        found = shares(executor, *semaphores, 32)
        assert workers.mapped() == set()
    # The kernel rounds each share down to 1024 bytes.
    assert (16 << 20) - (32 << 10) <= sum(found) <= 16 << 20


def test_control_workers_that_are_sent_an_array_have_a_copy_each(spawn: Any) -> None:
    table = np.ones(16 << 20, "u1")
    semaphores = spawn.Semaphore(0), spawn.Semaphore(0)
    with process.ProcessPoolExecutor(4, spawn, initializer=workers.keep, initargs=(table, *semaphores)) as executor:
        assert sum(shares(executor, *semaphores, 4)) > 4 * (15 << 20)


def test_shared_values_are_in_workers_that_start_later() -> None:
    with heirloom.ProcessPoolExecutor(
        1, mp.get_context("spawn"), max_tasks_per_child=1, shared={"table": np.arange(LARGE)}
    ) as executor:
        seen = [executor.submit(workers.look_up, "table").result() for _ in range(3)]
    assert len({pid for pid, *_ in seen}) == 3
    assert len({tuple(numbers) for *_, numbers in seen}) == 1


def test_a_name_that_is_not_shared(spawn: Any) -> None:
    with pytest.raises(KeyError, match=r"no shared value is named 'table'.* this process has none"):
        heirloom.shared["table"]
    with (
        heirloom.ProcessPoolExecutor(1, spawn, shared={"other": 1}) as executor,
        pytest.raises(KeyError, match=r"no shared value is named 'table'.* this process has \['other'\]"),
    ):
        executor.submit(workers.look_up, "table").result()


def test_a_shared_value_that_cannot_be_pickled() -> None:
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        heirloom.ProcessPoolExecutor(1, shared={"array": np.ones(LARGE), "function": lambda: None})


@pytest.mark.parametrize(
    ("min_bytes", "error"), [(0, heirloom.InvalidInputError), (-1, ValueError), (1.5, TypeError), ("1", TypeError)]
)
def test_a_break_even_that_is_none(min_bytes: Any, error: type[Exception]) -> None:
    for call in (heirloom.ProcessPoolExecutor, lambda **options: heirloom.Packed(1, **options)):
        with pytest.raises(error):
            call(min_bytes=min_bytes)


def test_bad_arguments_leave_nothing() -> None:
    for wrong in ({"max_workers": 0}, {"initializer": 1}, {"max_tasks_per_child": 0}):
        with pytest.raises((ValueError, TypeError)):
            heirloom.ProcessPoolExecutor(shared={"array": np.ones(LARGE)}, **wrong)  # type: ignore[arg-type]


def test_what_cannot_be_pickled_fails_its_call_only(start: Any) -> None:
    closed = heirloom.FrozenRegion(b"text")
    closed.close()
    with heirloom.ProcessPoolExecutor(1, start) as executor:
        array = np.ones(LARGE)
        for wrong in (lambda: None, closed):
            with pytest.raises((pickle.PicklingError, AttributeError, ValueError)):
                executor.submit(workers.echo, [array, heirloom.FrozenRegion(b"x"), wrong]).result()
        # A result, too.
        with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
            executor.submit(workers.make_what_cannot_be_pickled).result()
        assert executor.submit(abs, -1).result() == 1


def test_a_call_that_cannot_be_pickled_while_the_executor_ends(start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told = process._SafeQueue._on_queue_feeder_error

    def tell_slowly(queue: Any, error: Exception, item: Any) -> None:
        # As the original, which is faster, has no call left by now.
        found = queue.pending_work_items.pop(item.work_id)
        queue.thread_wakeup.wakeup()
        time.sleep(0.3)
        queue.pending_work_items[item.work_id] = found
        told(queue, error, item)

    monkeypatch.setattr(process._SafeQueue, "_on_queue_feeder_error", tell_slowly)
    executor = heirloom.ProcessPoolExecutor(1, start)
    executor.submit(abs, 1).result()
    future = executor.submit(workers.echo, lambda: None)
    # Python 3.12 and 3.13 hold a lock here, which the telling thread needs.
    executor.shutdown()
    assert isinstance(future.exception(timeout=30), pickle.PicklingError | AttributeError)


def test_exceptions_have_their_traceback_and_their_arrays(start: Any) -> None:
    with heirloom.ProcessPoolExecutor(1, start) as executor:
        with pytest.raises(LookupError, match="in the worker") as caught:
            executor.submit(workers.raise_with, np.ones(LARGE)).result()
        assert 'raise LookupError("in the worker", value)' in str(caught.value.__cause__)
        assert caught.value.args[1].sum() == LARGE
        assert executor.submit(abs, -1).result() == 1
        del caught


def test_map_in_chunks(start: Any) -> None:
    with heirloom.ProcessPoolExecutor(2, start) as executor:
        arrays = [np.full(LARGE >> 3, number) for number in range(7)]
        for chunksize in (1, 3, 10):
            back = executor.map(workers.echo, arrays, chunksize=chunksize)
            assert all(np.array_equal(got, sent) for got, sent in zip(back, arrays, strict=True))
    del back


def test_many_middling_values_in_both_directions_at_once(start: Any) -> None:
    with heirloom.ProcessPoolExecutor(3, start) as executor:
        # Each fills the socket on its own.
        futures = [executor.submit(workers.echo, bytes([number]) * (200 << 10)) for number in range(150)]
        assert all(future.result()[:1] == bytes([number]) for number, future in enumerate(futures))
        assert sum(executor.map(abs, range(3000))) == sum(range(3000))


def busy(start: Any) -> tuple[heirloom.ProcessPoolExecutor, list[Any]]:
    """Make an executor that has large values in every place where they can be."""
    executor = heirloom.ProcessPoolExecutor(2, start, shared={"table": np.ones(LARGE)})
    executor.submit(workers.make, LARGE).result()
    futures: list[Any] = [executor.submit(workers.sleep, 0.3, np.ones(LARGE)) for _ in range(12)]
    return executor, futures + [executor.submit(workers.make, LARGE) for _ in range(4)]


def test_nothing_is_left_by_shutdown_that_cancels(start: Any) -> None:
    executor, futures = busy(start)
    assert futures[-1].cancel()
    executor.shutdown(cancel_futures=True)
    assert sum(future.cancelled() for future in futures) > 4
    # Nor the shared values, though the executor is there.
    del futures
    until(lambda: descriptors() == 0, seconds=5)


def test_nothing_is_left_by_a_worker_that_is_killed(start: Any) -> None:
    executor, futures = busy(start)
    os.kill(next(iter(executor._processes)), signal.SIGKILL)
    with pytest.raises(BrokenProcessPool):
        futures[-1].result()
    with pytest.raises(BrokenProcessPool):
        executor.submit(abs, 1)
    executor.shutdown()


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_worker_that_is_killed_while_another_starts(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    start: Any = mp.get_context(method)
    executor = heirloom.ProcessPoolExecutor(2, start)
    queue: Any = executor._call_queue  # type: ignore[attr-defined]
    begin = start.Process.start

    def begin_late(worker: Any) -> None:
        for pid in executor._processes:
            os.kill(pid, signal.SIGKILL)
            # Later versions wait for this one.
            if sys.version_info < (3, 12):
                until(lambda: queue._reader.fileno() == -1)
        begin(worker)

    monkeypatch.setattr(start.Process, "start", begin_late)
    executor.submit(workers.sleep, 600)
    with pytest.raises(BrokenProcessPool):
        executor.submit(abs, -1).result()
    executor.shutdown()


def test_nothing_is_left_by_a_worker_that_ends_with_its_argument(start: Any) -> None:
    with (
        heirloom.ProcessPoolExecutor(1, start) as executor,
        pytest.raises(BrokenProcessPool),
    ):
        executor.submit(workers.end, np.ones(LARGE)).result()


def test_nothing_is_left_by_an_executor_that_is_dropped(start: Any) -> None:
    executor, futures = busy(start)
    manager: Any = executor._executor_manager_thread
    del executor
    # The calls are done, as in the standard executor.
    wait(futures)
    assert futures[-1].result().sum() == LARGE
    manager.join(60)
    assert not manager.is_alive()


def test_an_executor_that_is_never_used_leaves_nothing(start: Any) -> None:
    for drop in (heirloom.ProcessPoolExecutor.shutdown, id):
        drop(heirloom.ProcessPoolExecutor(2, start, shared={"table": np.ones(LARGE)}))
        gc.collect()


def test_a_message_is_checked_and_fails_its_call_only() -> None:
    one, other = _channel.pair()
    region = heirloom.FrozenRegion(b"text", name="checked")
    other_region = heirloom.FrozenRegion(b"some", name="checked")
    layout = _packing.Layout([(0, 4)], None, True)

    def receive(strings: list[str], numbers: list[int]) -> Any:
        notes = pickle.dumps((layout, strings), 5)
        stream = pickle.dumps(pickle.PickleBuffer(b"1234"), 5, buffer_callback=lambda _: None)
        one.send([_exchange._HEAD.pack(7, 99, len(notes)), notes, stream], numbers)
        try:
            return _exchange._open(*other.receive(), lambda *failed: failed)
        finally:
            assert descriptors("checked") == 2 + kept

    kept = 1
    with region.export() as exported:
        string, number = str(exported), exported.fileno()
        assert bytes(receive([string], [number])) == b"text"
        for strings, numbers, error in [
            ([string.replace(":frozen:4", ":frozen:5")], [number], heirloom.MismatchError),
            ([string], [other_region.fileno()], heirloom.MismatchError),
            ([string, string], [number, other_region.fileno()], heirloom.MismatchError),
            ([string, string], [number], heirloom.OutOfDescriptorsError),
            ([string], [], heirloom.OutOfDescriptorsError),
            (["x"], [number], heirloom.MalformedError),
        ]:
            work_id, pid, raised = receive(strings, numbers)
            assert (work_id, pid, type(raised)) == (7, 99, error)
            del raised
    with open("/dev/null") as file:
        kept = 0
        assert type(receive([string], [file.fileno()])[2]) is heirloom.MismatchError
    one.close()
    assert not other.receive()[0]


def test_a_worker_without_descriptors_fails_the_call_only(start: Any) -> None:
    with heirloom.ProcessPoolExecutor(1, start) as executor:
        assert executor.submit(workers.make, 1).result().sum() == 1
        # A fork closes its parent's ends meanwhile.
        for _ in range(2):
            executor.submit(workers.open_no_more).result()
        with pytest.raises(heirloom.OutOfDescriptorsError, match="cannot receive 1 regions: this process can open no"):
            executor.submit(workers.describe, np.ones(LARGE)).result()
        # It can't make a region either.
        with pytest.raises(heirloom.OutOfDescriptorsError):
            executor.submit(workers.make, LARGE).result()
        assert executor.submit(abs, -1).result() == 1


def test_few_descriptors_are_enough_for_many_arrays() -> None:
    code = """
import multiprocessing as mp, numpy as np, resource, workers
import heirloom
if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    with heirloom.ProcessPoolExecutor(2, mp.get_context("fork"), min_bytes=1 << 10) as executor:
        back = executor.submit(workers.echo, [np.ones(1000) for _ in range(1500)]).result()
        more = list(executor.map(workers.echo, [np.ones(1000) for _ in range(200)]))
    print(len(back), len(more))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("1500 200\n", "")


def test_a_default_timeout_of_sockets_is_for_others(start: Any) -> None:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(0.05)
    try:
        with heirloom.ProcessPoolExecutor(1, start) as executor:
            assert executor.submit(abs, -1).result() == 1
            time.sleep(0.2)
            assert executor.submit(workers.describe, np.ones(LARGE)).result() == (LARGE, False, 1)
    finally:
        socket.setdefaulttimeout(before)


FAMILY = """
import multiprocessing as mp, numpy as np, sys, time
import heirloom, workers

if __name__ == "__main__":
    executor = heirloom.ProcessPoolExecutor(
        2, mp.get_context(sys.argv[1]), shared={"region": heirloom.Region(1 << 20, name=sys.argv[2])}
    )
    executor.map(workers.sleep, [0.2] * 4)
    # One is idle, one at work, and a result is on its way.
    future = executor.submit(workers.sleep, 1.5)
    time.sleep(1)
    print("running", flush=True)
    future.result()
    time.sleep(600)
"""


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent(method: str, number: signal.Signals, tmp_path: Path) -> None:
    program = tmp_path / "family.py"
    program.write_text(FAMILY)
    name = f"family-{method}-{os.getpid()}"
    parent = subprocess.Popen(
        [sys.executable, program, method, name],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        start_new_session=True,
    )
    assert parent.stdout
    assert parent.stdout.readline() == "running\n"
    assert len(holders(name)) >= 3
    if number is signal.SIGKILL:
        parent.kill()
    else:
        # Ctrl-C is for all processes of the terminal.
        os.killpg(parent.pid, number)
    try:
        _, said = parent.communicate(timeout=30)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGKILL)
    assert parent.returncode == -number
    if number is signal.SIGKILL:
        # multiprocessing clears up its own semaphores.
        assert "Traceback" not in said
    else:
        assert "KeyboardInterrupt" in said
    until(lambda: holders(name) == [])


def test_a_packed_value_arrives_as_the_value(start: Any) -> None:
    packed = heirloom.Packed({"large": np.ones(LARGE), "other": np.ones(LARGE), "small": np.ones(10)})
    queue = start.Queue()
    child = start.Process(target=workers.answer, args=(packed, queue))
    child.start()
    expected = ("dict", {"large": (LARGE, False, 1), "other": (LARGE, False, 1), "small": (10, True, 1)})
    assert queue.get() == expected
    child.join()
    assert packed.unpack()["large"].sum() == LARGE


def test_a_packed_value_has_its_regions(spawn: Any) -> None:
    regions = one_of_each()
    said = expected(regions)
    packed = heirloom.Packed(regions)
    queue = spawn.Queue()
    child = spawn.Process(target=workers.check, args=(packed, queue))
    child.start()
    assert queue.get() == said
    child.join()
    for region in regions:
        region.close()
    # It has handles of its own, and arrives more than once.
    for _ in range(2):
        assert check(ForkingPickler.loads(ForkingPickler.dumps(packed))) == said


def test_a_packed_value_in_any_pickle() -> None:
    value = [np.ones(LARGE), heirloom.FrozenRegion(b"text"), "word"]
    packed = heirloom.Packed(value)
    for protocol in range(2, 6):
        array, region, word = pickle.loads(pickle.dumps(packed, protocol))
        assert (array.sum(), bytes(region), word) == (LARGE, b"text", "word")
    assert len(pickle.dumps(packed, 5, buffer_callback=lambda _: None)) < 10_000
    with pytest.raises(TypeError, match="cannot pickle a Region"):
        pickle.dumps(heirloom.Packed(heirloom.Region(10)))
    del array, region


@pytest.mark.parametrize("method", METHODS)
def test_cpythons_own_tests_pass(method: str) -> None:
    program = Path(__file__).with_name("standard_executor.py")
    done = subprocess.run([sys.executable, program, method], capture_output=True, text=True, timeout=600)
    if done.returncode == 77:
        pytest.skip(f"this Python comes without its tests: {done.stdout.strip()}")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^Ran [1-9]\d+ tests", done.stderr, re.M), done.stderr
