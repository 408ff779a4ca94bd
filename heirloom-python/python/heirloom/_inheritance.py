"""Passing regions and ends of channels to programs that ``subprocess`` starts, and taking them there."""

import os
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Literal, NamedTuple

from . import _heirloom
from ._errors import Error
from ._heirloom import AnyRegion, Receiver, Sender

VARIABLE = "HEIRLOOM_REGIONS"


class Inherited(NamedTuple):
    """A region that this process inherited."""

    kind: str
    nbytes: int
    state: Literal["available", "taken", "missing"]
    """Whether it can be taken by ``inherited`` of its class."""
    error: Error | None
    """Why it is missing."""


def inherited() -> dict[str, Inherited]:
    """List the regions that this process inherited, by name.

    Raises
    ------
    MalformedError
        The variable ``HEIRLOOM_REGIONS`` is malformed.

    """
    return {listed[0]: Inherited(*listed[1:]) for listed in _heirloom.inherited()}


class inheriting:  # noqa: N801 It is used like a function.
    """Pass regions and ends of channels to the children of a ``with`` block, under names.

    The value is a dictionary of arguments for ``subprocess.run``, ``subprocess.Popen`` and
    ``asyncio.create_subprocess_exec``. A child takes a region by ``heirloom.AnyRegion.inherited(name)``, in Rust or C
    by the function of the same name. A child inherits a region only if it is started with these arguments. An end of a
    channel is moved to the one child of the block: this process has it no more.

    Parameters
    ----------
    regions
        Regions and ends of channels by their names. Names that are identifiers can be keywords:
        ``inheriting(frames=region)``.
    pass_fds
        Other descriptors for the child: they are in the dictionary, too.
    env
        The environment for the child, this process's own by default.

    Raises
    ------
    InvalidInputError, NameInUseError, TooManyError
        A name is empty, too long or used twice, or there are too many.
    ValueError
        A region is closed.

    >>> import heirloom, subprocess
    >>> region = heirloom.FrozenRegion(b"text")
    >>> with heirloom.inheriting(text=region) as kw:
    ...     done = subprocess.run(["true"], **kw)

    """

    def __init__(
        self,
        regions: Mapping[str, AnyRegion | Sender | Receiver] | None = None,
        /,
        *,
        pass_fds: Iterable[int] = (),
        env: Mapping[str, str] | None = None,
        **named: AnyRegion | Sender | Receiver,
    ) -> None:
        """Note what is to be passed; the descriptors are kept from ``with`` on."""
        self._regions = [*(regions or {}).items(), *named.items()]
        self._pass_fds = tuple(pass_fds)
        self._env = env
        self._kept: list[_heirloom.Inheriting] = []

    def __enter__(self) -> dict[str, Any]:
        """Name the regions, and keep their descriptors open."""
        kept = _heirloom.Inheriting()
        for name, region in self._regions:
            kept.add(name, region)
        value, numbers = kept.listed()
        env = dict(os.environ if self._env is None else self._env)
        # The names of this process's own regions are not for its children.
        env.pop(VARIABLE, None)
        if value:
            env[VARIABLE] = value
        self._kept.append(kept)
        return {"pass_fds": (*self._pass_fds, *numbers), "env": env}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Let go of the descriptors."""
        self._kept.pop().close()
