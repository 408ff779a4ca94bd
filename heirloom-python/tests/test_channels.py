"""Channels between processes."""

import array
import asyncio
import gc
import multiprocessing as mp
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import heirloom
import pytest
from helpers import links

MESSAGES = 2_000


def open_descriptors() -> int:
    return len(links(Path("/proc/self")))


def echo(jobs: heirloom.Receiver, answers: heirloom.Sender) -> None:
    for job in jobs:
        answers.send(job)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_ends_are_arguments_of_a_process(method: str) -> None:
    start: Any = mp.get_context(method)
    jobs, theirs = heirloom.channel(4096)
    answers, receiver = heirloom.channel(4096)
    child = start.Process(target=echo, args=(theirs, answers))
    child.start()
    assert theirs.closed
    assert answers.closed
    for number in range(MESSAGES):
        jobs.send(b"%d" % number)
        if number % 2:
            assert [receiver.recv(), receiver.recv()] == [b"%d" % (number - 1), b"%d" % number]
    jobs.close()
    with pytest.raises(heirloom.PeerGoneError):
        receiver.recv()
    child.join()
    assert child.exitcode == 0


def echo_what_arrives(pipe: Any) -> None:
    pipe.send("running")
    echo(*pipe.recv())


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_ends_go_to_a_running_process(method: str) -> None:
    start: Any = mp.get_context(method)
    ours, theirs = start.Pipe()
    child = start.Process(target=echo_what_arrives, args=(theirs,))
    child.start()
    assert ours.recv() == "running"
    jobs, jobs_end = heirloom.channel(4096)
    answers_end, answers = heirloom.channel(4096)
    ours.send((jobs_end, answers_end))
    jobs.send(b"text")
    assert answers.recv() == b"text"
    child.kill()
    child.join()
    with pytest.raises(heirloom.PeerGoneError):
        answers.recv()


def test_ends_are_inherited_by_a_program() -> None:
    before = open_descriptors()
    jobs, theirs = heirloom.channel(4096)
    answers, receiver = heirloom.channel(4096)
    region = heirloom.FrozenRegion(b"text")
    code = """
import heirloom
jobs, answers = heirloom.Receiver.inherited("jobs"), heirloom.Sender.inherited("answers")
text = heirloom.FrozenRegion.inherited("text")
for job in jobs:
    answers.send(job + bytes(text))
"""
    with heirloom.inheriting(jobs=theirs, answers=answers, text=region) as kw:
        child = subprocess.Popen([sys.executable, "-c", code], **kw)
    with pytest.raises(ValueError, match="another process has it"):
        theirs.recv()
    jobs.send(b"job ")
    assert receiver.recv() == b"job text"
    jobs.close()
    assert child.wait() == 0
    with pytest.raises(heirloom.PeerGoneError):
        receiver.recv()
    receiver.close()
    region.close()
    gc.collect()
    assert open_descriptors() == before


def test_ends_are_exported_to_a_program() -> None:
    sender, receiver = heirloom.channel(4096)
    code = "import heirloom, sys; heirloom.Sender.from_export(sys.argv[1]).send(b'here')"
    with sender.export() as exported:
        numbers = exported.filenos()
        subprocess.run([sys.executable, "-c", code, str(exported)], pass_fds=numbers, check=True)
    assert receiver.recv() == b"here"
    with pytest.raises(heirloom.PeerGoneError):
        receiver.recv()
    with pytest.raises(ValueError, match="the export is closed"):
        exported.filenos()
    for number in numbers:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(number)


def test_a_death_is_told() -> None:
    sender, receiver = heirloom.channel(4096)
    with heirloom.inheriting(answers=sender) as kw:
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, **kw)
    assert receiver.recv(timeout=0.01) is None
    child.kill()
    with pytest.raises(heirloom.PeerGoneError) as told:
        receiver.recv()
    assert isinstance(told.value, ConnectionError)
    child.communicate()


def test_messages_of_every_size_and_kind() -> None:
    sender, receiver = heirloom.channel(65536)
    longest = sender.longest_message
    assert longest == 32760
    for size in (0, 1, 7, 8, 9, 4095, longest):
        sender.send(b"x" * size)
        assert receiver.recv() == b"x" * size
    with pytest.raises(heirloom.TooLargeError):
        sender.send(bytes(longest + 1))
    sender.send(array.array("i", [1, 2]))
    assert receiver.recv() == array.array("i", [1, 2]).tobytes()
    sender.send(memoryview(b"abcdef")[::2])
    assert receiver.recv() == b"ace"
    sender.send(heirloom.FrozenRegion(b"region"))
    assert receiver.recv() == b"region"
    with pytest.raises(TypeError):
        sender.send("text")  # type: ignore[arg-type]


def test_timeouts() -> None:
    sender, receiver = heirloom.channel(4096)
    for timeout in (0, 0.001, 0.15):
        assert receiver.recv(timeout) is None
    sender.send(bytes(2000), timeout=0)
    sender.send(bytes(2000), timeout=0)
    for timeout in (0, 0.001, 0.15):
        with pytest.raises(TimeoutError, match=r"^the channel has no space$"):
            sender.send(bytes(2000), timeout)
    assert [len(receiver.recv()), len(receiver.recv())] == [2000, 2000]
    assert receiver.recv(0) is None


def test_a_closed_channel() -> None:
    sender, receiver = heirloom.channel(4096)
    with sender:
        sender.send(b"last")
    sender.close()
    assert sender.closed
    with pytest.raises(ValueError, match="closed"):
        sender.send(b"more")
    assert list(receiver) == [b"last"]
    with receiver:
        pass
    with pytest.raises(ValueError, match="closed"):
        receiver.recv()
    sender, receiver = heirloom.channel(4096)
    receiver.close()
    with pytest.raises(heirloom.PeerGoneError):
        send_all(sender)


def test_closing_ends_another_threads_wait() -> None:
    _sender, receiver = heirloom.channel(4096)
    raised: list[BaseException] = []

    def wait() -> None:
        try:
            receiver.recv()
        except ValueError as error:
            raised.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    receiver.close()
    waiter.join()
    assert "closed" in str(raised[0])


def test_threads_share_an_end() -> None:
    sender, receiver = heirloom.channel(4096)
    got: list[bytes] = []

    def receive() -> None:
        got.extend(receiver)

    threads = [threading.Thread(target=receive) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(MESSAGES):
        sender.send(b"%d" % number)
    sender.close()
    for thread in threads:
        thread.join()
    assert sorted(map(int, got)) == list(range(MESSAGES))


def test_a_stranger_gets_no_end() -> None:
    sender, receiver = heirloom.channel(4096)
    for end in (sender, receiver):
        with pytest.raises(TypeError, match="only multiprocessing can send its descriptors"):
            pickle.dumps(end)
    sender.send(b"unharmed")
    assert receiver.recv() == b"unharmed"


def test_a_string_of_something_else_is_refused() -> None:
    sender, receiver = heirloom.channel(4096)
    with sender.export() as exported:
        with pytest.raises(heirloom.WrongKindError, match=r"use Sender\.from_export"):
            heirloom.Receiver.from_export(str(exported))
        with pytest.raises(heirloom.WrongKindError):
            heirloom.AnyRegion.from_export(str(exported))
        with pytest.raises(heirloom.MismatchError):
            heirloom.Sender.from_export(str(exported).replace(f":{exported.filenos()[1]}:", ":12345:"))
        heirloom.Sender.from_export(str(exported)).send(b"good")
    assert receiver.recv() == b"good"
    with pytest.raises(heirloom.MalformedError):
        heirloom.Sender.from_export("nonsense")


def test_bad_capacities() -> None:
    for capacity, error in ((0, heirloom.InvalidInputError), (-1, heirloom.InvalidInputError), (2**40, OverflowError)):
        with pytest.raises(error):
            heirloom.channel(capacity)
    with pytest.raises(TypeError):
        heirloom.channel(1.5)  # type: ignore[arg-type]


def send_all(sender: heirloom.Sender) -> None:
    for number in range(1000):
        sender.send(b"%d" % number)


def test_an_event_loop_receives() -> None:
    sender, receiver = heirloom.channel(4096)
    child = mp.get_context("spawn").Process(target=send_all, args=(sender,))
    child.start()

    async def receive() -> list[bytes]:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(receiver.fileno(), ready.set)
        got: list[bytes] = []
        while True:
            try:
                while (message := receiver.recv(timeout=0)) is not None:
                    got.append(message)
                if receiver.arm():
                    await ready.wait()
                    ready.clear()
            except heirloom.PeerGoneError:
                loop.remove_reader(receiver.fileno())
                return got

    assert asyncio.run(receive()) == [b"%d" % number for number in range(1000)]
    child.join()
    assert child.exitcode == 0
