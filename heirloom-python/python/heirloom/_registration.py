"""Telling multiprocessing how regions and ends of channels travel, as soon as it is imported.

Importing it for that would take three quarters of this package's own import, in programs that never use it.
"""

import sys
from typing import Any

MODULE = "multiprocessing.reduction"


def register_now_or_later() -> None:
    """Register the reducers if multiprocessing is there, or else wait for it."""
    module = sys.modules.get(MODULE)
    # Another thread may be importing it at this moment.
    if hasattr(module, "ForkingPickler"):
        _register(module)
    else:
        sys.meta_path.insert(0, _Watcher())


def _register(module: Any) -> None:
    from ._carry import reduce, reduce_end
    from ._heirloom import FrozenRegion, ReadOnlyRegion, Receiver, Region, Sender

    for region in (Region, ReadOnlyRegion, FrozenRegion):
        module.ForkingPickler.register(region, reduce)
    for end in (Sender, Receiver):
        module.ForkingPickler.register(end, reduce_end)


class _Watcher:
    """A finder that finds one module, by asking the others."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != MODULE:
            return None
        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]
        found = (finder.find_spec(name, path, target) for finder in sys.meta_path)
        spec: Any = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module: Any) -> None:
                execute(module)
                _register(module)

            spec.loader.exec_module = execute_and_register
        return spec
