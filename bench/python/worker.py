"""Measures multiprocessing: reads one request per line and answers with the nanoseconds that it took."""

import multiprocessing
import sys
import time
from multiprocessing.shared_memory import SharedMemory

ballast = b"\1" * int(sys.argv[1])
PAGE = 4096


def create(size, touched):
    memory = SharedMemory(create=True, size=size)
    for offset in range(0, touched, PAGE):
        memory.buf[offset] = 1
    memory.close()
    memory.unlink()


def attach(name):
    memory = SharedMemory(name=name)
    memory.buf[0] = 1
    memory.close()


def spawn(name):
    process = multiprocessing.Process(target=attach, args=(name,))
    process.start()
    process.join()


memory = SharedMemory(create=True, size=1 << 20)
try:
    for line in sys.stdin:
        request, *numbers = line.split()
        start = time.perf_counter_ns()
        if request == "create":
            create(*map(int, numbers))
        else:
            spawn(memory.name)
        print(time.perf_counter_ns() - start, flush=True)
finally:
    memory.close()
    memory.unlink()
