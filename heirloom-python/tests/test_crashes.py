"""What shared memory in Python is known for: segments that stay, /dev/shm that is full, crashes at the end."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import heirloom
import pytest
from helpers import holders, links, python, shmem, until

FAMILY = """
import multiprocessing as mp, sys, time
import heirloom

def child(region, ready):
    view = memoryview(region)
    view[0] = 1
    ready.send(None)
    time.sleep(600)

if __name__ == "__main__":
    start = mp.get_context("spawn")
    region = heirloom.Region(256 << 20, name=sys.argv[1], populate=True)
    view = memoryview(region)
    ours, theirs = start.Pipe()
    process = start.Process(target=child, args=(region, theirs))
    process.start()
    ours.recv()
    print(process.pid, flush=True)
    time.sleep(600)
"""


def in_dev_shm(pid: int) -> list[str]:
    """List what a process has there. Other programs use it, too, so its whole contents say nothing."""
    process = Path(f"/proc/{pid}")
    lines = [*links(process), *(process / "maps").read_text().splitlines()]
    return [line for line in lines if "/dev/shm" in line]


def test_control_what_is_in_dev_shm_is_found() -> None:
    from multiprocessing import shared_memory

    segment = shared_memory.SharedMemory(create=True, size=4096)
    found = "".join(in_dev_shm(os.getpid()))
    assert found.count(segment.name) >= 2
    segment.close()
    segment.unlink()
    assert segment.name not in "".join(in_dev_shm(os.getpid()))


@pytest.mark.parametrize("killed", ["parent", "child", "both"])
def test_killed_families_leave_nothing(killed: str, tmp_path: Path) -> None:
    program = tmp_path / "family.py"
    program.write_text(FAMILY)
    name = f"killed-{killed}-{os.getpid()}"
    parent = subprocess.Popen([sys.executable, program, name], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    child = int(parent.stdout.readline())
    assert {parent.pid, child} <= set(holders(name))
    assert not in_dev_shm(parent.pid)
    assert not in_dev_shm(child)
    # Other programs of this system may use shared memory, too.
    full = shmem()
    for pid in {"parent": [parent.pid], "child": [child], "both": [parent.pid, child]}[killed]:
        os.kill(pid, signal.SIGKILL)
    if killed == "child":
        until(lambda: holders(name) == [parent.pid])
    for pid in (child, parent.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until(lambda: holders(name) == [])
    until(lambda: shmem() < full - (128 << 20))


def test_a_small_dev_shm_does_not_matter() -> None:
    small = 'mount -t tmpfs -o size=64m tmpfs /dev/shm && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", small, "sh", sys.executable, "-c"]
    if subprocess.run([*command, ""], capture_output=True).returncode != 0:
        pytest.skip("a mount namespace needs root")
    code = """
import heirloom
region = heirloom.Region(200 << 20)
view = memoryview(region)
for start in range(0, 200 << 20, 1 << 20):
    view[start:start + (1 << 20)] = bytes(1 << 20)
print("written")
"""
    assert subprocess.run([*command, code], capture_output=True).stdout == b"written\n"
    control = """
from multiprocessing import shared_memory
segment = shared_memory.SharedMemory(create=True, size=200 << 20)
for start in range(0, 200 << 20, 1 << 20):
    segment.buf[start:start + (1 << 20)] = bytes(1 << 20)
"""
    assert subprocess.run([*command, control], capture_output=True).returncode == -signal.SIGBUS


def test_a_fork_after_the_first_use() -> None:
    region = heirloom.Region(4096)
    view = memoryview(region)
    pid = os.fork()
    if pid == 0:
        try:
            view[0] = 1
            heirloom.Region(4096).freeze()
            with heirloom.inheriting(r=region) as kw:
                os._exit(
                    subprocess.run(
                        [sys.executable, "-c", "import heirloom; heirloom.Region.inherited('r')"], **kw
                    ).returncode
                )
        finally:
            os._exit(99)
    assert os.waitpid(pid, 0)[1] == 0
    assert view[0] == 1
    assert bytes(region.freeze())[0] == 1


@pytest.mark.parametrize("running", [False, True])
def test_the_end_of_the_interpreter_with_everything_alive(running: bool) -> None:
    code = """
import atexit, sys, threading, time, heirloom
class Late:
    def __del__(self): print("late", bytes(self.view[:4]), flush=True)
region = heirloom.Region(4096)
view, part, copy, frozen = memoryview(region), region.view(), region.view_copy(), heirloom.FrozenRegion(b"f")
export, late = frozen.export(), Late()
view[:4] = b"live"
try:
    import numpy
    arrays = numpy.frombuffer(region, "u1"), region.ndarray(), numpy.ndarray((9,), "u1", buffer=region)
except ImportError: pass
inherit = heirloom.inheriting(r=region); inherit.__enter__()
cycle = [region, view, part]; cycle.append(cycle)
sys.modules["kept"] = cycle
def use():
    while True: heirloom.Region(4096).view()
if RUNNING: threading.Thread(target=use, daemon=True).start()
region.close()
Late.view = view
"""
    for _ in range(3):
        done = python(code.replace("RUNNING", str(running)))
        # A thread that runs to the end keeps its module's objects.
        assert (done.returncode, done.stderr, done.stdout) == (0, "", "" if running else "late b'live'\n")


def test_nothing_is_said_at_the_end_of_a_family(tmp_path: Path) -> None:
    program = tmp_path / "quiet.py"
    program.write_text("""
import multiprocessing as mp
import heirloom

def use(region):
    memoryview(region)[0] = 1

if __name__ == "__main__":
    for method in mp.get_all_start_methods():
        process = mp.get_context(method).Process(target=use, args=(region := heirloom.Region(4096),))
        process.start()
        process.join()
        assert memoryview(region)[0] == 1
        with mp.get_context(method).Pool(1) as pool:
            pool.apply(use, (region,))
""")
    done = subprocess.run([sys.executable, program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("isolated", [False, True])
def test_a_subinterpreter_is_refused(isolated: bool) -> None:
    module, arguments = "_xxsubinterpreters", f"isolated={isolated}"
    if sys.version_info >= (3, 13):
        module, arguments = "_interpreters", "'isolated'" if isolated else "'legacy'"
    code = f"""
import {module} as interpreters
import heirloom
one = interpreters.create({arguments})
for name in "colorsys", "heirloom":
    attempt = "try: import NAME; print('imported')\\nexcept ImportError as error: print(error)"
    interpreters.run_string(one, attempt.replace("NAME", name))
heirloom.Region(10)
"""
    ours = "heirloom can't be used in a subinterpreter: its objects belong to the main one"
    # With a lock of its own, Python refuses it first.
    pythons = "module heirloom._heirloom does not support loading in subinterpreters"
    done = python(code)
    first = pythons if isolated and sys.version_info >= (3, 12) else ours
    assert (done.returncode, done.stdout) == (0, f"imported\n{first}\n"), done.stderr
