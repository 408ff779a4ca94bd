"""Frozen regions in Dask: by descriptor between processes of one family on one host, by bytes to any other.

``register`` prepares a cluster, and ``scatter`` gives its workers a region.
"""

import contextlib
import functools
import mmap
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

try:
    from dask.sizeof import sizeof
    from dask.tokenize import normalize_token
    from distributed import Client, Future, Nanny, NannyPlugin, Worker, WorkerPlugin
    from distributed.protocol.serialize import dask_deserialize, dask_serialize
    from distributed.spill import SpillBuffer
except ImportError as _error:
    raise ImportError(f"heirloom.dask needs dask and distributed: {_error}") from _error

from ._heirloom import FrozenRegion
from ._names import ask, borrowed_bytes, get_or_make, is_borrowed, name_of, offer, place
from ._packed import MIN_BYTES

__all__ = ["register", "scatter"]

_KEY = "heirloom"


def register(client: Client) -> Any:
    """Prepare a client, and the workers that its cluster has or will have.

    From then on, a frozen region that is a task's result, or in a list, tuple or dictionary that is one, goes to
    another process of the family by its descriptor. A family are those who know one ``authkey``: a ``LocalCluster``'s
    workers and the process that made it, or the workers of one ``dask worker`` command.

    With an asynchronous client, await it.
    """
    return client.sync(_register, client)


def scatter(client: Client, region: FrozenRegion) -> Any:
    """Give a region to one worker of each family, and return its future.

    Other workers get it by descriptor when a task of theirs needs it. Where the client is of a worker's family, no
    byte is copied. Each other family is sent the bytes once.

    With an asynchronous client, await it.
    """
    return client.sync(_scatter, client, region)


async def _register(client: Client) -> None:
    _introduce(client)
    await client.register_plugin(_InWorker())
    await client.register_plugin(_InNanny())


async def _scatter(client: Client, region: FrozenRegion) -> "Future[Any]":
    families = defaultdict(list)
    for address, theirs in (await client.run(place)).items():
        families[theirs].append(address)
    ours = families.pop(place(), None)
    first = ours or families.popitem()[1]
    future: Future[Any] = await client.scatter(region, workers=first, direct=ours is not None)
    for workers in families.values():
        await client.replicate(future, n=1, workers=workers)
    return future


def _serialize(region: FrozenRegion, context: dict[str, Any] | None = None) -> tuple[dict[str, Any], list[Any]]:
    theirs = (context or {}).get("recipient", {}).get(_KEY)
    if context is not None and theirs is None:
        # A scheduler, which passes messages on to anybody, or a process that `register` didn't prepare.
        raise NotImplementedError
    name = name_of(region)
    # The sender keeps the region until the recipient has answered.
    if theirs == place() and region.nbytes >= MIN_BYTES:
        offer(region)
        return {"name": name}, []
    # Without a context, it is for a file.
    return {"name": name}, [memoryview(region.view())]


def _deserialize(header: dict[str, Any], frames: list[Any]) -> FrozenRegion:
    if not frames:
        return ask(header["name"])
    if memoryview(frames[0]).nbytes < MIN_BYTES:
        return FrozenRegion(frames[0])
    return get_or_make(header["name"], lambda: FrozenRegion(frames[0]))


def _normalize(region: FrozenRegion) -> tuple[str, str]:
    """Identify a region without reading it."""
    return _KEY, name_of(region)


dask_serialize.register(FrozenRegion, _serialize)
dask_deserialize.register(FrozenRegion, _deserialize)
normalize_token.register(FrozenRegion, _normalize)
sizeof.register(FrozenRegion, lambda region: region.nbytes)


def _introduce(server: Any) -> None:
    """Let a client or worker say of which family it is when it connects to others, and when they connect to it."""
    words = {_KEY: place()}
    arguments = server.rpc.connection_args
    arguments["handshake_overrides"] = {**arguments.get("handshake_overrides", {}), **words}
    for listener in getattr(server, "listeners", ()):
        listener.on_connection = functools.partial(type(listener).on_connection, listener, handshake_overrides=words)
    # Those that were made before.
    server.rpc.collect()


class _InWorker(WorkerPlugin):
    """What a worker needs. The scheduler sends it to each that starts, before any task."""

    name = _KEY

    def setup(self, worker: Worker) -> None:
        _introduce(worker)

        def own_memory() -> int:
            resident, shared = _memory(os.getpid())
            return resident - min(shared, borrowed_bytes())

        # Who made a region counts it.
        worker.monitor.get_process_memory = own_memory  # type: ignore[method-assign]
        if isinstance(worker.data, SpillBuffer):
            worker.data.fast.weight = _weight


def _weight(_key: object, value: object) -> int:
    """Return what is gained if a value is spilled."""
    return 0 if isinstance(value, FrozenRegion) and is_borrowed(value) else sizeof(value)


class _InNanny(NannyPlugin):
    """What a nanny needs, so that it ends no worker for memory that others have, too."""

    name = _KEY

    def setup(self, nanny: Nanny) -> None:
        monitor = nanny.periodic_callbacks.get("memory_monitor")
        if monitor is None:
            return
        memory, check = nanny.memory_manager, monitor.callback

        def check_own() -> None:
            pid = nanny.pid
            if pid is None:
                return
            # It may end meanwhile.
            with contextlib.suppress(OSError):
                resident, shared = _memory(pid)
                if resident - shared > (memory.memory_limit or 0) * memory.memory_terminate_fraction:
                    check()

        monitor.callback = check_own


def _memory(pid: int) -> tuple[int, int]:
    """Return how many bytes of a process are resident, and how many of these are of files or shared memory."""
    _, resident, shared, *_ = map(int, Path(f"/proc/{pid}/statm").read_text().split())
    return resident * mmap.PAGESIZE, shared * mmap.PAGESIZE
