"""Answers stay near float64 on the same lattice, whatever the parameters: a small part of tests/soak/drift.py."""

from __future__ import annotations

import functools
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gpus import one_library
from instruction_sets import ISAS, answers_with
from numpy.typing import NDArray

pytest.importorskip("skimage")  # whose pictures these are; it brings SciPy along

import drift_cases
from drift_cases import Scene, Setting, answer
from drift_measures import Reference, distance

# 7.4e-6 is the largest of these pairs, where a heavy term adds up the whole picture.
BOUND = 2e-5
SETS = (3, 9, 14, 17)  # drawn ones, in which all normalisations and kinds of compatibility occur, and damping


@functools.cache
def pairs() -> dict[str, tuple[Scene, Setting]]:
    scenes = [drift_cases.with_network("astronaut"), drift_cases.with_network("motorcycle", 1)]
    background = scenes[1].probs[0]
    scenes.append(Scene("two labels", "scikit-image", scenes[1].image, np.stack([background, 1 - background])))
    settings = drift_cases.draw_settings(max(SETS) + 1)
    return {f"{scene.name}, {number}": (scene, settings[number]) for scene in scenes for number in SETS}


@functools.cache
def reference(case: str) -> Reference:
    return Reference(*pairs()[case])


def isa_answers() -> dict[str, NDArray[np.float32]]:
    return {case: answer(*pair) for case, pair in pairs().items()}


def assert_near(answers: dict[str, NDArray]) -> None:
    for case, given in answers.items():
        off = distance(given, reference(case).marginals)
        assert off.largest < BOUND, (case, off)
        assert off.unlike == off.ties, (case, off)


@pytest.mark.parametrize("isa", ISAS)
def test_every_instruction_set_is_near_float64(isa: str, tmp_path: Path) -> None:
    answers = answers_with(isa, __name__, tmp_path)
    assert answers.keys() == pairs().keys()
    assert_near(answers)


@one_library
def test_the_cuda_kernels_are_near_float64(gpu: Any) -> None:
    assert_near({case: gpu.get(answer(*pair, put=gpu.put)) for case, pair in pairs().items()})


def test_the_usual_label_tolerance_stays_as_near() -> None:
    assert_near({case: answer(*pair, label_tolerance=1e-3) for case, pair in pairs().items()})


def test_exact_weights_of_the_corners_would_change_little() -> None:
    for case in pairs():
        off = distance(answer(*pairs()[case]), reference(case).with_exact_weights())
        assert off.largest < 20 * BOUND, (case, off)
        assert off.unlike == off.ties, (case, off)


def test_the_terms_move_what_is_compared() -> None:
    for case, (scene, _) in pairs().items():
        moved = reference(case).marginals.argmax(axis=0) != scene.probs.argmax(axis=0)
        assert moved.mean() > 0.01, case


def test_the_drawn_parameters_are_of_every_kind() -> None:
    plans = [plan for setting in drift_cases.draw_settings(100) for plan in setting.plans]
    assert {plan.normalization for plan in plans} == {"symmetric", "before", "after", "none"}
    assert {plan.compatibility for plan in plans} == {"number", "vector", "matrix"}
    assert min(plan.sxy[0] for plan in plans) < 0.6
    assert max(plan.sxy[0] for plan in plans) > 150
    assert drift_cases.draw_settings(100)[:7] == drift_cases.draw_settings(7)


# ---- the measures themselves ----------------------------------------------------------------------------------


def test_a_distance_counts_pixels_and_tells_ties_from_labels_lost() -> None:
    truth = np.array([[0.9, 0.50004, 0.6, 0.3], [0.1, 0.49996, 0.4, 0.7]])
    given = truth + np.array([[-5e-4, -1e-4, -0.2, 0], [5e-4, 1e-4, 0.2, 0]])
    off = asdict(distance(given, truth))
    assert off.pop("largest") == pytest.approx(0.2)
    assert off.pop("p999") == pytest.approx(0.2, rel=0.01)
    assert off.pop("lead") == pytest.approx(0.2)
    assert off == {"above_1e4": 3, "above_1e3": 1, "pixels": 4, "unlike": 2, "ties": 1}


def test_a_bistable_pixel_moves_with_the_last_bit_of_its_energies() -> None:
    """An even choice between two labels that all want to agree upon: whatever a last bit prefers, wins."""
    image, even = np.zeros((6, 8), np.uint8), np.full((2, 6, 8), 0.5, np.float32)
    term = drift_cases.TermPlan((20.0, 20.0), None, 8.0, "after", "number", 0)
    undecided = Reference(Scene("even", "", image, even), Setting(0, (term,), 20, 0.0, 1e-5))
    assert np.abs(undecided.marginals - 0.5).max() < 1e-9
    assert undecided.reasons().moved > 0.1
    assert undecided.reasons().explain(0.5)
    sure = np.stack([np.full((6, 8), 0.9), np.full((6, 8), 0.1)]).astype(np.float32)
    decided = Reference(Scene("sure", "", image, sure), Setting(0, (term,), 20, 0.0, 1e-5)).reasons()
    assert max(decided.moved, decided.rounded, decided.plain) < 1e-6
    assert decided.explain(9e-5)
    assert not decided.explain(2e-4)
