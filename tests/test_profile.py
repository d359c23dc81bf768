"""Where the time goes: every stage is counted, none twice, and counting changes nothing."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from inputs import scene, softmax
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import densecrf
from densecrf import Bilateral, Gaussian, _core
from densecrf._refine import answer
from densecrf._request import make_call, make_request

STAGES = ("features", "vertices", "neighbours", "normalise", "read", "slice", "softmax", "splat", "blur", "write")
LATTICE = STAGES[:4]

TERMS = (Gaussian(1.3, 2), Bilateral(15, 23, 3))


def profiled(
    image: NDArray[np.uint8], scores: NDArray[np.float32], profile: _core.Profile | None, **options: Any
) -> NDArray[np.float32]:
    given: dict[str, Any] = {
        "terms": TERMS,
        "preset": "deeplab-v2",
        "iterations": 3,
        "label_tolerance": 1e-3,
        "from_logits": True,
        "channel_axis": -1,
        "num_threads": 1,
        "out": None,
    }
    marginals: NDArray[np.float32] = answer(
        make_request(make_call("densecrf.refine", image, scores, **{**given, **options})), profile
    )
    return marginals


def crowd(size: tuple[int, int] = (200, 150)) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A picture of several partitions, and 21 labels of which most are small everywhere."""
    image, few = scene(*size, 3)
    logits = np.random.default_rng(0).normal(-9, 0.3, size=(21, *size)).astype(np.float32)
    logits[[3, 8, 20]] = (few - few.max(axis=0)) / 3
    return image, logits


CASES: dict[str, tuple[int, dict[str, Any]]] = {
    "many labels": (9, {}),
    "two labels": (2, {}),
    "one label": (1, {}),
    "probabilities": (9, {"from_logits": False}),
    "every label filtered": (9, {"label_tolerance": 0}),
    "two threads": (9, {"num_threads": 2}),
    "one iteration": (9, {"iterations": 1}),
    "two labels, one iteration": (2, {"iterations": 1}),
}


def inputs(case: str) -> tuple[NDArray[np.uint8], NDArray[np.float32], dict[str, Any]]:
    labels, options = CASES[case]
    image, logits = scene(200, 150, labels)
    logits = logits / 4
    return image, logits if options.get("from_logits", True) else softmax(logits).astype(np.float32), options


def test_a_fresh_profile_has_every_stage_at_zero() -> None:
    seconds = _core.Profile().seconds()
    assert tuple(seconds) == STAGES
    assert all(type(value) is float for value in seconds.values())
    assert set(seconds.values()) == {0.0}


@pytest.mark.parametrize("case", CASES)
def test_every_stage_takes_time(case: str) -> None:
    image, scores, options = inputs(case)
    profile = _core.Profile()
    profiled(image, scores, profile, **options)
    seconds = profile.seconds()
    assert tuple(seconds) == STAGES
    assert [stage for stage in STAGES if not seconds[stage] > 0] == []


def test_every_stage_takes_time_where_labels_are_left_out() -> None:
    image, logits = crowd()
    profile = _core.Profile()
    q = profiled(image, logits, profile, label_tolerance=0.01)
    assert (q != profiled(image, logits, None, label_tolerance=0)).any()
    seconds = profile.seconds()
    assert [stage for stage in STAGES if not seconds[stage] > 0] == []


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("case", CASES)
def test_stages_take_no_more_than_all_threads_had(case: str, threads: int) -> None:
    image, scores, options = inputs(case)
    profile = _core.Profile()
    begin = time.perf_counter()
    profiled(image, scores, profile, **{**options, "num_threads": threads})
    took = time.perf_counter() - begin
    assert sum(profile.seconds().values()) < 1.01 * threads * took + 1e-3


def test_stages_take_no_more_than_all_threads_had_where_labels_are_left_out() -> None:
    image, logits = crowd()
    for threads in (1, 2):
        profile = _core.Profile()
        begin = time.perf_counter()
        profiled(image, logits, profile, label_tolerance=0.01, iterations=5, num_threads=threads)
        took = time.perf_counter() - begin
        assert sum(profile.seconds().values()) < 1.01 * threads * took + 1e-3


def test_stages_take_no_more_than_all_threads_had_in_a_batch() -> None:
    image, logits = crowd((60, 70))
    images, scores = np.stack([image] * 5), np.stack([logits] * 5)
    for threads in (1, 2, 3):
        profile = _core.Profile()
        begin = time.perf_counter()
        profiled(images, scores, profile, num_threads=threads)
        took = time.perf_counter() - begin
        assert sum(profile.seconds().values()) < 1.01 * threads * took + 1e-3


def test_stages_are_where_most_of_the_time_goes() -> None:
    image, logits = scene(200, 300, 21)
    shares = []
    for _ in range(3):  # the best of three: machines are noisy
        profile = _core.Profile()
        begin = time.perf_counter()
        profiled(image, logits, profile, iterations=10, label_tolerance=0)
        shares.append(sum(profile.seconds().values()) / (time.perf_counter() - begin))
    assert max(shares) > 0.5, shares


def test_without_iterations_no_lattice_takes_time() -> None:
    for labels in (2, 9):
        image, logits = scene(50, 60, labels)
        profile = _core.Profile()
        profiled(image, logits, profile, iterations=0)
        seconds = profile.seconds()
        for stage in ("features", "vertices", "neighbours", "slice", "splat", "blur"):
            assert seconds[stage] == 0, stage
        assert seconds["read"] > 0
        assert seconds["write"] > 0


def test_calls_add_up() -> None:
    image, scores, _ = inputs("many labels")
    profile = _core.Profile()
    profiled(image, scores, profile)
    first = profile.seconds()
    profiled(image, scores, profile)
    second = profile.seconds()
    for stage in ("slice", "softmax", "splat", "blur", "write"):
        assert second[stage] > first[stage] > 0
    assert profile.seconds() == second  # reading it changes nothing


def test_profiles_are_of_their_own_calls() -> None:
    image, scores, _ = inputs("many labels")
    mine, other = _core.Profile(), _core.Profile()
    profiled(image, scores, mine)
    before = mine.seconds()
    profiled(image, scores, other)
    profiled(image, scores, None)
    densecrf.refine(image, scores, from_logits=True, channel_axis=-1)
    assert mine.seconds() == before


@pytest.mark.parametrize("case", CASES)
def test_counting_changes_no_bit(case: str) -> None:
    image, scores, options = inputs(case)
    assert_array_equal(
        profiled(image, scores, _core.Profile(), **options), profiled(image, scores, None, **options), strict=True
    )


def test_counting_changes_no_bit_where_labels_are_left_out_nor_in_a_batch() -> None:
    image, logits = crowd((60, 70))
    for given in ((image, logits), (np.stack([image] * 3), np.stack([logits, logits / 2, -logits]))):
        for threads in (1, 2):
            q = profiled(*given, _core.Profile(), num_threads=threads, label_tolerance=0.01)
            assert_array_equal(q, profiled(*given, None, num_threads=threads, label_tolerance=0.01))


def test_the_model_itself_takes_a_profile() -> None:
    core, scores = _core, np.zeros((3, 600), np.float32)
    term = core.Term((2.0, 2.0), (30.0,), np.arange(600, dtype=np.float32).reshape(600, 1), "symmetric", 2.0)
    building, running = core.Profile(), core.Profile()
    model = core.Model((20, 30), [term], 1, building)
    assert [building.seconds()[stage] > 0 for stage in LATTICE] == [True] * 4
    built = building.seconds()
    out = np.empty_like(scores)
    model.infer(scores, "logits", 0.0, 2, None, 0.0, 0.0, 0.0, 1, out, running)
    assert building.seconds() == built
    assert [stage for stage in STAGES if running.seconds()[stage] > 0] == list(STAGES[4:])
