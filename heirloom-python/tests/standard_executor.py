"""Runs the process-pool tests of CPython's `test_concurrent_futures` against this package's executor.

Ends with 77 if this Python comes without its test package. Arguments choose start methods: all three by default.
"""

import concurrent.futures
import concurrent.futures.process
import importlib
import os
import pkgutil
import sys
import unittest
from typing import Any

import heirloom

PACKAGE = "test.test_concurrent_futures"


def modules() -> list[Any]:
    """Import the tests: a package from Python 3.12 on, a module before."""
    package = importlib.import_module(PACKAGE)
    names = [found.name for found in pkgutil.iter_modules(getattr(package, "__path__", []))]
    return [package, *(importlib.import_module(f"{PACKAGE}.{name}") for name in names)]


def in_programs(run: Any) -> Any:
    """Substitute the executor in the programs that tests run, too."""

    def run_program(*arguments: str, **options: Any) -> Any:
        theirs = "from concurrent.futures import ProcessPoolExecutor"
        ours = "from heirloom import ProcessPoolExecutor"
        if "PYTHONPATH" in os.environ:
            # The tests may be there. Without an option, the program is isolated.
            options["PYTHONPATH"] = os.environ["PYTHONPATH"]
        return run(*(argument.replace(theirs, ours) for argument in arguments), **options)

    return run_program


def main() -> int:
    """Run the tests."""
    standard: Any = concurrent.futures
    process: Any = concurrent.futures.process
    # Before the tests name it.
    standard.ProcessPoolExecutor = process.ProcessPoolExecutor = heirloom.ProcessPoolExecutor
    try:
        found = modules()
    except ImportError as error:
        print(error)
        return 77
    methods = sys.argv[1:] or ["fork", "forkserver", "spawn"]
    cases = set()
    for module in found:
        if hasattr(module, "assert_python_ok"):
            module.assert_python_ok = in_programs(module.assert_python_ok)
        for thing in vars(module).values():
            if isinstance(thing, type) and issubclass(thing, unittest.TestCase) and hasattr(thing, "ctx"):
                executor: Any = getattr(thing, "executor_type", None)
                assert executor is heirloom.ProcessPoolExecutor, thing
                if thing.ctx in methods:
                    cases.add(thing)
    assert cases
    ordered = sorted(cases, key=lambda case: (case.__module__, case.__qualname__))
    suite = unittest.TestSuite(map(unittest.defaultTestLoader.loadTestsFromTestCase, ordered))
    # Tests that mean more than one package, such as those of threads left over, are the suite's own.
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
