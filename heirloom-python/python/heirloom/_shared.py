"""What all workers of an executor read."""

from collections.abc import Iterator, Mapping
from typing import Any


class Shared(Mapping[str, Any]):
    """The values of ``ProcessPoolExecutor(shared=...)``, by their names: in its workers only.

    Arrays in them are read-only, and every worker maps the same memory.
    """

    def __init__(self) -> None:
        """Have no values until this process is a worker."""
        self._values: Mapping[str, Any] = {}

    def __getitem__(self, name: str, /) -> Any:
        """Return a value."""
        try:
            return self._values[name]
        except KeyError:
            raise KeyError(
                f"no shared value is named {name!r}: a worker of ProcessPoolExecutor(shared={{{name!r}: ...}}) has it, "
                f"and this process has {sorted(self._values) or 'none'}"
            ) from None

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._values)

    def __len__(self) -> int:
        """Count the names."""
        return len(self._values)

    def __repr__(self) -> str:
        """Show the names."""
        return f"<heirloom.shared: {', '.join(self._values) or 'nothing'}>"


shared = Shared()
