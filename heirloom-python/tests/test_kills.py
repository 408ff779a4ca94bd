"""Processes that are killed at any moment leave nothing behind."""

import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from helpers import rounds

FAMILIES = Path(__file__).with_name("families.py")
# With its own /dev/shm, and without the processes of others. All of it ends with this process's child.
APART = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
APART += ["sh", "-c", 'mount -t tmpfs tmpfs /dev/shm && exec "$@"', "sh"]


def test_kills_at_random_moments_leave_nothing() -> None:
    apart = subprocess.run([*APART, "true"], capture_output=True).returncode == 0
    number, seed = rounds(40, 10_000), random.SystemRandom().randrange(1 << 32)
    command = [sys.executable, str(FAMILIES), str(number), str(seed)]
    # multiprocessing leaves its sockets there.
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(
            [*APART, *command] if apart else command,
            capture_output=True,
            text=True,
            env={**os.environ, "TMPDIR": directory},
            timeout=300 + number,
        )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"
    seen = json.loads(done.stdout)
    print(seen)
    assert seen["parent"] + seen["child"] + seen["both"] == number
    # A test that kills idle processes shows nothing.
    assert seen["with regions"] > number / 2
    if not apart:
        pytest.skip("nothing was left, but nobody looked into /dev/shm: a mount namespace needs root")
    # A kill between `sem_open` and `sem_unlink` leaves a semaphore of multiprocessing.
    assert [name for name in seen["/dev/shm"] if not name.startswith("sem.")] == []
