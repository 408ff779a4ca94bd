"""The package itself: its size, its import, its types."""

import os
import re
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import heirloom
import pytest
from helpers import python


def test_the_wheel_is_small_and_fits_every_python() -> None:
    wheels = list(Path(os.environ.get("HEIRLOOM_WHEELS", "/nonexistent")).glob("*.whl"))
    if not wheels:
        pytest.skip("HEIRLOOM_WHEELS doesn't name the directory of the wheel: .ci/python does")
    (wheel,) = wheels
    print(f"wheel: {wheel.stat().st_size / 1000:.0f} kB")
    assert "-cp311-abi3-" in wheel.name
    assert wheel.stat().st_size <= 500_000
    names = zipfile.ZipFile(wheel).namelist()
    assert {"heirloom/py.typed", "heirloom/_heirloom.pyi"} <= set(names)


def test_the_import_is_quick() -> None:
    code = """
import time
start = time.perf_counter()
import heirloom
print(time.perf_counter() - start)
"""
    times = sorted(float(python(code).stdout) for _ in range(9))
    print(f"import: {times[4] * 1000:.1f} ms")
    # Nothing asserts a duration, which depends on the machine, but what takes most of it: see the next test.
    assert times[0] > 0


def test_the_import_leaves_large_modules_out() -> None:
    done = python("import sys, heirloom; print(*sys.modules)")
    modules = set(done.stdout.split())
    assert "heirloom" in modules
    assert not modules & {"numpy", "asyncio", "multiprocessing", "pickle", "subprocess", "typing_extensions", "logging"}


@pytest.mark.parametrize(
    "imports",
    [
        "import heirloom, multiprocessing",
        "import multiprocessing, heirloom",
        "import multiprocessing.reduction, heirloom",
        "import heirloom, multiprocessing.reduction",
        "import heirloom, concurrent.futures.process",
    ],
)
def test_multiprocessing_may_be_imported_before_or_after(imports: str) -> None:
    code = f"""
import sys
before = list(sys.meta_path)
{imports}
from multiprocessing import reduction
assert sys.meta_path == before
region = reduction.ForkingPickler.loads(reduction.ForkingPickler.dumps(heirloom.Region(4096)))
print(region.kind, reduction.__spec__.name)
"""
    done = python(code)
    assert done.stdout == "writable multiprocessing.reduction\n", done.stderr


def test_another_system_is_refused_by_name() -> None:
    done = python("import sys; sys.platform = 'win32'; import heirloom")
    assert "ImportError: heirloom needs Linux, and this is win32" in done.stderr


def test_a_free_threaded_python_is_refused() -> None:
    done = python("import sys; sys.abiflags += 't'; import heirloom")
    assert "ImportError: heirloom needs a Python with the global interpreter lock" in done.stderr
    assert python("import sys; sys.abiflags += 'd'; import heirloom").returncode == 0


def test_everything_public_is_listed_and_documented() -> None:
    for name in heirloom.__all__:
        thing = getattr(heirloom, name)
        assert thing.__doc__, name
        for member in vars(thing) if isinstance(thing, type) else ():
            if not member.startswith("_") and member not in ("kind", "errno"):
                assert getattr(thing, member).__doc__, f"{name}.{member}"
    public = {name for name in vars(heirloom) if not name.startswith("_")}
    # A module that is imported by its own name may be there already.
    assert public - set(heirloom.__all__) - {"dask"} == {"sys"}


def test_the_versions_agree() -> None:
    manifest = (Path(__file__).parents[1] / "Cargo.toml").read_text()
    version = re.search(r'^version = "(.*)"$', manifest, re.M)
    assert version
    assert metadata.version("heirloom") == version[1]
    root = (Path(__file__).parents[2] / "Cargo.toml").read_text()
    assert f'version = "{version[1]}"' in root


def test_it_works_without_numpy() -> None:
    code = """
import sys
sys.modules["numpy"] = None
import heirloom
region = heirloom.Region(10)
memoryview(region)[:4] = b"data"
assert bytes(heirloom.FrozenRegion(region))[:4] == b"data"
try:
    region.ndarray()
except ImportError:
    print("needs numpy")
"""
    assert python(code).stdout == "needs numpy\n"


def test_types_are_those_of_the_stubs(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    program = tmp_path / "wrong.py"
    program.write_text(
        "import heirloom\n"
        "heirloom.Region(1.5)\n"
        "heirloom.ReadOnlyRegion.inherited('x').into_read_only()\n"
        "reveal_type(heirloom.Region(1).freeze())\n"
        "reveal_type(heirloom.FrozenRegion.inherited('x'))\n"
        "memoryview(heirloom.FrozenRegion(b'x').view())\n"
    )
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    lines = [line.partition(".py:")[2] for line in checked.stdout.splitlines()]
    assert [line.partition(":")[0] for line in lines] == ["2", "3", "4", "5"], checked.stdout
    assert "FrozenRegion" in lines[2]
    assert "FrozenRegion" in lines[3]
