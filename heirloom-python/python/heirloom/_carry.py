"""Regions and ends of channels in pickles.

multiprocessing's pickles carry a descriptor: a child that is being started inherits it, and a running process gets it
by a socket, if it knows the family's ``authkey``. Any other pickle has the bytes of a frozen region, and refuses the
other kinds.
"""

import os
from typing import Any

from . import _heirloom
from ._errors import PeerGoneError
from ._heirloom import AnyRegion, FrozenRegion, Receiver, Sender


def reduce_ex(region: AnyRegion, protocol: int) -> tuple[Any, ...]:
    """Pickle a frozen region by value, for anybody."""
    if not isinstance(region, FrozenRegion):
        raise TypeError(
            f"cannot pickle a {type(region).__name__}: only multiprocessing can send its descriptor; freeze it, or "
            "send heirloom.FrozenRegion.copy_of(region)"
        )
    import pickle

    # Not the region itself, which may be closed before the pickle is written.
    view = region.view()
    return FrozenRegion, (pickle.PickleBuffer(view) if protocol >= 5 else bytes(view),)


def reduce(region: AnyRegion) -> tuple[Any, ...]:
    """Pickle a descriptor, for multiprocessing."""
    from multiprocessing import context, reduction

    exported = region.export()
    starting = context.get_spawning_popen()
    if starting is None:
        # It has a duplicate of its own.
        with exported:
            return receive, (str(exported), reduction.DupFd(exported.fileno()), True)
    # The message names a number, so the descriptor must be open until the child has it.
    _keep_until_started(starting, exported)
    # With spawn, the child has the same number, or another file if something went wrong: not this code's to close.
    owned = starting.method != "spawn"
    return receive, (str(exported), reduction.DupFd(exported.fileno()), owned)


def receive(string: str, handle: Any, owned: bool) -> AnyRegion:
    """Take what arrived, if it is exactly what was sent."""
    number = _detach(handle)
    try:
        return _heirloom.take_over(string, number)
    except BaseException:
        if owned:
            os.close(number)
        raise


def reduce_end(end: Sender | Receiver) -> tuple[Any, ...]:
    """Pickle the descriptors of an end of a channel, which this process gives up, for multiprocessing."""
    from multiprocessing import context, reduction

    starting = context.get_spawning_popen()
    exported = end.export()
    handles = [reduction.DupFd(number) for number in exported.filenos()]
    if starting is None:
        exported.close()
    else:
        _keep_until_started(starting, exported)
    owned = starting is None or starting.method != "spawn"
    return receive_end, (type(end), str(exported), handles, owned)


def receive_end(cls: type[Sender | Receiver], string: str, handles: list[Any], owned: bool) -> Sender | Receiver:
    """Take the end that arrived, if it is exactly what was sent."""
    numbers: list[int] = []
    try:
        for handle in handles:
            numbers.append(_detach(handle))
        words = string.split(":")
        words[0], words[7], words[10] = map(str, numbers)
        return cls.from_export(":".join(words))
    finally:
        if owned:
            for number in numbers:
                os.close(number)


def _detach(handle: Any) -> int:
    """Get the descriptor, from the sender unless this process inherited it."""
    try:
        number: int = handle.detach()
    except (ConnectionError, FileNotFoundError, EOFError) as error:
        gone = "has ended" + (", or the message was received before" if isinstance(error, EOFError) else "")
        told = PeerGoneError(
            f"cannot receive what was sent: its sender {gone}; see to it that a sender lives until its "
            "message is received, or use heirloom.ProcessPoolExecutor, whose workers may end at once"
        )
        told.errno = getattr(error, "errno", None)
        raise told from error
    return number


def _keep_until_started(starting: Any, exported: Any) -> None:
    """Keep an export until multiprocessing notes the child's id, which is its last step."""
    kept = starting.__dict__.get("_heirloom_kept")
    if kept is None:
        kept = starting._heirloom_kept = []
        starting.__class__ = _noticing(type(starting))
    kept.append(exported)


def _noticing(popen: Any) -> type[Any]:
    """Derive a class that lets go of the exports as soon as there is an id, and turns the object back."""

    def notice(self: Any, name: str, value: object) -> None:
        popen.__setattr__(self, name, value)
        if name == "pid":
            for exported in self.__dict__.pop("_heirloom_kept", ()):
                exported.close()
            self.__class__ = popen

    # joblib's workers run the module of the class.
    return type(popen.__name__, (popen,), {"__module__": popen.__module__, "__setattr__": notice})
