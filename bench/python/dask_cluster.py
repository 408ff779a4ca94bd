"""Compares a table in Dask's workers on two hosts: by Dask alone, and in a frozen region.

Run it as `python bench/python/dask_cluster.py [MIB]`, with numpy and distributed installed. It makes the hosts of network
namespaces, whose bytes nobody else adds to, and needs 12 times the table's memory.
"""

import os
import sys
import threading
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "heirloom-python" / "tests"))

import dask
import heirloom
import heirloom.dask
import numpy
import two_hosts
from distributed import Client, LocalCluster, as_completed

MIB = 1 << 20
WORKERS = 4  # On each host.


def total(table):
    if isinstance(table, heirloom.FrozenRegion):
        table = table.ndarray("f8")
    return float(table.sum())


def alone(client, table):
    return client.scatter(table, broadcast=True)


def with_heirloom(client, table):
    return heirloom.dask.scatter(client, heirloom.FrozenRegion(table))


def passed():
    """Return the bytes that went through this host's loopback."""
    line = next(line for line in Path("/proc/net/dev").read_text().splitlines() if line.strip().startswith("lo:"))
    return int(line.split()[1])


def memory():
    """Return the proportional shares of all processes of both hosts, which are this one and its descendants."""
    found = 0
    for status in Path("/proc").glob("[0-9]*/smaps_rollup"):
        try:
            found += next(int(line.split()[1]) << 10 for line in status.open() if line.startswith("Pss:"))
        except (OSError, StopIteration):
            # It ended, or is a thread of the kernel.
            continue
    return found


class Peak:
    """The most memory that was used, as often as it could be read."""

    def __enter__(self):
        self.nbytes, self.running = memory(), True
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.running = False
        self.thread.join()

    def watch(self):
        while self.running:
            self.nbytes = max(self.nbytes, memory())


def run(share, nbytes, measured):
    """Let each worker sum up the table, and return a line of the report."""
    table = numpy.ones(nbytes // 8)
    options = {"n_workers": WORKERS, "threads_per_worker": 1, "memory_limit": 0, "dashboard_address": ":0"}
    # Its manager of replicas would drop each copy that no task waits for, and a broadcast would send it again, without end.
    dask.config.set({"distributed.scheduler.active-memory-manager.start": False})
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        with two_hosts.SecondHost(cluster, WORKERS, memory_limit=0) as second:
            client.wait_for_workers(2 * WORKERS)
            heirloom.dask.register(client)
            addresses = list(client.nthreads())
            there = next(address for address in addresses if two_hosts.SECOND in address)

            def both():
                return second.passed, passed() + client.run(passed, workers=[there])[there]

            before, start = both(), time.perf_counter()
            if measured == "memory":
                with Peak() as peak:
                    base = peak.nbytes
                    work(client, share, table, addresses, start)
                return {"peak": peak.nbytes - base}
            first, last = work(client, share, table, addresses, start)
            between, through = (after - was for was, after in zip(before, both(), strict=True))
            # What went to the other host went through both loopbacks.
            return {"between": between, "within": through - 2 * between, "first": first, "last": last}


def work(client, share, table, addresses, start):
    future = share(client, table)
    times = []
    tasks = [client.submit(total, future, workers=[address], pure=False) for address in addresses]
    for _, result in as_completed(tasks, with_results=True):
        assert result == len(table)
        times.append(time.perf_counter() - start)
    return times[0], times[-1]


def main(nbytes):
    print("| | between the hosts | within them | peak memory | first result | all results |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, share in (("Dask alone", alone), ("with heirloom", with_heirloom)):
        found = run(share, nbytes, "time") | run(share, nbytes, "memory")
        sizes = [f"{found[key] / MIB:.0f} MiB" for key in ("between", "within", "peak")]
        print(f"| {name} | {' | '.join(sizes)} | {found['first']:.2f} s | {found['last']:.2f} s |", flush=True)


if __name__ == "__main__":
    if "HEIRLOOM_HOST" not in os.environ:
        os.environ["HEIRLOOM_HOST"] = "first"
        os.execvp("unshare", [*two_hosts.NAMESPACES, sys.executable, *sys.argv])
    two_hosts.raise_loopback()
    main(int(sys.argv[1] if len(sys.argv) > 1 else 1024) * MIB)
