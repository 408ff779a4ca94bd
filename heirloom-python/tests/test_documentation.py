"""The examples in the README and in the docstrings."""

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import heirloom
import pytest

README = Path(__file__).parents[1] / "README.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.M | re.S)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_example_of_the_readme_runs(number: int, tmp_path: Path) -> None:
    if "numpy" in EXAMPLES[number]:
        pytest.importorskip("numpy")
    # A file, since children import it.
    program = tmp_path / "example.py"
    program.write_text(EXAMPLES[number])
    (tmp_path / "child.py").write_text("import heirloom\nheirloom.FrozenRegion.inherited('table')\n")
    (tmp_path / "weights.bin").write_bytes(bytes(1 << 20))
    done = subprocess.run([sys.executable, "-W", "error", program], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    # What it prints is in its comments.
    expected = re.findall(r"print\(.*\)  # (.*)", EXAMPLES[number])
    assert done.stdout.splitlines() == expected


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 5


def test_docstrings() -> None:
    for module in (heirloom, sys.modules["heirloom._inheritance"], sys.modules[heirloom.Packed.__module__]):
        result = doctest.testmod(module)
        assert result.failed == 0
        assert result.attempted > 0
    assert not os.path.exists("table")
