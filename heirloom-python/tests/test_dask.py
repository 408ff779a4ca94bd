"""Frozen regions in Dask's workers, which nannies start."""

import asyncio
import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import heirloom
import pytest
from helpers import descriptors, python, share_of, until
from recipes import number_of

pytest.importorskip("distributed")

import dask
import heirloom.dask
import two_hosts
from distributed import Client, LocalCluster

MIB = 1 << 20


def make_cluster(**options: Any) -> Any:
    # Its manager of replicas would drop some at any time.
    with dask.config.set({"distributed.scheduler.active-memory-manager.start": False}):
        return LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50, **options)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with make_cluster() as cluster:
        yield cluster


@pytest.fixture
def client(cluster: Any) -> Iterator[Any]:
    before = held_here()
    with Client(cluster) as client:
        heirloom.dask.register(client)
        yield client
        # The test has ended, and with it its futures.
        until(lambda: held(client) == [before] + [0] * len(addresses(client)))


def held(client: Any) -> list[int]:
    """Count the descriptors in this process and in each worker."""
    return [held_here(), *client.run(held_here).values()]


def held_here() -> int:
    gc.collect()
    # Errors that were logged are kept, and with them what was refused.
    return descriptors() - descriptors("refused")


def addresses(client: Any) -> list[str]:
    return sorted(client.scheduler_info(n_workers=-1)["workers"])


def make(nbytes: int) -> heirloom.FrozenRegion:
    region = heirloom.Region(nbytes, name="dask")
    memoryview(region)[:4] = b"text"
    return region.freeze()


def look(region: heirloom.FrozenRegion) -> tuple[int, int, bytes]:
    """Say in which process a region is, what its number is, and what it begins with."""
    return os.getpid(), number_of(region), bytes(memoryview(region)[:4])


def on(client: Any, workers: list[str], function: Any, *arguments: Any) -> list[Any]:
    """Call a function on workers at once, with what the futures stand for."""
    futures = [client.submit(function, *arguments, workers=[worker], pure=False) for worker in workers]
    answers: list[Any] = client.gather(futures)
    return answers


def numbers(seen: list[tuple[int, int, bytes]], processes: int) -> set[int]:
    """Return the numbers of the regions that so many processes saw."""
    assert len({pid for pid, _, _ in seen}) == processes
    assert {text for _, _, text in seen} == {b"text"}
    return {number for _, number, _ in seen}


def test_scatter_gives_each_worker_the_memory_of_the_client(client: Any) -> None:
    region = make(MIB)
    future = heirloom.dask.scatter(client, region)
    assert numbers(on(client, addresses(client), look, future), 2) == {number_of(region)}
    # One descriptor in each process: none waits for anybody.
    assert descriptors("dask") == 1
    assert held(client)[1:] == [1, 1]


def test_dask_alone_copies() -> None:
    with make_cluster() as cluster, Client(cluster) as client:
        region = make(MIB)
        future = client.scatter(region, direct=True)
        seen = numbers(on(client, addresses(client), look, future), 2)
        assert len(seen) == 2
        assert number_of(region) not in seen


@pytest.mark.parametrize("kind", ["list", "tuple", "dict"])
def test_regions_of_a_result_go_to_another_worker_by_descriptor(kind: str, client: Any) -> None:
    one, other = addresses(client)
    region = client.submit(make, MIB, workers=[one], pure=False)
    held = client.submit(hold, region, kind, workers=[one])
    seen = client.gather([client.submit(look, region, workers=[one]), client.submit(look_in, held, workers=[other])])
    assert len(numbers(seen, 2)) == 1


def hold(region: heirloom.FrozenRegion, kind: str) -> Any:
    return {"list": [region], "tuple": (region,), "dict": {"table": region}}[kind]


def look_in(held: Any) -> tuple[int, int, bytes]:
    return look(held["table"] if isinstance(held, dict) else held[0])


def test_gather_gets_the_memory_of_the_worker_if_it_is_direct(client: Any) -> None:
    result = client.submit(make, MIB, pure=False)
    number = client.submit(look, result).result()[1]
    assert look(client.gather(result, direct=True)) == (os.getpid(), number, b"text")
    # The scheduler passes on what anybody could read.
    copy = client.gather(result, direct=False)
    assert look(copy)[1] != number
    assert look(copy)[2] == b"text"


def test_an_argument_goes_by_bytes(client: Any) -> None:
    region = make(MIB)
    assert number_of(region) not in numbers(on(client, addresses(client), look, region), 2)


def test_an_asynchronous_client_awaits() -> None:
    async def run() -> None:
        with dask.config.set({"distributed.scheduler.active-memory-manager.start": False}):
            options = {"n_workers": 1, "dashboard_address": ":0", "asynchronous": True}
            async with LocalCluster(**options) as cluster, Client(cluster, asynchronous=True) as client:
                await heirloom.dask.register(client)
                region = make(MIB)
                future = await heirloom.dask.scatter(client, region)
                assert (await client.submit(look, future))[1] == number_of(region)

    asyncio.run(run())


def test_a_small_region_goes_by_bytes(client: Any) -> None:
    region = make(4096)
    future = heirloom.dask.scatter(client, region)
    assert number_of(region) not in numbers(on(client, addresses(client), look, future), 2)


def make_writable() -> heirloom.Region:
    return heirloom.Region(MIB, name="refused")


def test_writable_regions_are_refused(client: Any) -> None:
    writable = make_writable()
    for region in (writable, make_writable().into_read_only()[0]):
        with pytest.raises(TypeError, match="Could not serialize") as caught:
            client.scatter(region, direct=True)
        assert f"cannot pickle a {type(region).__name__}: only multiprocessing" in str(caught.value.__cause__)
    with pytest.raises(TypeError, match="cannot pickle a Region: only multiprocessing"):
        client.submit(make_writable, pure=False).result()
    assert client.submit(len, heirloom.dask.scatter(client, writable.freeze())).result() == MIB


def test_a_restarted_worker_gets_descriptors(client: Any) -> None:
    region = make(MIB)
    future = heirloom.dask.scatter(client, region)
    before = numbers_of_processes(client)
    client.restart()
    assert not before & numbers_of_processes(client)
    future = heirloom.dask.scatter(client, region)
    assert numbers(on(client, addresses(client), look, future), 2) == {number_of(region)}


def numbers_of_processes(client: Any) -> set[int]:
    return set(client.run(os.getpid).values())


def test_a_killed_worker_is_replaced_by_one_that_gets_descriptors(client: Any) -> None:
    one, other = addresses(client)
    region = make(MIB)
    future = client.scatter(region, workers=[one], direct=True)
    os.kill(client.run(os.getpid, workers=[other])[other], signal.SIGKILL)
    until(lambda: len(addresses(client)) == 2 and other not in addresses(client))
    assert numbers(on(client, addresses(client), look, future), 2) == {number_of(region)}


def spill(dask_worker: Any) -> list[bytes]:
    """Write what a worker has to its disk, and return its files."""
    while dask_worker.data.fast:
        dask_worker.data.evict()
    return [file.read_bytes() for file in Path(dask_worker.local_directory, "storage").iterdir()]


def test_a_spilled_region_has_its_bytes_and_comes_back_as_the_memory_of_others(client: Any) -> None:
    one, other = addresses(client)
    region = make(MIB)
    future = heirloom.dask.scatter(client, region)
    on(client, [one, other], look, future)
    assert any(bytes(region) in file for file in client.run(spill, workers=[one])[one])
    assert numbers(on(client, [one, other], look, future), 2) == {number_of(region)}


def test_a_spilled_region_that_nobody_has_any_more_is_made_again(client: Any) -> None:
    (one, other) = addresses(client)
    future = client.submit(make, MIB, workers=[one], pure=False)
    number = client.submit(look, future).result()[1]
    client.run(spill, workers=[one])
    again = numbers(on(client, [one, other], look, future), 2)
    assert len(again) == 1
    assert number not in again


def own_memory(dask_worker: Any) -> tuple[int, int]:
    """Return what Dask takes for a worker's memory, and what is resident."""
    own: int = dask_worker.monitor.get_process_memory()
    return own, dask_worker.monitor.proc.memory_info().rss


def test_dask_ends_no_worker_for_memory_that_it_shares() -> None:
    limit = 400 * MIB
    with make_cluster(memory_limit=limit) as cluster, Client(cluster) as client:
        heirloom.dask.register(client)
        future = heirloom.dask.scatter(client, heirloom.FrozenRegion(bytes(limit), name="dask"))
        before = client.run(os.getpid)
        assert on(client, addresses(client), map_and_read, future) == [0, 0]
        for own, resident in client.run(own_memory).values():
            assert resident > limit
            # Below what makes Dask write to disk.
            assert own < 0.6 * limit
        one, other = cluster.workers.values()
        for nanny in (one, other):
            client.sync(call, nanny.periodic_callbacks["memory_monitor"].callback)
        assert client.run(os.getpid) == before
        assert client.run(on_disk) == dict.fromkeys(before, 0)
        # Dask's rule alone would end it.
        with_shared = one.pid
        client.sync(call, lambda: one.memory_manager.memory_monitor(one))
        until(lambda: one.pid not in (with_shared, None))
        # And what is a worker's own ends it.
        with_own = other.pid
        client.run(grow, limit, workers=[other.worker_address], on_error="ignore")
        until(lambda: other.pid not in (with_own, None))


kept: list[Any] = []


def map_and_read(region: heirloom.FrozenRegion) -> int:
    """Have all pages of a region resident until the process ends."""
    kept.append(region.ndarray())
    return int(kept[-1].sum())


def grow(nbytes: int) -> None:
    kept.append(b"1" * nbytes)


async def call(function: Any) -> None:
    function()


def on_disk(dask_worker: Any) -> int:
    return len(dask_worker.data.slow)


def test_who_made_a_region_counts_it(client: Any) -> None:
    one, other = addresses(client)
    future = client.submit(make, 64 * MIB, workers=[one], pure=False)
    assert on(client, [one, other], map_and_read, future) == [sum(b"text")] * 2
    memory = client.run(own_memory)
    own, resident = memory[one]
    assert resident - own < MIB
    own, resident = memory[other]
    assert 64 * MIB <= resident - own < 65 * MIB
    client.run(kept.clear)


@pytest.fixture(scope="module")
def second(cluster: Any) -> Iterator[Any]:
    reason = two_hosts.reason_against()
    if reason:
        pytest.skip(f"no second host: {reason}")
    with two_hosts.SecondHost(cluster, 3) as second:
        yield second


def test_all_workers_of_another_host_have_one_copy(second: Any, client: Any) -> None:
    client.wait_for_workers(5)
    theirs = [address for address in addresses(client) if two_hosts.SECOND in address]
    region = make(32 * MIB)
    before = second.passed
    future = heirloom.dask.scatter(client, region)
    seen = numbers(on(client, theirs, look, future), 3)
    assert len(seen) == 1
    assert seen != {number_of(region)}
    # The bytes went there once.
    assert 32 * MIB <= second.passed - before < 33 * MIB
    ours = [address for address in addresses(client) if two_hosts.FIRST in address]
    assert numbers(on(client, ours, look, future), 2) == {number_of(region)}
    # Their shares make up one copy.
    on(client, theirs, map_and_read, future)
    assert 31 * MIB <= sum(client.run(share, workers=theirs).values()) < 33 * MIB
    client.run(kept.clear)


def share() -> int:
    return share_of(os.getpid(), "")


def test_workers_of_another_host_that_all_get_the_bytes_keep_one_copy(second: Any, client: Any) -> None:
    client.wait_for_workers(5)
    here = [address for address in addresses(client) if two_hosts.FIRST in address]
    there = [address for address in addresses(client) if two_hosts.SECOND in address]
    before = second.passed
    # Nobody told Dask to begin with one of them.
    future = client.scatter(make(32 * MIB), workers=here[:1], direct=True)
    assert len(numbers(on(client, there, look, future), 3)) == 1
    assert second.passed - before > 32 * MIB


def test_the_import_says_what_is_missing() -> None:
    done = python("import sys, heirloom; assert 'dask' not in sys.modules; import heirloom.dask; print('there')")
    assert done.stdout == "there\n"
    done = python("import sys; sys.modules['distributed'] = None; import heirloom.dask")
    assert "ImportError: heirloom.dask needs dask and distributed: " in done.stderr
