"""Exceptions: a class for each kind of the library's errors, which is also the built-in that fits."""

from typing import Any, ClassVar


class Error(Exception):
    """Why a call failed: what was tried, on what, the system's reason, and what to do about it."""

    kind: ClassVar[str] = "Error"
    """The name of the kind in the library."""
    errno: int | None = None
    """The system's code, if the system reported the error."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle with the code, which ``OSError`` would leave out."""
        return _again, (type(self), self.args, self.errno)


def _again(cls: type[Error], args: tuple[Any, ...], errno: int | None) -> Error:
    error = cls(*args)
    error.errno = errno
    return error


class InvalidInputError(Error, ValueError):
    """An argument is invalid: a size of 0, an empty range, a NUL byte in a name."""

    kind = "InvalidInput"


class TooLargeError(Error, OverflowError):
    """A size exceeds the address space, or this process's limit on file sizes."""

    kind = "TooLarge"


class OutOfBoundsError(Error, IndexError):
    """An offset or a length exceeds the region or view."""

    kind = "OutOfBounds"


class MisalignedError(Error, ValueError):
    """An offset is not a multiple of the required alignment."""

    kind = "Misaligned"


class NameInUseError(Error, ValueError):
    """The child already gets a region of this name."""

    kind = "NameInUse"


class TooManyError(Error, OverflowError):
    """The names and export strings exceed the size of an environment variable."""

    kind = "TooMany"


class NotInheritedError(Error, LookupError):
    """The parent passed no region of this name to this process."""

    kind = "NotInherited"


class AlreadyTakenError(Error, LookupError):
    """An earlier call took the inherited region."""

    kind = "AlreadyTaken"


class WrongKindError(Error, TypeError):
    """The region is not of the kind that the call asks for."""

    kind = "WrongKind"


class MalformedError(Error, ValueError):
    """An export string, or the variable ``HEIRLOOM_REGIONS``, is malformed."""

    kind = "Malformed"


class MismatchError(Error, ValueError):
    """The descriptor is not what was described: it is closed, another file, of another size, or lacks a seal."""

    kind = "Mismatch"


class StillWritableError(Error, BufferError):
    """A process can still write, so the region can't be frozen."""

    kind = "StillWritable"


class SealedError(Error, PermissionError):
    """A holder made the region read-only or froze it, and the kernel refuses the call."""

    kind = "Sealed"


class UnsupportedError(Error, OSError):
    """The system, a sandbox or the backing can't do it."""

    kind = "Unsupported"


class OutOfMemoryError(Error, MemoryError):
    """Memory, disk space or address space ran out."""

    kind = "OutOfMemory"


class OutOfDescriptorsError(Error, OSError):
    """The process or the system can open no more descriptors."""

    kind = "OutOfDescriptors"


class PeerGoneError(Error, ConnectionError):
    """The process at the other end of the channel, or that sent the region, has ended or closed its end."""

    kind = "PeerGone"


class ForkedError(Error, RuntimeError):
    """A fork made this process, and the object belongs to the process that forked."""

    kind = "Forked"


class PeerBrokenError(Error, ConnectionError):
    """The process at the other end of the channel wrote nonsense into it."""

    kind = "PeerBroken"


class OperatingSystemError(Error, OSError):
    """Any other error of the system."""

    kind = "System"


_CLASSES: dict[str, type[Error]] = {cls.kind: cls for cls in Error.__subclasses__()}

# The library's advice names items of Rust.
_ADVICE = {
    "AlreadyTaken": "keep that region",
    "NotInherited": "the program that started this one must pass it: see heirloom.inheriting",
    "Sealed": "take heirloom.FrozenRegion.copy_of(region)",
    "StillWritable": (
        "another process, or a view that this region doesn't know, still maps it for writing: let it end or drop its "
        "arrays, or take heirloom.FrozenRegion.copy_of(region)"
    ),
}
_WORDS = {
    "RegionOptions::unsealed_file_in": "unsealed_file_in",
    "into_read_only or freeze make a handle": "another region is made",
    "Region::map_with_locks": "Region.view_with_locks",
    "::import": ".from_export",
    "::inherited": ".inherited",
    "os::linux::set_undumpable": "heirloom.set_undumpable",
}


def _make(kind: str, message: str, advice: str | None, errno: int | None) -> Error:
    """Make the exception of an error of the library."""
    advice = _ADVICE.get(kind, advice)
    for rust, python in _WORDS.items():
        advice = advice and advice.replace(rust, python)
    if advice and "::" in advice:
        advice = None
    error = _CLASSES.get(kind, Error)(f"{message}; {advice}" if advice else message)
    error.errno = errno
    return error
