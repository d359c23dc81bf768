"""Worker processes, however they come about and whatever their parent has done: they do not hang, and get its bits.

What hangs elsewhere: OpenMP's threads do not survive a fork, and the child's first parallel region waits for them. This
library's own threads end with the call.
"""

from __future__ import annotations

import functools
import multiprocessing
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import pool_work
import pytest
from numpy.testing import assert_array_equal
from watchdog import PATIENCE

METHODS = multiprocessing.get_all_start_methods()
SEEDS = range(4)

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
forks = pytest.mark.skipif("fork" not in METHODS, reason="no fork here")


@pytest.fixture(autouse=True)
def nobodys_handler() -> Iterator[None]:
    """A pool ends its processes with SIGTERM. Libraries set handlers, Ray for one, and Python may wait on after one."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


def use_own_threads() -> None:
    for seed in SEEDS:
        pool_work.refined(seed)


def use_threads_of_torch() -> None:
    torch = pytest.importorskip("torch")
    values = torch.ones(400, 400)
    for _ in range(3):
        (values @ values).exp().half().float().sum()
        torch.nn.functional.conv2d(torch.ones(1, 3, 100, 100), torch.ones(8, 3, 3, 3))


def use_threads_of_numpy() -> None:
    values = np.ones((500, 500))
    for _ in range(3):
        values @ values


BEFORE = [use_own_threads, use_threads_of_torch, use_threads_of_numpy]


@pytest.fixture(scope="module")
def alone() -> list[Any]:
    return [pool_work.refined(seed) for seed in SEEDS]


@pytest.fixture(params=[False, True], ids=["", "in the midst of calls"])
def midst(request: pytest.FixtureRequest) -> Iterator[None]:
    """Two threads of the parent are inside calls all the time, or there are none."""
    done = threading.Event()

    def keep_refining() -> None:
        while not done.is_set():
            pool_work.refined(0)

    threads = [threading.Thread(target=keep_refining) for _ in range(2 if request.param else 0)]
    for thread in threads:
        thread.start()
    yield
    done.set()
    for thread in threads:
        thread.join()


def answers(pool: Any, work: Callable[[Any], Any]) -> list[Any]:
    found: list[Any] = pool.map_async(work, SEEDS).get(PATIENCE)
    return found


@forks
@pytest.mark.parametrize("before", BEFORE)
def test_a_forked_pool_gets_the_bits_of_its_parent(before: Callable[[], None], alone: list[Any], midst: None) -> None:
    before()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for work in (pool_work.refined, pool_work.refined_below):
            for found, expected in zip(answers(pool, work), alone, strict=True):
                assert_array_equal(found, expected)


@pytest.mark.parametrize("method", [method for method in METHODS if method != "fork"])
def test_a_pool_of_new_processes_gets_the_bits_of_its_parent(method: str, alone: list[Any]) -> None:
    use_own_threads()
    with multiprocessing.get_context(method).Pool(2) as pool:
        for found, expected in zip(answers(pool, pool_work.refined), alone, strict=True):
            assert_array_equal(found, expected)


@pytest.mark.parametrize("method", [method for method in METHODS if method != "spawn"])
def test_an_executor_gets_the_bits_of_its_parent(method: str, alone: list[Any]) -> None:
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        for found, expected in zip(pool.map(pool_work.refined, SEEDS, timeout=PATIENCE), alone, strict=True):
            assert_array_equal(found, expected)


@forks
def test_a_model_built_in_the_parent_works_in_forked_children(alone: list[Any]) -> None:
    expected = [pool_work.refined_by_a_model(seed) for seed in SEEDS]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for found, wanted in zip(answers(pool, pool_work.refined_by_a_model), expected, strict=True):
            assert_array_equal(found, wanted)


def test_jobs_of_joblib_get_the_bits_of_their_parent(alone: list[Any]) -> None:
    joblib = pytest.importorskip("joblib")
    jobs = [joblib.delayed(pool_work.refined)(seed) for seed in SEEDS]
    for found, expected in zip(joblib.Parallel(2, timeout=PATIENCE)(jobs), alone, strict=True):
        assert_array_equal(found, expected)


# ---- torch --------------------------------------------------------------------------------------------------


OF_TENSORS = {name: functools.partial(pool_work.refined_tensor, dtype=name) for name in pool_work.DTYPES}
OF_TENSORS["labels of rows"] = pool_work.labelled_tensors


@pytest.fixture
def torch_with_threads() -> Iterator[None]:
    """What hangs, hangs with two threads or more, which the machine may be too small for."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    use_threads_of_torch()
    yield
    torch.set_num_threads(before)


@forks
@pytest.mark.parametrize("work", OF_TENSORS.values(), ids=OF_TENSORS)
def test_tensors_are_refined_in_a_child_whose_parent_used_torch(
    work: Callable[[int], Any], torch_with_threads: None
) -> None:
    expected = [work(seed) for seed in (0, 1)]
    with multiprocessing.get_context("fork").Pool(1) as pool:
        for seed, wanted in enumerate(expected):
            assert_array_equal(pool.apply_async(work, (seed,)).get(PATIENCE), wanted)


LOADERS = [pytest.param("spawn", marks=pytest.mark.slow), *({"fork"} & set(METHODS))]


@pytest.mark.parametrize("method", LOADERS)
def test_workers_of_a_data_loader_refine_what_they_hand_out(method: str, alone: list[Any]) -> None:
    torch = pytest.importorskip("torch")
    use_threads_of_torch()
    loader = torch.utils.data.DataLoader(
        pool_work.Pictures(),
        batch_size=2,
        num_workers=2,
        collate_fn=pool_work.collated,
        persistent_workers=True,
        multiprocessing_context=method,
        timeout=PATIENCE,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that there are fewer cores than workers
        for _ in range(2):
            for seeds, marginals in loader:
                _, expected = pool_work.collated([(seed, torch.from_numpy(alone[seed])) for seed in seeds])
                assert torch.equal(marginals, expected)
