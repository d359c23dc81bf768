"""`label_tolerance`: labels that are small everywhere take no part in filtering, and hardly anything changes."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import assert_says
from crowds import COUNTS, TERMS, crowd
from inputs import picture, probabilities, softmax
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

import densecrf
from densecrf import DenseCRF, Gaussian, reference, refine_volume

sys.path.append(str(Path(__file__).resolve().parents[1]))

from benchmarks import workloads

refine = functools.partial(densecrf.refine, channel_axis=-1)


# ---- what it refuses ----------------------------------------------------------------------------------------

BAD = [
    ("ValueError: label_tolerance .. at least 0 and below 1 .. got -1e-09", -1e-9),
    ("ValueError: label_tolerance .. at least 0 and below 1 .. got -1", -1),
    ("ValueError: label_tolerance .. at least 0 and below 1 .. got 1", 1),
    ("ValueError: label_tolerance .. at least 0 and below 1 .. got 1.0", 1.0),
    ("ValueError: label_tolerance .. at least 0 and below 1 .. got 21", 21),
    ("ValueError: label_tolerance .. finite .. nan", float("nan")),
    ("ValueError: label_tolerance .. finite .. inf", float("inf")),
    ("ValueError: label_tolerance .. finite", 10**400),
    ("TypeError: label_tolerance .. number .. str", "1e-3"),
    ("TypeError: label_tolerance .. number .. NoneType", None),
    ("TypeError: label_tolerance .. number .. bool", True),
    ("TypeError: label_tolerance .. number .. list", [1e-3]),
    ("TypeError: label_tolerance .. number .. complex", 1e-3j),
]

CALLS: dict[str, Callable[[Any], Any]] = {
    "densecrf.refine": lambda value: densecrf.refine(picture(), probabilities(), label_tolerance=value),
    "DenseCRF.infer": lambda value: DenseCRF((5, 7), 3, [Gaussian(1, 1)]).infer(
        np.zeros((3, 5, 7), np.float32), label_tolerance=value
    ),
}


def volume(value: Any) -> Any:
    probs = probabilities(3, 1, 210).reshape(3, 5, 6, 7)
    return refine_volume(picture(5, 6, 7), probs, [Gaussian(1, 1)], label_tolerance=value)


@pytest.mark.parametrize("function", CALLS)
@pytest.mark.parametrize(("expected", "value"), [pytest.param(*row, id=row[0]) for row in BAD])
def test_what_is_no_tolerance_is_refused(expected: str, value: Any, function: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        CALLS[function](value)
    assert_says(caught, function, expected)


@pytest.mark.parametrize("value", [-1, 1, float("nan"), "1e-3"])
def test_refine_volume_refuses_it_too(value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r": label_tolerance must "):
        volume(value)


def test_refine_volume_refuses_it_in_its_own_name() -> None:
    with pytest.raises(ValueError, match="label_tolerance") as caught:
        volume(-1)
    assert_says(caught, "densecrf.refine_volume", "ValueError: label_tolerance .. at least 0 and below 1 .. got -1")


@pytest.mark.parametrize("value", [0, 0.0, -0.0, np.float32(1e-3), np.float64(0.5), np.int64(0), 0.999999])
def test_any_number_from_0_to_below_1_is_a_tolerance(value: Any) -> None:
    for call in (*CALLS.values(), volume):
        assert np.isfinite(call(value)).all()


# ---- real network outputs -----------------------------------------------------------------------------------


@functools.cache
def network(name: str) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """Picture, probabilities, and the marginals with every label filtered."""
    pytest.importorskip("skimage")
    image, probs = workloads.sample(name)
    return image, probs, refine(image, probs, label_tolerance=0)


@pytest.mark.parametrize("name", workloads.SAMPLES)
def test_a_networks_output_changes_by_next_to_nothing(name: str) -> None:
    image, probs, whole = network(name)
    q = refine(image, probs, label_tolerance=1e-3)
    difference = np.abs(q - whole)
    assert difference.max() < 5e-5
    assert np.quantile(difference.max(axis=0), 0.999) < 1e-5
    assert (q.argmax(axis=0) != whole.argmax(axis=0)).mean() <= 1e-4
    assert (q != whole).any()  # labels are left out, or this says nothing


@pytest.mark.parametrize("name", workloads.SAMPLES)
def test_a_networks_output_changes_by_little_with_a_tolerance_of_a_hundredth(name: str) -> None:
    image, probs, whole = network(name)
    q = refine(image, probs, label_tolerance=1e-2)
    assert np.abs(q - whole).max() < 5e-4
    assert (q.argmax(axis=0) != whole.argmax(axis=0)).mean() <= 1e-4


@pytest.mark.parametrize("name", workloads.SAMPLES)
def test_labels_left_out_of_a_networks_output_keep_their_marginals(name: str) -> None:
    image, probs, whole = network(name)
    q = refine(image, probs, label_tolerance=1e-3)
    assert_allclose(q.sum(axis=0), 1, rtol=0, atol=2e-6)
    small = whole.max(axis=(1, 2)) < 1e-3
    assert small.sum() > 10
    assert (q[small] > 0).all()
    assert_allclose(q[small][whole[small] > 1e-6], whole[small][whole[small] > 1e-6], rtol=1e-2, atol=0)


def test_the_tolerance_of_refine_is_a_thousandth_unless_told() -> None:
    image, probs, _ = network("astronaut")
    q = refine(image, probs)
    assert_array_equal(q, refine(image, probs, label_tolerance=1e-3))
    for other in (0, 1e-2):
        assert (q != refine(image, probs, label_tolerance=other)).any()


@pytest.mark.parametrize("from_logits", [False, True])
def test_a_networks_output_has_the_same_bits_with_every_number_of_threads(from_logits: bool) -> None:
    image, probs, _ = network("astronaut")
    scores = np.log(np.maximum(probs, 1e-5)) if from_logits else probs
    calls = functools.partial(refine, image, scores, from_logits=from_logits, label_tolerance=1e-3, iterations=5)
    one, *others = (calls(num_threads=n) for n in (1, 2, 5, 16))
    for other in others:
        assert_array_equal(other, one)


# ---- who is left out ----------------------------------------------------------------------------------------


def odds(q: NDArray[np.float32], one: int, other: int) -> NDArray[np.float64]:
    return np.log(q[one].astype(np.float64)) - np.log(q[other].astype(np.float64))


@pytest.mark.parametrize("from_logits", [True, False])
def test_labels_left_out_send_themselves_no_messages(from_logits: bool) -> None:
    # Two labels of 0.02 and 0.01 everywhere: their odds move by what they hear of themselves, and only by that.
    image, logits = crowd(9, small=0.01)
    logits[[0, 8]] = np.log(np.reshape([0.02, 0.01], (2, 1, 1)) * np.exp(logits).sum(axis=0))
    scores = logits if from_logits else softmax(logits).astype(np.float32)
    options: Any = {"terms": [Gaussian(3, 0.7)], "from_logits": from_logits}
    whole = refine(image, scores, label_tolerance=0, **options)
    heard = odds(whole, 0, 8) - np.log(2)
    assert np.abs(heard).mean() > 2e-3
    alone = odds(refine(image, scores, label_tolerance=0.1, **options), 0, 8)
    assert_allclose(alone, np.log(2), rtol=0, atol=2e-5)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("labels", COUNTS)
def test_any_number_of_labels_may_be_left_out(labels: int, from_logits: bool) -> None:
    image, logits = crowd(labels)
    scores = logits if from_logits else softmax(logits).astype(np.float32)
    options: Any = {"terms": TERMS, "iterations": 5, "from_logits": from_logits}
    whole = refine(image, scores, label_tolerance=0, **options)
    q = refine(image, scores, label_tolerance=3e-3, **options)
    assert_allclose(q, whole, rtol=0, atol=5e-5)
    assert_allclose(q.sum(axis=0), 1, rtol=0, atol=2e-6)
    assert_allclose(q[whole > 1e-6], whole[whole > 1e-6], rtol=1e-2, atol=0)
    assert (q != whole).any() == (labels > 4)  # up to four, rows of the lattice are as narrow as can be


def test_where_every_label_is_likely_somewhere_none_is_left_out() -> None:
    image, probs = picture(30, 40, 3), probabilities(21, 30, 40)
    assert probs.max(axis=(1, 2)).min() > 0.1
    for from_logits, scores in ((False, probs), (True, np.log(probs))):
        whole = refine(image, scores, terms=TERMS, label_tolerance=0, from_logits=from_logits)
        assert_array_equal(refine(image, scores, terms=TERMS, from_logits=from_logits), whole)


def test_labels_are_not_left_out_while_they_are_likely_at_a_single_point() -> None:
    image, logits = crowd(21, likely=3)
    probs = softmax(logits).astype(np.float32)
    for label in range(21):  # a point of its own for each, among points that have other opinions
        probs[:, label + 9, 7] = 0
        probs[label, label + 9, 7] = 1
    terms = [Gaussian(1.5, 0.5)]
    whole = refine(image, probs, terms=terms, label_tolerance=0)
    assert whole.max(axis=(1, 2)).min() > 0.9
    assert_array_equal(refine(image, probs, terms=terms, label_tolerance=1e-3), whole)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("iterations", [0, 1, 2, 3])
def test_few_iterations_are_as_near(iterations: int, from_logits: bool) -> None:
    image, logits = crowd(21)
    scores = logits if from_logits else softmax(logits).astype(np.float32)
    options: Any = {"terms": TERMS, "iterations": iterations, "from_logits": from_logits}
    whole = refine(image, scores, label_tolerance=0, **options)
    q = refine(image, scores, label_tolerance=3e-3, **options)
    assert_allclose(q, whole, rtol=0, atol=2e-5)
    if iterations == 0:
        assert_array_equal(q, whole)
        assert_allclose(q, softmax(logits), rtol=1e-3, atol=1e-6)
    else:
        assert np.abs(q - softmax(logits)).max() > 0.05


def test_energies_logits_and_probabilities_agree() -> None:
    image, logits = crowd(21)
    probs = softmax(logits).astype(np.float32)
    from_logits = refine(image, logits, terms=TERMS, from_logits=True, label_tolerance=3e-3)
    energies = DenseCRF(image, 21, TERMS).infer(-logits, label_tolerance=3e-3)
    assert_array_equal(energies, from_logits)
    assert_allclose(refine(image, probs, terms=TERMS, label_tolerance=3e-3), from_logits, rtol=0, atol=5e-5)


def test_without_terms_nothing_changes() -> None:
    image, logits = crowd(21)
    probs = softmax(logits).astype(np.float32)
    for terms in ([], [Gaussian(3, 0)]):
        assert_allclose(refine(image, probs, terms=terms, label_tolerance=3e-3), probs, rtol=1e-4, atol=1e-7)


def test_a_single_pixel_may_leave_labels_out() -> None:
    probs = np.full((21, 1, 1), 1e-4, np.float32)
    probs[4] = 1 - 20e-4
    image = picture(1, 1, 3)
    assert_allclose(refine(image, probs), refine(image, probs, label_tolerance=0), rtol=1e-3, atol=1e-7)


def test_out_may_be_the_probabilities_themselves_where_labels_are_left_out() -> None:
    image, logits = crowd(21)
    for from_logits, scores in ((False, softmax(logits).astype(np.float32)), (True, logits)):
        options: Any = {"terms": TERMS, "label_tolerance": 3e-3, "from_logits": from_logits}
        separate = refine(image, scores, **options)
        assert (separate != refine(image, scores, **{**options, "label_tolerance": 0})).any()
        assert refine(image, scores, out=scores, **options) is scores
        assert_array_equal(scores, separate)


def test_the_exact_answer_is_as_near_as_it_is_to_all_labels() -> None:
    image, logits = crowd(9, size=(12, 15))
    probs = softmax(logits).astype(np.float32)
    exact = reference.refine(image, probs, terms=TERMS, iterations=5, channel_axis=-1)
    whole = refine(image, probs, terms=TERMS, iterations=5, label_tolerance=0)
    q = refine(image, probs, terms=TERMS, iterations=5)
    assert np.abs(q - exact).max() < np.abs(whole - exact).max() + 1e-5
    assert np.abs(q - exact).mean() < np.abs(whole - exact).mean() + 1e-6
