"""A second host for Dask: workers in user, network, IPC and PID namespaces of their own.

Each of the two networks has its loopback only. Relays connect them by sockets in a directory, and count what they pass.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import Any, Self

NAMESPACES = ["unshare", "--user", "--map-root-user", "--net", "--ipc", "--pid", "--fork", "--mount-proc"]
FIRST, SECOND = "127.0.0.1", "127.0.0.2"
"""The addresses that the workers of each host have on both."""


def reason_against() -> str:
    """Return why there can't be a second host, or nothing."""
    try:
        done = subprocess.run([*NAMESPACES, "true"], capture_output=True, text=True)
    except FileNotFoundError as error:
        return str(error)
    return done.stderr.strip() if done.returncode else ""


class SecondHost:
    """The host, as long as the block runs."""

    def __init__(self, cluster: Any, workers: int, **options: Any) -> None:
        """Start workers, as one command would, for the scheduler of a cluster on the first host."""
        self.passed = 0
        """The bytes that went to the other host, either way."""
        self._lock = threading.Lock()
        self._directory = tempfile.TemporaryDirectory()
        path = self._directory.name
        addresses = [cluster.scheduler.address, *(nanny.worker_address for nanny in cluster.workers.values())]
        ports = [int(address.rpartition(":")[2]) for address in addresses]
        ours = [_listen(f"{path}/{port}") for port in ports]
        theirs = [_listen((SECOND, 0)) for _ in range(2 * workers)]
        numbers = [listening.getsockname()[1] for listening in theirs]
        self._listening = [*ours, *theirs]
        for listening, port in zip(ours, ports, strict=True):
            _relay(listening, (FIRST, port), self._count)
        for listening, number in zip(theirs, numbers, strict=True):
            _relay(listening, f"{path}/second-{number}", self._count)
        given = json.dumps([path, addresses[0], ports, numbers, options])
        self._process = subprocess.Popen([*NAMESPACES, sys.executable, __file__, given], stdin=subprocess.PIPE)

    def __enter__(self) -> Self:
        """Be there."""
        return self

    def __exit__(self, *_: object) -> None:
        """End all its processes."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()
        for listening in self._listening:
            listening.shutdown(socket.SHUT_RDWR)
        self._directory.cleanup()

    def _count(self, nbytes: int) -> None:
        with self._lock:
            self.passed += nbytes


def _family(address: Any) -> socket.AddressFamily:
    return socket.AF_UNIX if isinstance(address, str) else socket.AF_INET


def _listen(address: Any) -> socket.socket:
    listening = socket.socket(_family(address))
    listening.bind(address)
    listening.listen(128)
    return listening


def _relay(listening: socket.socket, address: Any, count: Callable[[int], object] = lambda _: None) -> None:
    """Connect each who connects to the one with another address."""

    def accept() -> None:
        # Until somebody shuts it down.
        with listening, contextlib.suppress(OSError):
            while True:
                near, _ = listening.accept()
                threading.Thread(target=_join, args=(near, address, count), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def _join(near: socket.socket, address: Any, count: Callable[[int], object]) -> None:
    with near, socket.socket(_family(address)) as far, contextlib.suppress(OSError):
        far.connect(address)
        back = threading.Thread(target=_pass, args=(far, near, count), daemon=True)
        back.start()
        _pass(near, far, count)
        back.join()


def _pass(source: socket.socket, sink: socket.socket, count: Callable[[int], object]) -> None:
    try:
        while piece := source.recv(1 << 20):
            count(len(piece))
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        # What one side lost, the other shall.
        for connected in (source, sink):
            with contextlib.suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)


def raise_loopback() -> None:
    """Bring the loopback of this network namespace up."""
    up, set_flags = 0x1, 0x8914
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sh14x", b"lo", up))


async def _work(scheduler: str, numbers: list[int], options: dict[str, Any]) -> None:
    from distributed import Nanny

    half = len(numbers) // 2
    pairs = zip(numbers[:half], numbers[half:], strict=True)
    nannies = [
        Nanny(scheduler, host=SECOND, port=port, worker_port=worker_port, nthreads=1, **options)
        for port, worker_port in pairs
    ]
    await asyncio.gather(*nannies)
    await asyncio.Event().wait()


def _be_second(path: str, scheduler: str, ports: list[int], numbers: list[int], options: dict[str, Any]) -> None:
    raise_loopback()
    for port in ports:
        _relay(_listen((FIRST, port)), f"{path}/{port}")
    for number in numbers:
        _relay(_listen(f"{path}/second-{number}"), (SECOND, number))
    # All end with this process, which is the first of its PID namespace.
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    asyncio.run(_work(scheduler, numbers, options))


if __name__ == "__main__":
    _be_second(*json.loads(sys.argv[1]))
