"""Compares ways to share memory with workers, in turns: prints ratios of one run, and plots them into a file if one is named.

Run it as `python bench/python/memory.py [FILE.svg]`, with numpy and joblib installed.
"""

import mmap
import multiprocessing
import os
import tempfile
from multiprocessing.shared_memory import SharedMemory

import heirloom
import joblib
import numpy
from measure import in_turns, report

MIB = 1 << 20
WORKERS = 4
START = multiprocessing.get_context("spawn")


def read(array):
    # One byte of each page.
    return int(array[:: mmap.PAGESIZE].sum())


def read_region(region):
    return read(region.ndarray())


def read_shared_memory(name):
    memory = SharedMemory(name)
    found = read(numpy.ndarray(memory.size, "u1", memory.buf))
    memory.close()
    return found


def read_file(path):
    return read(joblib.load(path, mmap_mode="r"))


def work(pipe):
    while True:
        function, argument = pipe.recv()
        pipe.send(function(argument))


class Workers:
    """Running processes that call a function with what they are sent."""

    def __init__(self):
        self.pipes = []
        for _ in range(WORKERS):
            ours, theirs = START.Pipe()
            START.Process(target=work, args=(theirs,), daemon=True).start()
            self.pipes.append(ours)

    def call(self, function, argument, expected):
        for pipe in self.pipes:
            pipe.send((function, argument))
        for pipe in self.pipes:
            assert pipe.recv() == expected


def share(workers, nbytes):
    array = numpy.ones(nbytes, "u1")
    expected = nbytes // mmap.PAGESIZE

    def frozen():
        with heirloom.FrozenRegion(array) as region:
            workers.call(read_region, region, expected)

    def made_in_place():
        region = heirloom.Region(nbytes)
        region.ndarray().fill(1)
        with region.freeze() as region:
            workers.call(read_region, region, expected)

    def shared_memory(fill):
        memory = SharedMemory(create=True, size=nbytes)
        fill(numpy.ndarray(nbytes, "u1", memory.buf))
        workers.call(read_shared_memory, memory.name, expected)
        memory.close()
        memory.unlink()

    def file():
        with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
            path = os.path.join(directory, "array")
            joblib.dump(array, path)
            workers.call(read_file, path, expected)

    return in_turns(
        {
            "heirloom": frozen,
            "heirloom, made in place": made_in_place,
            "SharedMemory": lambda: shared_memory(lambda copy: numpy.copyto(copy, array)),
            "SharedMemory, made in place": lambda: shared_memory(lambda copy: copy.fill(1)),
            "joblib.dump to /dev/shm": file,
            "pickle": lambda: workers.call(read, array, expected),
        },
        5,
    )


def create(nbytes):
    def region():
        with heirloom.Region(nbytes) as region:
            memoryview(region)

    def view():
        with heirloom.Region(nbytes) as region:
            region.view()

    def shared_memory():
        memory = SharedMemory(create=True, size=nbytes)
        memory.close()
        memory.unlink()

    def system_calls():
        number = os.memfd_create("memory")
        os.ftruncate(number, nbytes)
        mmap.mmap(number, nbytes).close()
        os.close(number)

    def many(call):
        def run():
            for _ in range(200):
                call()

        return run

    calls = {"heirloom": view, "heirloom, memoryview": region, "SharedMemory": shared_memory, "os and mmap": system_calls}
    took = in_turns({name: many(call) for name, call in calls.items()}, 31)
    return {name: taken / 200 for name, taken in took.items()}


if __name__ == "__main__":
    workers = Workers()
    report(
        {
            f"An array of 256 MiB to {WORKERS} running workers, which read it": share(workers, 256 * MIB),
            f"An array of 1 MiB to {WORKERS} running workers, which read it": share(workers, MIB),
            "Create, map and close 1 MiB": create(MIB),
        }
    )
