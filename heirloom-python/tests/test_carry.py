"""Regions in multiprocessing's messages, and in other pickles."""

import concurrent.futures
import copy
import errno
import functools
import gc
import mmap
import multiprocessing as mp
import os
import pickle
import subprocess
import sys
from multiprocessing import resource_sharer
from multiprocessing.reduction import ForkingPickler
from typing import Any

import heirloom
import helpers
import pytest
from heirloom import _carry
from helpers import descriptors, expected, holders, mappings, one_of_each, share_of, until

METHODS = ["spawn", "forkserver", "fork"]


@pytest.fixture(params=METHODS)
def start(request: pytest.FixtureRequest) -> Any:
    return mp.get_context(request.param)


@pytest.fixture(autouse=True)
def nothing_left() -> Any:
    gc.collect()
    before = descriptors(), mappings("")
    yield
    gc.collect()
    until(lambda: (descriptors(), mappings("")) == before, seconds=5)


def seen(regions: list[heirloom.AnyRegion]) -> None:
    """Check that the child wrote what it could, and nothing else."""
    assert [bytes(region)[4:8] for region in regions] == [b"seen", bytes(4), bytes(4)]


def test_as_an_argument(start: Any) -> None:
    regions = one_of_each()
    ours, theirs = start.Pipe()
    child = start.Process(target=helpers.check_into, args=([*regions, regions[0]], theirs))
    child.start()
    # Inherited or sent: none waits for the child in this process.
    assert descriptors("carried-") == 3
    assert ours.recv() == [*expected(regions), expected(regions)[0]]
    child.join()
    assert child.exitcode == 0
    seen(regions)


def test_to_a_running_process(start: Any) -> None:
    regions = one_of_each()
    ours, theirs = start.Pipe()
    child = start.Process(target=helpers.check_from_pipe, args=(theirs,))
    child.start()
    assert ours.recv() == "running"
    ours.send(regions)
    assert ours.recv() == expected(regions)
    ours.send("end")
    child.join()
    seen(regions)


def test_through_a_queue(start: Any) -> None:
    regions = one_of_each()
    queue, answers = start.Queue(), start.Queue()
    child = start.Process(target=helpers.check_from_queue, args=(queue, answers))
    child.start()
    queue.put(regions)
    assert answers.get() == expected(regions)
    child.join()
    seen(regions)


def test_through_a_pool(start: Any) -> None:
    regions = one_of_each()
    with start.Pool(2) as pool:
        assert pool.apply(helpers.check, (regions,)) == expected(regions)
        seen(regions)
        made, said = pool.apply(helpers.make)
        assert helpers.check(made) == said
        pool.close()
        pool.join()


def test_through_an_executor(start: Any) -> None:
    regions = one_of_each()
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=start) as executor:
        assert executor.submit(helpers.check, regions).result() == expected(regions)
        seen(regions)
        made, said = executor.submit(helpers.make).result()
        assert helpers.check(made) == said


def test_to_the_workers_of_an_executor_at_their_start(start: Any) -> None:
    regions = one_of_each()
    said = start.SimpleQueue()
    with concurrent.futures.ProcessPoolExecutor(
        1, mp_context=start, initializer=helpers.check_into_queue, initargs=(regions, said)
    ) as executor:
        assert executor.submit(len, "ab").result() == 2
        assert said.get() == expected(regions)
    seen(regions)


def test_a_child_killed_after_it_received_leaves_nothing(start: Any) -> None:
    regions = one_of_each()
    ours, theirs = start.Pipe()
    child = start.Process(target=helpers.check_from_pipe, args=(theirs,))
    child.start()
    assert ours.recv() == "running"
    ours.send(regions)
    assert ours.recv() == expected(regions)
    child.kill()
    child.join()
    assert holders("carried-") == [os.getpid()]
    until(lambda: descriptors("carried-") == 3, seconds=5)


def test_what_a_killed_child_did_not_receive_stays_until_the_sender_stops_offering_it(start: Any) -> None:
    regions = one_of_each()
    ours, theirs = start.Pipe()
    child = start.Process(target=helpers.idle, args=(theirs,))
    child.start()
    assert ours.recv() == "running"
    ours.send(regions)
    child.kill()
    child.join()
    assert holders("carried-") == [os.getpid()]
    # Multiprocessing has a duplicate of each, for whoever asks.
    assert descriptors("carried-") == 6
    resource_sharer.stop()
    assert descriptors("carried-") == 3


@pytest.mark.parametrize("carrier", ["Pipe", "SimpleQueue"])
@pytest.mark.parametrize("killed", [False, True])
def test_the_receiver_is_told_that_the_sender_has_ended(carrier: str, killed: bool, start: Any) -> None:
    if carrier == "Pipe":
        ours, theirs = start.Pipe()
        receive, send = ours.recv, theirs.send
    else:
        queue = start.SimpleQueue()
        receive, send = queue.get, queue.put
    child = start.Process(target=helpers.send, args=(send, killed))
    child.start()
    child.join()
    with pytest.raises(
        heirloom.PeerGoneError, match=r"^cannot receive what was sent: its sender has ended; .* lives until"
    ) as failed:
        receive()
    assert isinstance(failed.value, ConnectionError)
    assert failed.value.errno == (errno.ECONNREFUSED if killed else errno.ENOENT)


def test_a_message_is_received_once() -> None:
    message = bytes(ForkingPickler.dumps(heirloom.FrozenRegion(b"text")))
    assert bytes(ForkingPickler.loads(message)) == b"text"
    with pytest.raises(heirloom.PeerGoneError, match="ended, or the message was received before"):
        ForkingPickler.loads(message)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_the_sender_may_drop_the_region_once_the_child_has_started(method: str) -> None:
    start: Any = mp.get_context(method)
    ours, theirs = start.Pipe()
    regions = one_of_each()
    said = expected(regions)
    child = start.Process(target=helpers.check_into, args=(regions, theirs))
    # Only the message holds them while multiprocessing starts the child.
    del regions
    child.start()
    assert ours.recv() == said
    child.join()


def test_a_start_that_fails_keeps_nothing() -> None:
    region = heirloom.Region(4096, name="unstarted")
    child = mp.get_context("spawn").Process(target=print, args=(region, lambda: None))
    with pytest.raises((AttributeError, pickle.PicklingError)):
        child.start()
    del child
    assert descriptors("unstarted") == 1


def test_two_children_get_regions_after_each_other() -> None:
    start = mp.get_context("spawn")
    regions = one_of_each()
    for _ in range(2):
        ours, theirs = start.Pipe()
        child = start.Process(target=helpers.check_into, args=(regions, theirs))
        child.start()
        assert type(child._popen).__module__ == "multiprocessing.popen_spawn_posix"  # type: ignore[attr-defined]
        assert ours.recv() == expected(regions)
        child.join()
        child.close()


def test_what_arrives_is_checked() -> None:
    region = heirloom.FrozenRegion(b"text", name="checked")
    with region.export() as exported:
        string = str(exported)
    for wrong, error in [
        (string.replace(":frozen:4", ":frozen:5"), heirloom.MismatchError),
        (string + "1", heirloom.MismatchError),
        (string.replace("0:1:frozen", "1:1:unsealed"), heirloom.MismatchError),
        ("x", heirloom.MalformedError),
    ]:
        with pytest.raises(error):
            _carry.receive(wrong, Handle(os.dup(region.fileno())), True)
        assert descriptors("checked") == 1
    assert bytes(_carry.receive(string, Handle(os.dup(region.fileno())), True)) == b"text"
    # A number that turned out to be another file's is left alone.
    with open("/dev/null") as file:
        with pytest.raises(heirloom.MismatchError, match="is a different file"):
            _carry.receive(string, Handle(file.fileno()), False)
        os.fstat(file.fileno())


class Handle:
    """What multiprocessing's own handles are like."""

    def __init__(self, number: int) -> None:
        self.number = number

    def detach(self) -> int:
        return self.number


def test_a_stranger_with_the_message_gets_nothing() -> None:
    region = heirloom.FrozenRegion(b"secret", name="stolen")
    code = """
import multiprocessing, pickle, sys
multiprocessing.current_process().authkey = sys.argv[1].encode()
print(bytes(pickle.load(sys.stdin.buffer)))
"""
    steal: Any = functools.partial(subprocess.run, capture_output=True, check=False)
    # The thread that answers prints why it refused.
    program = f"""
import multiprocessing, subprocess, sys, heirloom
from multiprocessing import resource_sharer
from multiprocessing.reduction import ForkingPickler
multiprocessing.current_process().authkey = b"family"
for key in "stranger", "family":
    message = bytes(ForkingPickler.dumps(heirloom.FrozenRegion(b"secret")))
    done = subprocess.run([sys.executable, "-c", {code!r}, key], input=message, capture_output=True)
    print(key, done.stdout, done.stderr.splitlines()[-1:])
"""
    done = steal([sys.executable, "-c", program])
    assert done.stdout.splitlines() == [
        b"stranger b'' [b'multiprocessing.context.AuthenticationError: digest sent was rejected']",
        b"family b\"b'secret'\\n\" []",
    ], done.stderr
    assert region.nbytes == 6


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_other_pickles_have_the_bytes_of_a_frozen_region(protocol: int) -> None:
    writable, read_only, frozen = one_of_each()
    again = pickle.loads(pickle.dumps(frozen, protocol))
    assert isinstance(again, heirloom.FrozenRegion)
    assert bytes(again) == bytes(frozen)
    assert again.fileno() != frozen.fileno()
    for region in (writable, read_only):
        with pytest.raises(TypeError, match=f"cannot pickle a {type(region).__name__}: only multiprocessing"):
            pickle.dumps(region, protocol)


def test_out_of_band_nothing_is_copied() -> None:
    frozen = heirloom.FrozenRegion(bytes(1 << 20))
    buffers: list[pickle.PickleBuffer] = []
    message = pickle.dumps(frozen, 5, buffer_callback=buffers.append)
    assert len(message) < 200
    assert len(buffers) == 1
    frozen.close()
    assert bytes(pickle.loads(message, buffers=buffers)) == bytes(1 << 20)
    assert bytes(copy.copy(heirloom.FrozenRegion(b"text"))) == b"text"


def test_closed_regions_are_not_sent() -> None:
    for region in one_of_each():
        region.close()
        with pytest.raises((ValueError, TypeError)):
            pickle.dumps(region, 5)
        with pytest.raises(ValueError, match="closed"):
            ForkingPickler.dumps(region)


@pytest.mark.parametrize("method", METHODS)
def test_all_children_have_one_copy(method: str) -> None:
    start: Any = mp.get_context(method)
    region = heirloom.FrozenRegion(b"\1" * (16 << 20), name="once")
    pipes = [start.Pipe() for _ in range(6)]
    children = [start.Process(target=helpers.read, args=(region, theirs)) for _, theirs in pipes]
    for child in children:
        child.start()
    assert [ours.recv() for ours, _ in pipes] == [(16 << 20) // mmap.PAGESIZE] * 6
    shares = [share_of(child.pid, "once") for child in children]
    assert (15 << 20) < sum(shares) <= (16 << 20)
    for ours, _ in pipes:
        ours.send("end")
    for child in children:
        child.join()


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_child_leaves_nothing(method: str) -> None:
    start: Any = mp.get_context(method)
    region = heirloom.Region(1 << 20, name="held")
    ours, theirs = start.Pipe()
    child = start.Process(target=helpers.fill, args=(region, theirs))
    child.start()
    assert ours.recv() == "ready"
    assert len(holders("held")) >= 2
    with pytest.raises(BufferError):
        region.freeze()
    child.kill()
    child.join()
    # Neither does the server that forked it.
    assert holders("held") == [os.getpid()]
    assert bytes(region.freeze())[:4] == b"held"
