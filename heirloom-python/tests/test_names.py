"""Names of frozen regions: relatives get the descriptor, and nobody else."""

import contextlib
import errno
import gc
import multiprocessing as mp
import os
import signal
import socket
import threading
from collections.abc import Iterator
from multiprocessing import process
from pathlib import Path
from typing import Any

import heirloom
import pytest
from heirloom import _names
from helpers import descriptors, until
from recipes import number_of

START = mp.get_context("spawn")


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    gc.collect()
    before = descriptors()
    yield
    gc.collect()
    until(lambda: descriptors() == before, seconds=5)


@pytest.fixture
def region() -> Iterator[heirloom.FrozenRegion]:
    # The test's frame keeps it longer.
    with heirloom.FrozenRegion(b"text") as region:
        _names.offer(region)
        yield region


def ask(name: str, answers: Any) -> None:
    try:
        region = _names.ask(name)
    except heirloom.PeerGoneError as error:
        answers.send(str(error))
    else:
        answers.send((number_of(region), bytes(region), _names.name_of(region)))


def in_child(function: Any, *arguments: Any) -> Any:
    ours, theirs = START.Pipe()
    child = START.Process(target=function, args=(*arguments, theirs))
    child.start()
    theirs.close()
    answer = ours.recv()
    child.join()
    return answer


def ask_as_a_stranger(name: str, address: str, authkey: bytes, answers: Any) -> None:
    process.current_process().authkey = authkey
    assert _names._address(name) != address
    # As if it had guessed.
    _names._address = lambda _name: address  # type: ignore[assignment]
    ask(name, answers)


def test_a_relative_gets_the_same_memory(region: heirloom.FrozenRegion) -> None:
    name = _names.name_of(region)
    assert in_child(ask, name) == (number_of(region), b"text", name)


def test_a_stranger_gets_nothing(region: heirloom.FrozenRegion) -> None:
    name = _names.name_of(region)
    assert in_child(ask_as_a_stranger, name, _names._address(name), b"guessed") == str(_names._gone(name, None))
    # Nor if it believes whatever it is sent.
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asking:
        asking.connect(_names._address(name))
        asking.recv(4096)
        asking.send(bytes(64))
        assert socket.recv_fds(asking, 4096, 1)[:2] == (b"", [])
    # Nobody is kept from it.
    assert in_child(ask, name)[1] == b"text"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to be another user")
def test_another_user_is_told_nothing(region: heirloom.FrozenRegion) -> None:
    address = _names._address(_names.name_of(region))
    for user, expected in ((0, _names._NONCE_BYTES), (65534, 0)):
        ours, theirs = os.pipe()
        if not (child := os.fork()):
            with contextlib.suppress(BaseException):
                os.setresuid(user, user, user)
                asking = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                asking.connect(address)
                os.write(theirs, bytes([len(asking.recv(4096))]))
            os._exit(0)
        os.waitpid(child, 0)
        assert os.read(ours, 1) == bytes([expected])
        os.close(ours)
        os.close(theirs)


def test_one_that_has_the_address_but_not_the_key_is_not_believed(region: heirloom.FrozenRegion) -> None:
    before = descriptors()
    listening = _names._listen("name")
    assert listening

    def pretend() -> None:
        asked, _ = listening.accept()
        with asked:
            asked.send(bytes(_names._NONCE_BYTES))
            asked.recv(4096)
            with region.export() as exported:
                socket.send_fds(asked, [bytes(32) + str(exported).encode()], [exported.fileno()])

    pretending = threading.Thread(target=pretend)
    with listening:
        pretending.start()
        with pytest.raises(heirloom.PeerGoneError, match="cannot get the frozen region name: the process that offered"):
            _names.ask("name")
        pretending.join()
    # What it sent was closed.
    assert descriptors() == before


def test_one_that_says_nothing_keeps_nobody_waiting(region: heirloom.FrozenRegion) -> None:
    name = _names.name_of(region)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
        silent.connect(_names._address(name))
        assert in_child(ask, name)[1] == b"text"


def test_a_name_ends_with_its_region(region: heirloom.FrozenRegion) -> None:
    name = _names.name_of(region)
    again = _names.ask(name)
    assert number_of(again) == number_of(region)
    region.close()
    with pytest.raises(heirloom.PeerGoneError) as caught:
        _names.ask(name)
    assert caught.value.errno is None


def test_a_name_ends_with_its_region_even_while_a_forked_child_runs() -> None:
    region = heirloom.FrozenRegion(b"text")
    name = _names.name_of(region)
    _names.offer(region)
    child = os.fork()
    if not child:
        signal.pause()
    try:
        assert bytes(_names.ask(name)) == b"text"
        del region
        # The thread that handed it out may have it a little longer.
        until(lambda: _names._address(name)[1:] not in Path("/proc/net/unix").read_text())
        with pytest.raises(heirloom.PeerGoneError) as caught:
            _names.ask(name)
        assert caught.value.errno == errno.ECONNREFUSED
        assert bytes(_names.get_or_make(name, lambda: heirloom.FrozenRegion(b"again"))) == b"again"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def get_or_make(name: str, barrier: Any, answers: Any) -> None:
    barrier.wait()
    region = _names.get_or_make(name, lambda: heirloom.FrozenRegion(bytes(1 << 22)))
    answers.put((number_of(region), _names.is_borrowed(region), _names.borrowed_bytes()))
    barrier.wait()


def test_of_many_that_have_the_bytes_one_makes_the_region() -> None:
    count = 4
    barrier, answers = START.Barrier(count), START.Queue()
    children = [START.Process(target=get_or_make, args=("name", barrier, answers)) for _ in range(count)]
    for child in children:
        child.start()
    found = [answers.get() for _ in children]
    for child in children:
        child.join()
    assert len({number for number, _, _ in found}) == 1
    assert sorted(borrowed for _, borrowed, _ in found) == [False, True, True, True]
    assert sum(nbytes for _, _, nbytes in found) == 3 << 22


def test_it_is_made_if_who_has_the_address_gives_nothing(region: heirloom.FrozenRegion) -> None:
    name = _names.name_of(region)
    region.close()
    assert bytes(_names.get_or_make(name, lambda: heirloom.FrozenRegion(b"own"))) == b"own"
