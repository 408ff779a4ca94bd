"""Kills families of processes at random moments, and looks at what they leave.

As a program: `families.py ROUNDS SEED`. In each round, regions travel in a family by all carriers, until its parent, a
child or both are killed. Then everybody must end, and nothing may be left.
"""

import collections
import contextlib
import ctypes
import gc
import json
import multiprocessing as mp
import os
import pickle
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from typing import Any, NoReturn

import heirloom
from helpers import descriptors, has_regions, holders, mappings, shmem, until

NAME = os.environ.setdefault("HEIRLOOM_FAMILIES", f"families-{os.getpid()}")
"""Of all regions, also in children that import this again."""
SIZE = 4 << 20
"""Of a region."""
ROOM = 4 * SIZE
"""For what other programs do with shared memory meanwhile."""
METHODS = {"fork": 0.06, "spawn": 0.6, "forkserver": 0.6}
"""The start methods, and the time in which a family has its first children and works."""


def take(regions: list[heirloom.AnyRegion], *_: object) -> list[heirloom.AnyRegion]:
    """Read regions, and make others, in a child."""
    return [make() for region in regions if memoryview(region)[0] == 1]


def answer(pipe: Any) -> None:
    """Answer regions with regions, in a running child."""
    while True:
        pipe.send(take(pipe.recv()))


def take_from(queue: Any, answers: Any) -> None:
    """Answer one message."""
    answers.put(take(queue.get()))
    answers.get()


def make() -> heirloom.Region:
    """Make a region whose memory is there."""
    region = heirloom.Region(SIZE, name=NAME, populate=True)
    memoryview(region)[0] = 1
    return region


def one_of_each() -> list[heirloom.AnyRegion]:
    """Make a region of each kind."""
    return [make(), make().into_read_only()[0], make().freeze()]


def by_argument(start: Any) -> None:
    child = start.Process(target=take, args=(one_of_each(),))
    child.start()
    child.join()


def by_pipe(start: Any) -> None:
    ours, theirs = start.Pipe()
    child = start.Process(target=answer, args=(theirs,))
    child.start()
    for _ in range(3):
        ours.send(one_of_each())
        for region in ours.recv():
            heirloom.FrozenRegion.copy_of(region)
    child.terminate()
    child.join()


def by_queue(start: Any) -> None:
    queue, answers = start.Queue(), start.Queue()
    child = start.Process(target=take_from, args=(queue, answers))
    child.start()
    queue.put(one_of_each())
    answers.get()
    answers.put("end")
    child.join()


def by_pool(start: Any) -> None:
    with start.Pool(2) as pool:
        pool.map(take, [one_of_each(), one_of_each()])


def by_standard_executor(start: Any) -> None:
    with ProcessPoolExecutor(2, start, initializer=take, initargs=(one_of_each(),)) as executor:
        executor.submit(take, one_of_each()).result()


def by_packed(start: Any) -> None:
    packed = heirloom.Packed([one_of_each(), bytes(SIZE)])
    child = start.Process(target=take, args=([], packed))
    child.start()
    child.join()


def by_subprocess(start: Any) -> None:
    with heirloom.inheriting(dict(zip("abc", one_of_each(), strict=True))) as kw:
        subprocess.run(["true"], check=True, **kw)


CARRIERS = [by_argument, by_pipe, by_queue, by_pool, by_standard_executor, by_packed, by_subprocess]


def use_all_carriers(start: Any, chance: random.Random, ready: Callable[[], object]) -> None:
    """Send regions by one carrier after the other."""
    ready()
    while True:
        chance.choice(CARRIERS)(start)


def use_executor(start: Any, chance: random.Random, ready: Callable[[], object]) -> None:
    """Move regions and large values by the executor until a worker is gone, and leave no descriptor in this process."""
    before = os.listdir("/proc/self/fd")
    with contextlib.suppress(BrokenProcessPool):
        work(start, ready)
    gc.collect()
    until(lambda: os.listdir("/proc/self/fd") == before and descriptors() == mappings("") == 0, seconds=10)


def work(start: Any, ready: Callable[[], object]) -> NoReturn:
    with heirloom.ProcessPoolExecutor(2, start, shared={"region": make(), "bytes": bytes(SIZE)}) as executor:
        ready()
        while True:
            futures: list[Any] = [executor.submit(bytes, pickle.PickleBuffer(bytearray(SIZE))) for _ in range(2)]
            futures += [executor.submit(take, one_of_each()) for _ in range(4)]
            for future in futures:
                future.result()


def run(life: Callable[..., None], start: Any, seed: float, log: int) -> tuple[int, int]:
    """Start a family, in a process with all modules, and return its parent and what tells that it is ready."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    code = 1
    try:
        os.close(reader)
        os.ftruncate(log, 0)
        os.lseek(log, 0, os.SEEK_SET)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if start.get_start_method() != "fork":
            resource_tracker.ensure_running()
        if start.get_start_method() == "forkserver":
            forkserver.ensure_running()
        life(start, random.Random(seed), lambda: os.write(writer, b"."))
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def children(pid: int) -> list[int]:
    """List the children of a process.

    Without multiprocessing's tracker, which ends by itself, and must, to clear up semaphores.
    """
    found = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return [child for child in found if not runs(child, b"multiprocessing.resource_tracker")]


def runs(pid: int, module: bytes) -> bool:
    """Return whether a process was started for a module."""
    with contextlib.suppress(OSError):
        return module in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def workers(parent: int) -> list[int]:
    """List the children that a parent has by itself or by the server that forks for it."""
    found = []
    for child in children(parent):
        found += children(child) if runs(child, b"multiprocessing.forkserver") else [child]
    return found


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def reap(statuses: dict[int, int]) -> bool:
    """Note who ended, and return whether that was everybody."""
    try:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return False
            statuses[pid] = status
    except ChildProcessError:
        return True


def one_round(chance: random.Random, log: int) -> tuple[str, ...]:
    """Start a family, kill some of it at a random moment, and see the others end."""
    method = chance.choices(list(METHODS), [18, 1, 1])[0]
    life = chance.choice([use_all_carriers, use_executor])
    victims = chance.choice(["parent", "child", "both"])
    moment = chance.random() * METHODS[method]
    parent, reader = run(life, mp.get_context(method), chance.random(), log)
    statuses: dict[int, int] = {}
    story = method, life.__name__, victims
    try:
        if victims == "child":
            # Before, it has none.
            assert os.read(reader, 1) == b".", f"{story}: the parent ended"
        time.sleep(moment)
        while not (family := workers(parent)) and victims == "child":
            assert not reap(statuses), f"{story}: the parent ended"
        held = any(map(has_regions, [parent, *family]))
        child = [chance.choice(family)] if family else []
        for pid in chance.sample([parent, *child], 1 + len(child)):
            if victims == "both" or (pid == parent) == (victims == "parent"):
                kill(pid)
                time.sleep(chance.random() / 200)
        if life is use_all_carriers:
            # Children of multiprocessing may outlive their parent.
            while not reap(statuses):
                for pid in children(os.getpid()):
                    kill(pid)
                time.sleep(0.001)
        # An executor and its workers end by themselves.
        until(lambda: reap(statuses), seconds=60)
    finally:
        os.close(reader)
        for pid in children(os.getpid()):
            kill(pid)
    if life is use_executor and victims == "child":
        assert statuses[parent] == 0, f"{story}: the parent ended with {statuses[parent]}"
    return (*story, "with regions" if held else "without")


def main() -> None:
    """Run the rounds."""
    rounds, seed = int(sys.argv[1]), int(sys.argv[2])
    chance = random.Random(seed)
    # Orphans are this process's children from now on.
    pr_set_child_subreaper = 36
    assert ctypes.CDLL(None, use_errno=True).prctl(pr_set_child_subreaper, 1, 0, 0, 0) == 0
    seen: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryFile() as log:
        before, memory = os.listdir("/proc/self/fd"), shmem()
        # The control: what stayed would be seen.
        region = heirloom.Region(ROOM * 2, name=NAME, populate=True)
        assert shmem() > memory + ROOM
        assert holders(NAME) == [os.getpid()]
        region.close()
        for number in range(rounds):
            try:
                seen.update(one_round(chance, log.fileno()))
                assert os.listdir("/proc/self/fd") == before
            except BaseException:
                print(f"round {number} failed", file=sys.stderr)
                print(os.pread(log.fileno(), 1 << 16, 0).decode(), file=sys.stderr)
                raise
        until(lambda: shmem() < memory + ROOM)
        assert holders(NAME) == []
        assert descriptors() == mappings("") == 0
    print(json.dumps({**seen, "/dev/shm": os.listdir("/dev/shm")}))


if __name__ == "__main__":
    main()
