"""Passing regions to programs by `inheriting`."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import heirloom
import pytest
from helpers import descriptors, one_of_each

TAKE = """
import os, sys, heirloom
for name in sys.argv[1:]:
    region = heirloom.AnyRegion.inherited(name)
    print(type(region).__name__, bytes(region)[:4])
"""


def run(*names: str, code: str = TAKE, **kw: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-c", code, *names], text=True, capture_output=True, **kw)  # type: ignore[call-overload,no-any-return]


def test_each_kind_arrives_under_its_name() -> None:
    writable, read_only, frozen = one_of_each()
    names = {"w": writable, "with=odd, %names": read_only, "ключ": frozen}
    with heirloom.inheriting(names, again=frozen) as kw:
        done = run(*names, "again", **kw)
    assert done.stdout.splitlines() == [
        "Region b'data'",
        "ReadOnlyRegion b'data'",
        "FrozenRegion b'data'",
        "FrozenRegion b'data'",
    ], done.stderr


def test_only_children_that_are_named_inherit() -> None:
    region = heirloom.FrozenRegion(b"text")
    with heirloom.inheriting(text=region) as kw:
        assert run("text", **kw).returncode == 0
        other = run("text")
        without = run("text", env=kw["env"])
    assert "NotInheritedError" in other.stderr
    assert "MismatchError" in without.stderr


def test_the_descriptors_stay_open_for_the_block() -> None:
    region = heirloom.FrozenRegion(b"text", name="kept")
    with heirloom.inheriting(text=region) as kw:
        region.close()
        for _ in range(2):
            assert run("text", **kw).stdout == "FrozenRegion b'text'\n"
        assert descriptors("kept") == 1
    assert descriptors("kept") == 0
    with pytest.raises(ValueError, match="closed"):
        heirloom.inheriting(text=region).__enter__()


def test_what_the_caller_passes_is_passed_too() -> None:
    region = heirloom.FrozenRegion(b"text")
    code = (
        "import os, sys, heirloom; print(os.read(int(sys.argv[1]), 9), os.environ['OWN'], "
        "bytes(heirloom.FrozenRegion.inherited('text')), 'HOME' in os.environ)"
    )
    reader, writer = os.pipe()
    os.write(writer, b"piped")
    with heirloom.inheriting(text=region, pass_fds=[reader], env={"OWN": "mine"}) as kw:
        assert reader in kw["pass_fds"]
        assert len(set(kw["pass_fds"])) == 2
        done = run(str(reader), code=code, **kw)
    assert done.stdout == "b'piped' mine b'text' False\n", done.stderr
    os.close(reader)
    os.close(writer)
    with heirloom.inheriting(env={heirloom.inheriting.__module__: "x", "HEIRLOOM_REGIONS": "left over"}) as kw:
        assert "HEIRLOOM_REGIONS" not in kw["env"]
        assert kw["pass_fds"] == ()


def test_names_are_checked() -> None:
    region = heirloom.FrozenRegion(b"text")
    for name in ("", "a\0b", "x" * 241):
        with pytest.raises(heirloom.InvalidInputError):
            heirloom.inheriting({name: region}).__enter__()
    with pytest.raises(heirloom.NameInUseError):
        heirloom.inheriting({"text": region}, text=region).__enter__()
    with pytest.raises(heirloom.TooManyError):
        heirloom.inheriting({f"{n:0240}": region for n in range(600)}).__enter__()
    with pytest.raises(TypeError):
        heirloom.inheriting(text=b"text").__enter__()  # type: ignore[arg-type]


def test_the_child_s_side() -> None:
    code = """
import os, subprocess, sys, heirloom
assert heirloom.inherited() == {
    "a": heirloom.Inherited("frozen", 4, "available", None),
    "b": heirloom.Inherited("writable", 10, "available", None),
}
heirloom.claim()
for number in os.listdir("/proc/self/fd"):
    assert int(number) < 3 or not os.path.exists(f"/proc/self/fd/{number}") or not os.get_inheritable(int(number))
try:
    heirloom.Region.inherited("a")
except heirloom.WrongKindError as error:
    print(error)
assert bytes(heirloom.FrozenRegion.inherited("a")) == b"text"
assert heirloom.inherited()["a"].state == "taken"
for cls in (heirloom.FrozenRegion, heirloom.AnyRegion):
    try:
        cls.inherited("a")
    except heirloom.AlreadyTakenError as error:
        print(error)
try:
    heirloom.AnyRegion.inherited("c")
except heirloom.NotInheritedError as error:
    print(error)
"""
    with heirloom.inheriting(a=heirloom.FrozenRegion(b"text"), b=heirloom.Region(10)) as kw:
        done = run(code=code, **kw)
    assert done.returncode == 0, done.stderr
    wrong, taken, again, missing = done.stdout.splitlines()
    assert wrong == 'cannot inherit the region "a" as a Region: it is frozen; use FrozenRegion or AnyRegion'
    assert taken == again == 'cannot inherit the region "a": an earlier call took it; keep that region'
    assert 'this process inherited only ["a", "b"]' in missing


def test_a_missing_descriptor_is_listed_with_its_reason() -> None:
    code = (
        "import heirloom; (region,) = heirloom.inherited().values(); print(region.state, type(region.error).__name__)"
    )
    with heirloom.inheriting(a=heirloom.FrozenRegion(b"text")) as kw:
        assert run(code=code, env=kw["env"]).stdout == "missing MismatchError\n"
        assert run(code=code, **kw).stdout == "available NoneType\n"
        broken = run(code=code, env={**kw["env"], "HEIRLOOM_REGIONS": "broken"})
    assert "heirloom.MalformedError" in broken.stderr or "MalformedError" in broken.stderr


def test_asyncio_and_other_languages() -> None:
    async def main() -> bytes:
        with heirloom.inheriting(text=heirloom.FrozenRegion(b"text")) as kw:
            child = await asyncio.create_subprocess_exec(
                "sh",
                "-c",
                'cat "/dev/fd/${HEIRLOOM_REGIONS#*=}" 2>/dev/null || '
                "number=${HEIRLOOM_REGIONS#*=}; cat /proc/self/fd/${number%%:*}",
                stdout=-1,
                **kw,
            )
            return (await child.communicate())[0]

    assert asyncio.run(main()) == b"text"


def test_the_command_of_this_project_lists_them() -> None:
    command = Path(__file__).parents[2] / "target/release/heirloom"
    if not command.exists():
        pytest.skip("the command isn't built: cargo build --release -p heirloom-cli")
    with heirloom.inheriting(text=heirloom.FrozenRegion(b"text")) as kw:
        listed = subprocess.run([command, "list"], capture_output=True, text=True, **kw).stdout
    assert "text" in listed
    assert "frozen" in listed


def test_set_undumpable_hides_this_process() -> None:
    code = """
import os, ctypes, heirloom
prctl = ctypes.CDLL(None).prctl
assert prctl(3) == 1
heirloom.set_undumpable()
assert prctl(3) == 0
"""
    done = run(code=code)
    assert done.returncode == 0, done.stderr
