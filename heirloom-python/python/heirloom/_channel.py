"""Messages with descriptors, over a pair of sockets.

A message and its descriptors arrive together, at whichever process takes the message: that needs no lock and no thread,
and the sender may have ended. The kernel closes the descriptors that nobody took with the last end.
"""

import array
import contextlib
import errno
import socket
import time
from collections.abc import Sequence
from typing import Any

MOST_BYTES = 384 << 10
"""No message is longer."""
MOST_DESCRIPTORS = 253
"""The kernel's limit for a message."""
_CONTROL_BYTES = socket.CMSG_SPACE(4 * MOST_DESCRIPTORS)
_RESERVE = 1024  # The kernel needs some of the buffer itself.


class End:
    """One end. A process that is being started can inherit it."""

    def __init__(self, connected: socket.socket) -> None:
        """Own a connected socket."""
        # `socket.setdefaulttimeout` is for others.
        connected.settimeout(None)
        self._socket = connected
        self._space: bytearray | None = None
        buffer = connected.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        self.most_bytes = min(MOST_BYTES, buffer - _RESERVE)
        """The size of the longest message that can be sent."""

    def send(self, pieces: Sequence[Any], numbers: Sequence[int]) -> None:
        """Send one message, in one piece for the receiver. Waits while too many are on their way."""
        if not numbers:
            self._socket.sendmsg(pieces, (), socket.MSG_NOSIGNAL)
            return
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", numbers))]
        deadline = time.monotonic() + 10
        while True:
            try:
                self._socket.sendmsg(pieces, rights, socket.MSG_NOSIGNAL)
            except OSError as error:
                # The user's descriptors on their way are limited, too, and the receiver may be taking some.
                if error.errno != errno.ETOOMANYREFS or time.monotonic() > deadline:
                    raise
                time.sleep(0.001)
            else:
                return

    def receive(self) -> tuple[memoryview, list[int]]:
        """Take one message, which is valid until the next one; an empty one if nobody can send any more.

        The descriptors for which this process has no space are missing at the end of the list.
        """
        if self._space is None:
            self._space = bytearray(MOST_BYTES)
        length, control, _flags, _address = self._socket.recvmsg_into(
            [self._space], _CONTROL_BYTES, socket.MSG_CMSG_CLOEXEC
        )
        if not control:
            return memoryview(self._space)[:length], []
        numbers = array.array("i")
        for level, kind, data in control:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
        return memoryview(self._space)[:length], numbers.tolist()

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close this process's descriptor of it."""
        self._socket.close()

    def __del__(self) -> None:
        """Close it without the warning that a socket gives."""
        with contextlib.suppress(AttributeError):
            self._socket.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Let a process that is being started inherit it."""
        from multiprocessing import context

        context.assert_spawning(self)
        return End, (self._socket,)


def pair() -> tuple[End, End]:
    """Connect two ends."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in (one, other):
        # As much as the system permits.
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MOST_BYTES)
    return End(one), End(other)
