"""Compares executors of processes, in turns, with numpy arrays: prints ratios of one run.

With `break-even`, compares sending by a region and through the socket at growing sizes instead.
"""

import concurrent.futures
import contextlib
import importlib
import multiprocessing
import statistics
import sys
import time

import heirloom
import numpy

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


def nothing():
    pass


def distinct(executor, workers):
    """Start all workers."""
    for future in [executor.submit(time.sleep, 0.2) for _ in range(workers)]:
        future.result()


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def in_turns(calls, rounds):
    """Return the median of each call's seconds, measured one after the other, in a changing order."""
    times = {name: [] for name in calls}
    for turn in range(rounds + 1):
        order = list(calls) if turn % 2 else list(calls)[::-1]
        for name in order:
            taken = seconds(calls[name])
            # The first round warms up.
            if turn:
                times[name].append(taken)
    return {name: statistics.median(taken) for name, taken in times.items()}


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


def joblib_pool(workers):
    """Return what submits to joblib's workers, or nothing if joblib isn't installed."""
    with contextlib.suppress(ImportError):
        loky = importlib.import_module("joblib.externals.loky")
        reducers = importlib.import_module("joblib._memmapping_reducer")
        reduction, _ = reducers.get_memmapping_reducers(unlink_on_gc_collect=True, temp_folder="/dev/shm")
        return loky.ProcessPoolExecutor(workers, job_reducers=reduction)
    return None


def gather(executor, function, arguments):
    for future in [executor.submit(function, argument) for argument in arguments]:
        future.result()


def compare(workers):
    large, small = make(256 * MIB), [make(MIB) for _ in range(100)]
    cases = {
        "256 MiB to 4 calls": (lambda e: gather(e, read, [large] * 4), 5),
        "16 results of 32 MiB": (lambda e: gather(e, make, [32 * MIB] * 16), 7),
        "100 arguments of 1 MiB": (lambda e: gather(e, read, small), 9),
        "1000 calls without data": (lambda e: [f.result() for f in [e.submit(nothing) for _ in range(1000)]], 9),
    }
    with contextlib.ExitStack() as stack:
        executors = {
            "heirloom": heirloom.ProcessPoolExecutor(workers, START),
            "standard": concurrent.futures.ProcessPoolExecutor(workers, START),
        }
        loky = joblib_pool(workers)
        if loky is not None:
            executors["joblib"] = loky
        for executor in executors.values():
            distinct(stack.enter_context(executor), workers)
        print(
            f"{'seconds, ' + str(workers) + ' workers':<26}",
            *(f"{name:>10}" for name in executors),
            "  standard/heirloom",
        )
        for case, (run, rounds) in cases.items():
            took = in_turns({name: lambda e=e, run=run: run(e) for name, e in executors.items()}, rounds)
            print(
                f"{case:<26}",
                *(f"{took[name]:10.3f}" for name in executors),
                f"{took['standard'] / took['heirloom']:19.2f}",
                flush=True,
            )


if __name__ == "__main__":
    if sys.argv[1:] == ["break-even"]:
        break_even()
    else:
        compare(4)
