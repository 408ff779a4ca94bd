"""The examples in the README, in the other pages and in the docstrings."""

import doctest
import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

import heirloom
import pytest

HERE = Path(__file__).parents[1]
EXAMPLES = {
    f"{page.stem}-{number}": example
    for page in (HERE / "README.md", *sorted((HERE / "docs").glob("*.md")))
    for number, example in enumerate(re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.M | re.S))
}
# Those that others import name their file first.
MODULES = {match[1]: code for code in EXAMPLES.values() if (match := re.match(r"# (\w+)\.py\n", code))}
LIBRARIES = ["numpy", "pyarrow", "pandas", "polars", "joblib", "torch", "distributed", "ray"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_runs(name: str, tmp_path: Path) -> None:
    example = EXAMPLES[name]
    imported = [code for module, code in MODULES.items() if f"from {module} import" in example]
    for library in LIBRARIES:
        if any(re.search(rf"\b{library}\b", code) for code in [example, *imported]):
            pytest.importorskip(library)
    # A file, since children import it.
    program = tmp_path / "example.py"
    program.write_text(example)
    for module, code in MODULES.items():
        (tmp_path / f"{module}.py").write_text(code)
    (tmp_path / "child.py").write_text("import heirloom\nheirloom.FrozenRegion.inherited('table')\n")
    (tmp_path / "weights.bin").write_bytes(bytes(1 << 20))
    (tmp_path / "numbers.csv").write_text("x,y\n1,10\n2,20\n3,30\n")
    # Otherwise Ray writes one into the home directory, and says so.
    env = {**os.environ, "RAY_AUTH_TOKEN": secrets.token_hex()}
    done = subprocess.run(
        [sys.executable, "-W", "error", program], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    # What it prints is in its comments.
    expected = re.findall(r"print\(.*\)  # (.*)", example)
    assert done.stdout.splitlines() == expected


def test_there_are_examples() -> None:
    pages = [name.partition("-")[0] for name in EXAMPLES]
    assert pages.count("README") >= 5
    assert pages.count("recipes") >= 7
    assert {"dask", "ray"} <= set(pages)


def test_docstrings() -> None:
    for module in (heirloom, sys.modules["heirloom._inheritance"], sys.modules[heirloom.Packed.__module__]):
        result = doctest.testmod(module)
        assert result.failed == 0
        assert result.attempted > 0
    assert not os.path.exists("table")
