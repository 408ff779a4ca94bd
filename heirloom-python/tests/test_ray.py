"""Frozen regions on Ray's nodes: an actor on each holds one, and its children read it."""

import multiprocessing as mp
import os
import pickle
import secrets
from collections.abc import Iterator
from multiprocessing.reduction import ForkingPickler
from typing import Any

import heirloom
import pytest
from helpers import holders, state, until
from recipes import number_of, place_of, region_at

pytest.importorskip("numpy")
pytest.importorskip("ray")

import numpy
import ray
from ray.cluster_utils import Cluster
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

MIB = 1 << 20
HERE = os.path.dirname(__file__)


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[str]]:
    """Start two nodes on this machine, each with its own raylet and store."""
    # Otherwise Ray writes one into the home directory.
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex()
    options = {"num_cpus": 2, "object_store_memory": 80 * MIB}
    cluster = Cluster(initialize_head=True, head_node_args=options)
    cluster.add_node(**options)
    modules = {"env_vars": {"PYTHONPATH": HERE}}
    ray.init(cluster.address, logging_level="error", log_to_driver=False, runtime_env=modules)
    yield [node["NodeID"] for node in ray.nodes()]
    ray.shutdown()
    cluster.shutdown()


class Holder:
    """An actor that holds a region for its children."""

    def __init__(self, array: Any, name: str = "ray") -> None:
        self.region = heirloom.FrozenRegion(array, name=name)
        self.children = heirloom.ProcessPoolExecutor(2, mp.get_context("spawn"))

    def number(self) -> int:
        return number_of(self.region)

    def looks(self, times: int) -> list[tuple[int, int, int, float]]:
        return list(self.children.map(look, [self.region] * times))

    def process(self) -> int:
        return os.getpid()

    def by_descriptor(self) -> bytes:
        return bytes(ForkingPickler.dumps(self.region))

    def by_value(self) -> heirloom.FrozenRegion:
        return self.region

    def load(self, pickled: bytes) -> str:
        try:
            pickle.loads(pickled)
        except Exception as error:
            return type(error).__name__
        return "loaded"


def look(region: heirloom.FrozenRegion) -> tuple[int, int, int, float]:
    """Return the process, its parent, the number of the region that an array of it is in, and the array's sum."""
    array = region.ndarray("f8")
    return os.getpid(), os.getppid(), region_at(place_of(array)), float(array.sum())


def on(node: str, *arguments: Any) -> Any:
    strategy = NodeAffinitySchedulingStrategy(node, soft=False)
    return ray.remote(Holder).options(scheduling_strategy=strategy).remote(*arguments)


def test_the_children_of_each_nodes_actor_read_one_copy(nodes: list[str]) -> None:
    array = ray.put(numpy.ones(MIB // 8))
    numbers = set()
    for holder in [on(node, array) for node in nodes]:
        number, process = ray.get([holder.number.remote(), holder.process.remote()])
        looks = ray.get(holder.looks.remote(8))
        assert {look[1:] for look in looks} == {(process, number, float(MIB // 8))}
        numbers.add(number)
    assert len(numbers) == len(nodes) == 2


def test_a_region_goes_to_rays_workers_by_value_and_takes_what_its_array_takes(nodes: list[str]) -> None:
    array = numpy.ones(MIB // 8)
    one, other = on(nodes[0], array), on(nodes[0], array)
    arrived = ray.get(one.by_value.remote())
    assert memoryview(arrived) == memoryview(array.tobytes())
    assert number_of(arrived) not in ray.get([one.number.remote(), other.number.remote()])

    stored = [ray.put(array), ray.put(heirloom.FrozenRegion(array.data))]
    sizes = [found["object_size"] for found in ray.experimental.get_object_locations(stored).values()]
    assert all(MIB <= size < MIB + 4096 for size in sizes), sizes


def test_rays_workers_are_strangers_to_each_other(nodes: list[str]) -> None:
    one, other = (on(nodes[0], bytes(MIB)) for _ in range(2))
    assert ray.get(other.load.remote(ray.get(one.by_descriptor.remote()))) == "AuthenticationError"
    # It is not the pickle's fault.
    assert ray.get(one.load.remote(ray.get(one.by_descriptor.remote()))) == "loaded"


def test_nothing_is_left_of_an_actor_that_was_killed(nodes: list[str]) -> None:
    holder = on(nodes[1], bytes(MIB), "killed")
    children = {look[0] for look in ray.get(holder.looks.remote(8))}
    assert holders("killed") == [ray.get(holder.process.remote())]
    assert any(map(is_running, children))
    ray.kill(holder)
    until(lambda: holders("killed") == [] and not any(map(is_running, children)))


def is_running(pid: int) -> bool:
    return state(pid) not in ("", "Z")
