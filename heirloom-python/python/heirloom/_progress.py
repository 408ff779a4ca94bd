"""A bar for a long fill."""

from typing import Any


def bar(total: int | None, name: str | None) -> Any:
    """Return a bar that shows itself on a terminal or in a notebook, or None where tqdm isn't installed."""
    try:
        from tqdm.auto import tqdm  # type: ignore[import-untyped]
    except ImportError:
        return None
    return tqdm(total=total, desc=name, unit="B", unit_scale=True, unit_divisor=1024, disable=None, leave=False)
