"""Compares executors of processes, in turns, with numpy arrays: prints ratios of one run, and plots them if a file is named.

Run it as `python bench/python/executor.py [FILE.svg]`, with numpy and joblib installed. With `break-even`, it compares sending by a
region and through the socket at growing sizes instead.
"""

import concurrent.futures
import multiprocessing
import sys
import time

import heirloom
import joblib
import numpy
from measure import in_turns, report

MIB = 1 << 20
START = multiprocessing.get_context("spawn")


def read(array):
    # One byte of each page.
    return int(array[::4096].sum()) if array.nbytes >= 4096 else array.nbytes


def echo(array):
    read(array)
    return array + 1


def make(nbytes):
    return numpy.ones(nbytes, "u1")


def distinct(executor, workers):
    """Start all workers."""
    for future in [executor.submit(time.sleep, 0.2) for _ in range(workers)]:
        future.result()


def break_even():
    with (
        heirloom.ProcessPoolExecutor(1, START, min_bytes=1) as region,
        heirloom.ProcessPoolExecutor(1, START, min_bytes=1 << 40) as socket,
        concurrent.futures.ProcessPoolExecutor(1, START) as standard,
    ):
        executors = {"region": region, "socket": socket, "standard": standard}
        for executor in executors.values():
            distinct(executor, 1)
        print("An array there and another back, microseconds")
        print(f"{'KiB':>5} {'region':>8} {'socket':>8} {'standard':>8} {'region/socket':>14}")
        for kib in (32, 64, 96, 128, 160, 192, 224, 256, 288, 310):
            array = make(kib << 10)
            calls = {name: lambda e=e: e.submit(echo, array).result() for name, e in executors.items()}
            took = in_turns(calls, 400)
            print(
                f"{kib:5} {took['region'] * 1e6:8.0f} {took['socket'] * 1e6:8.0f} {took['standard'] * 1e6:8.0f} "
                f"{took['region'] / took['socket']:14.2f}"
            )


def by(executor):
    """Return what calls a function with each argument, in the executor's workers."""

    def gather(function, arguments):
        for future in [executor.submit(function, argument) for argument in arguments]:
            future.result()

    return gather


def read_region(region):
    return read(region.ndarray())


def compare(workers):
    large, small = make(256 * MIB), [make(MIB) for _ in range(100)]
    cases = {
        "An array of 256 MiB to 4 calls": (read, [large] * 4, 5),
        "16 results of 32 MiB": (make, [32 * MIB] * 16, 7),
        "100 arguments of 1 MiB": (read, small, 9),
        "1000 calls without data": (abs, [1] * 1000, 9),
    }
    with (
        heirloom.ProcessPoolExecutor(workers, START) as ours,
        concurrent.futures.ProcessPoolExecutor(workers, START) as standard,
        # Its workers stay, and its files are in memory.
        joblib.Parallel(workers, temp_folder="/dev/shm") as theirs,
    ):
        for executor in (ours, standard):
            distinct(executor, workers)
        runners = {
            "heirloom": by(ours),
            "concurrent.futures": by(standard),
            "joblib.Parallel": lambda function, arguments: theirs(map(joblib.delayed(function), arguments)),
        }
        took = {
            case: {name: lambda run=run, call=(function, arguments): run(*call) for name, run in runners.items()}
            for case, (function, arguments, _) in cases.items()
        }

        def as_a_region():
            with heirloom.FrozenRegion(large) as region:
                by(ours)(read_region, [region] * 4)

        took["An array of 256 MiB to 4 calls"]["heirloom, as one FrozenRegion"] = as_a_region
        report({case: in_turns(calls, cases[case][2]) for case, calls in took.items()})


if __name__ == "__main__":
    if sys.argv[1:] == ["break-even"]:
        break_even()
    else:
        compare(4)
