"""What several tests need, in this process and in children."""

import contextlib
import mmap
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import heirloom


def rounds(few: int, full: int) -> int:
    """Return how often a test repeats: `full` if `HEIRLOOM_FULL` is set, otherwise `few`."""
    return full if "HEIRLOOM_FULL" in os.environ else few


def links(process: Path) -> list[str]:
    """List what a process's descriptors are."""
    found = []
    for entry in os.listdir(process / "fd"):
        # The descriptor of the list itself is gone by now.
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(process / "fd" / entry))
    return found


def descriptors(name: str = "") -> int:
    """Count this process's descriptors of regions with a name."""
    return sum(link.startswith(f"/memfd:heirloom/{name}") for link in links(Path("/proc/self")))


def mappings(name: str) -> int:
    """Count this process's mappings of regions with a name."""
    return Path("/proc/self/maps").read_text().count(f"/memfd:heirloom/{name}")


def has_regions(pid: int, name: str = "") -> bool:
    """Return whether a process has a region of this name open or mapped."""
    process = Path(f"/proc/{pid}")
    # It may end meanwhile.
    with contextlib.suppress(OSError):
        return f"/memfd:heirloom/{name}" in (process / "maps").read_text() + "\n".join(links(process))
    return False


def holders(name: str) -> list[int]:
    """List the processes that have a region of this name open or mapped."""
    return [pid for entry in os.listdir("/proc") if entry.isdigit() and has_regions(pid := int(entry), name)]


def shmem() -> int:
    """Return the bytes of shared memory in this system."""
    line = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("Shmem:"))
    return int(line.split()[1]) << 10


def state(pid: int) -> str:
    """Return the state of a process's first thread, ``S`` while it sleeps, or nothing if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something that another process brings about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it didn't happen within {seconds} s"
        time.sleep(0.01)


def python(code: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run a program in Python."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, **options)


def one_of_each() -> list[heirloom.AnyRegion]:
    """Make a region of each kind, with `data` at its start."""
    regions: list[heirloom.AnyRegion] = []
    for kind in ("writable", "read-only", "frozen"):
        region = heirloom.Region(8192, name=f"carried-{kind}")
        memoryview(region)[:4] = b"data"
        if kind == "frozen":
            regions.append(region.freeze())
        elif kind == "read-only":
            regions.append(region.into_read_only()[0])
        else:
            regions.append(region)
    return regions


def check(regions: list[heirloom.AnyRegion]) -> list[str]:
    """Say what arrived, and write `seen` where that is possible."""
    said = []
    for region in regions:
        with memoryview(region) as view:
            number = os.fstat(region.fileno()).st_ino
            said.append(f"{type(region).__name__} {region.kind} {region.nbytes} {bytes(view[:4])!r} {number}")
            if not view.readonly:
                view[4:8] = b"seen"
    return said


def expected(regions: list[heirloom.AnyRegion]) -> list[str]:
    """Say what `check` says of the same memory, elsewhere."""
    kinds = ["Region writable", "ReadOnlyRegion read-only", "FrozenRegion frozen"]
    numbers = [os.fstat(region.fileno()).st_ino for region in regions]
    return [f"{kind} 8192 b'data' {number}" for kind, number in zip(kinds, numbers, strict=True)]


def check_into(regions: list[heirloom.AnyRegion], answers: Any) -> None:
    """Check in a child that was given the regions as arguments."""
    answers.send(check(regions))


def check_into_queue(regions: list[heirloom.AnyRegion], answers: Any) -> None:
    """Check in a worker that was given the regions at its start."""
    answers.put(check(regions))


def check_from_pipe(pipe: Any) -> None:
    """Check in a running child."""
    pipe.send("running")
    pipe.send(check(pipe.recv()))
    pipe.recv()


def idle(pipe: Any) -> None:
    """Run without receiving anything."""
    pipe.send("running")
    time.sleep(600)


def send(by: Any, killed: bool) -> None:
    """Send a region, and end."""
    by(heirloom.FrozenRegion(b"text", name="sent"))
    if killed:
        os.kill(os.getpid(), signal.SIGKILL)


def check_from_queue(queue: Any, answers: Any) -> None:
    """Check in a running child."""
    answers.put(check(queue.get()))


def make() -> tuple[list[heirloom.AnyRegion], list[str]]:
    """Make regions in a worker, for the parent."""
    regions = one_of_each()
    return regions, expected(regions)


def share_of(pid: int, name: str) -> int:
    """Return a process's proportional share of the memory of regions with a name, in bytes."""
    found, counted = 0, False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            counted = f"/memfd:heirloom/{name}" in line
        elif counted and line.startswith("Pss:"):
            found += int(line.split()[1]) << 10
    return found


def read(region: heirloom.AnyRegion, ready: Any) -> None:
    """Touch every page of a region, and hold it until the end."""
    view = memoryview(region)
    ready.send(sum(view[:: mmap.PAGESIZE]))
    ready.recv()


def fill(region: heirloom.AnyRegion, ready: Any) -> None:
    """Hold a region until the end."""
    memoryview(region)[:4] = b"held"
    ready.send("ready")
    ready.recv()
