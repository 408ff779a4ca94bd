"""Names of frozen regions, among the processes of one family on one host.

Behind a name is an abstract socket, which only relatives can compute from it. Who holds the region listens there, and
hands the descriptor to those who prove that they know the family's ``authkey``. The kernel gives an address to one
socket at a time, so of many processes that have the same bytes, one makes the region.
"""

import contextlib
import errno
import hmac
import os
import select
import socket
import struct
import threading
import uuid
import weakref
from collections.abc import Callable
from multiprocessing import process
from pathlib import Path
from typing import Any

from . import _heirloom
from ._errors import PeerGoneError
from ._heirloom import FrozenRegion

_NONCE_BYTES = 32
_SECONDS = 60.0  # A relative may be copying the bytes.

_name_of: weakref.WeakKeyDictionary[FrozenRegion, str] = weakref.WeakKeyDictionary()
# Unlike a set, it can be read while another thread adds to it.
_borrowed: weakref.WeakValueDictionary[int, FrozenRegion] = weakref.WeakValueDictionary()


def place() -> str:
    """Identify this family, as far as its abstract sockets reach."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    namespaces = [os.stat(f"/proc/self/ns/{kind}").st_ino for kind in ("net", "user")]
    return _digest(f"place {boot} {namespaces} {os.getuid()}".encode()).hex()


def name_of(region: FrozenRegion) -> str:
    """Return the region's name, which is the same in every process that it went to."""
    return _name_of.setdefault(region, uuid.uuid4().hex)


def is_borrowed(region: FrozenRegion) -> bool:
    """Return whether another process made the region."""
    return _borrowed.get(id(region)) is region


def borrowed_bytes() -> int:
    """Return the size of the regions that other processes made."""
    regions = [reference() for reference in _borrowed.valuerefs()]
    return sum(region.nbytes for region in regions if region is not None and not region.closed)


def offer(region: FrozenRegion) -> None:
    """Hand out the region by its name as long as it lives, unless a relative does."""
    listening = _listen(name_of(region))
    if listening is not None:
        _offers.add(listening, region)


def ask(name: str) -> FrozenRegion:
    """Get the region from the relative that offers it, and check that it is exactly what was offered."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asking:
        asking.settimeout(_SECONDS)
        try:
            asking.connect(_address(name))
            theirs, ours = asking.recv(_NONCE_BYTES), os.urandom(_NONCE_BYTES)
            asking.send(ours + _digest(b"ask", name.encode(), theirs, ours))
            message, numbers, _, _ = socket.recv_fds(asking, 4096, 1, socket.MSG_CMSG_CLOEXEC)
        except OSError as error:
            raise _gone(name, error.errno) from error
    try:
        expected = _digest(b"have", name.encode(), theirs, ours)
        if not numbers or not hmac.compare_digest(message[: len(expected)], expected):
            raise _gone(name, None)
        string = message[len(expected) :].decode()
        region = _heirloom.take_over(string, numbers[0])
    except BaseException:
        for number in numbers:
            os.close(number)
        raise
    if not isinstance(region, FrozenRegion):
        raise _gone(name, None)
    _name_of[region] = name
    _borrowed[id(region)] = region
    return region


def get_or_make(name: str, make: Callable[[], FrozenRegion]) -> FrozenRegion:
    """Get the region from a relative, or make it and offer it."""
    listening = _listen(name)
    if listening is None:
        try:
            return ask(name)
        except PeerGoneError:
            # It may have let go of the region meanwhile.
            listening = _listen(name)
    try:
        region = make()
    except BaseException:
        if listening is not None:
            listening.close()
        raise
    _name_of[region] = name
    if listening is not None:
        _offers.add(listening, region)
    return region


def _digest(*parts: bytes) -> bytes:
    return hmac.digest(process.current_process().authkey, b"heirloom " + b" ".join(parts), "sha256")


def _address(name: str) -> str:
    return f"\0heirloom-{_digest(b'name', name.encode()).hex()}"


def _listen(name: str) -> socket.socket | None:
    """Take the address of a name, if nobody has it."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        listening.bind(_address(name))
        listening.listen(128)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return listening


def _gone(name: str, number: int | None) -> PeerGoneError:
    error = PeerGoneError(f"cannot get the frozen region {name}: the process that offered it has ended or closed it")
    error.errno = number
    return error


class _Offers:
    """The regions that this process offers, and the thread that hands them out."""

    def __init__(self) -> None:
        """Start no thread yet."""
        self._sockets: dict[int, tuple[socket.socket, weakref.ref[FrozenRegion]]] = {}
        self._lock = threading.Lock()
        self._epoll: select.epoll | None = None

    def add(self, listening: socket.socket, region: FrozenRegion) -> None:
        """Offer a region until it is gone."""
        # Who asks may give up before its turn.
        listening.setblocking(False)
        number = listening.fileno()
        self._sockets[number] = listening, weakref.ref(region)
        weakref.finalize(region, self._end, number, listening).atexit = False
        with self._lock:
            if self._epoll is None:
                self._epoll = select.epoll()
                threading.Thread(target=self._serve, args=(self._epoll,), name="heirloom.offers", daemon=True).start()
        self._epoll.register(number, select.EPOLLIN)

    def forget(self) -> None:
        """Leave the offers to the parent, after a fork."""
        for listening, _ in self._sockets.values():
            listening.close()
        self.__init__()  # type: ignore[misc]

    def _end(self, number: int, listening: socket.socket) -> None:
        # First, since another socket may get the number.
        if self._sockets.get(number, (None,))[0] is listening:
            del self._sockets[number]
        listening.close()

    def _serve(self, epoll: select.epoll) -> None:
        while True:
            for number, _ in epoll.poll():
                # An offer may end, and who asked may give up.
                with contextlib.suppress(OSError, KeyError):
                    listening, region = self._sockets[number]
                    asked, _ = listening.accept()
                    # One that says nothing must not keep the others waiting.
                    threading.Thread(target=_hand_out, args=(asked, region), daemon=True).start()


def _hand_out(asked: socket.socket, reference: weakref.ref[FrozenRegion]) -> None:
    # Whatever goes wrong, who asked finds the connection closed.
    with asked, contextlib.suppress(OSError, ValueError):
        asked.settimeout(_SECONDS)
        # An abstract address has no permissions.
        credentials = asked.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        region = reference()
        if region is None or struct.unpack("3i", credentials)[1] != os.getuid():
            return
        name, ours = name_of(region).encode(), os.urandom(_NONCE_BYTES)
        asked.send(ours)
        answer = asked.recv(4096)
        theirs, proof = answer[:_NONCE_BYTES], answer[_NONCE_BYTES:]
        if not hmac.compare_digest(proof, _digest(b"ask", name, ours, theirs)):
            return
        with region.export() as exported:
            proof = _digest(b"have", name, ours, theirs)
            socket.send_fds(asked, [proof, str(exported).encode()], [exported.fileno()])


_offers: Any = _Offers()
os.register_at_fork(after_in_child=_offers.forget)
