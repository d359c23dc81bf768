"""Where a label tolerance must not do harm: labels that come back, many labels, other compatibilities, every ISA."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crowds import COUNTS, TERMS, comeback, crowd
from inputs import picture, softmax
from instruction_sets import ISAS, answers_with
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

import densecrf
from densecrf import Bilateral, DenseCRF, Gaussian, refine_volume

refine = functools.partial(densecrf.refine, channel_axis=-1)


# ---- labels that come back ----------------------------------------------------------------------------------

SURE_NEIGHBOURS = (Gaussian(3, 5),)


@pytest.mark.parametrize("tolerance", [0.1, 0.15, 0.2])
def test_a_label_that_gains_after_it_was_left_out_is_not_lost(tolerance: float) -> None:
    unary = -comeback()
    crf = DenseCRF(unary.shape[1:], 5, SURE_NEIGHBOURS)
    whole = crf.infer(unary, 20)
    assert crf.infer(unary, 1)[4].max() < tolerance < whole[4].max()

    # Left out at first, as the answer shows that has it so to the end, ...
    assert np.abs(crf.infer(unary, 3, label_tolerance=tolerance) - crf.infer(unary, 3)).max() > 5e-4
    assert np.abs(crf.infer(unary, 20, label_tolerance=0.3) - whole).max() > 5e-3
    # ... and taken back.
    assert_allclose(crf.infer(unary, 20, label_tolerance=tolerance), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("others", [4, 12])
def test_a_label_that_gains_is_not_lost_among_others_that_do_not(others: int) -> None:
    logits = comeback()
    nobody = np.full((others, *logits.shape[1:]), -30, np.float32)
    unary = -np.concatenate([logits[4:], nobody, logits[:4]])
    crf = DenseCRF(unary.shape[1:], 5 + others, SURE_NEIGHBOURS)
    whole = crf.infer(unary, 20)
    tolerance = 0.2 / (1 + others)
    q = crf.infer(unary, 20, label_tolerance=tolerance)
    assert_allclose(q, whole, rtol=0, atol=1e-5)


def test_a_label_that_comes_back_has_the_same_bits_with_every_number_of_threads() -> None:
    logits = np.tile(comeback(), (1, 7, 8))  # several partitions
    unary = np.random.default_rng(0).normal(scale=0.05, size=logits.shape).astype(np.float32) - logits
    models = [DenseCRF(unary.shape[1:], 5, SURE_NEIGHBOURS, num_threads=n) for n in (1, 2, 5, 16)]
    one, *others = (crf.infer(unary, 12, label_tolerance=0.15) for crf in models)
    for other in others:
        assert_array_equal(other, one)
    whole = models[0].infer(unary, 12)
    assert np.abs(models[0].infer(unary, 3, label_tolerance=0.15) - models[0].infer(unary, 3)).max() > 5e-4
    assert_allclose(one, whole, rtol=0, atol=1e-4)
    assert np.abs(models[0].infer(unary, 12, label_tolerance=0.35) - whole).max() > 1e-3


def test_labels_that_are_below_the_tolerance_together_with_all_others_still_decide_among_themselves() -> None:
    # 1500 labels, each likelier than the others in a patch of its own; hardly any but the first reaches a thousandth.
    labels, size = 1500, 24
    rng = np.random.default_rng(3)
    centres = rng.uniform(size=(labels, 2, 1, 1)) * size
    y, x = np.mgrid[:size, :size]
    distance = np.hypot(y - centres[:, 0], x - centres[:, 1])
    logits = 0.4 * np.exp(-(distance**2) / 18) + rng.normal(scale=0.02, size=distance.shape)
    logits[0, :6, :6] += 4
    probs = softmax(logits).astype(np.float32)
    whole = refine(picture(size, size, 3), probs, label_tolerance=0)
    q = refine(picture(size, size, 3), probs)
    assert_allclose(q, whole, rtol=0, atol=5e-5)
    assert (q.argmax(axis=0) != whole.argmax(axis=0)).mean() <= 1e-3


@pytest.mark.parametrize(("weight", "left_out"), [(8, True), (80, False)])
def test_the_tolerance_is_taken_smaller_where_weights_add_up_to_more_than_ten(weight: float, left_out: bool) -> None:
    image, logits = crowd(9, small=0.01)
    probs = softmax(logits).astype(np.float32)
    assert 0.05 / 8 < np.sort(probs.max(axis=(1, 2)))[-4] < 0.05
    options: Any = {"terms": [Gaussian(2, weight / 2), Bilateral(9, 30, weight / 2)], "iterations": 1}
    q = refine(image, probs, label_tolerance=0.05, **options)
    assert (q != refine(image, probs, label_tolerance=0, **options)).any() == left_out


# ---- where it has no effect ---------------------------------------------------------------------------------

PLAIN = Gaussian(2, 1.5)
LABELS = 9
APART = 1.5 * np.eye(LABELS) - 0.2 * (1 - np.eye(LABELS))

NO_EFFECT: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "a matrix": ([PLAIN, Gaussian(3, APART)], {}),
    "a matrix that is the Potts model": ([PLAIN, Gaussian(3, np.eye(LABELS))], {}),
    "a weight for each label": ([PLAIN, Gaussian(3, [1.0] * LABELS)], {}),
    "negative weights": ([PLAIN, Gaussian(3, [-0.5] * LABELS)], {}),
    "no normalisation": ([PLAIN, Gaussian(1, 0.1, "none")], {}),
    "damping": ([PLAIN], {"damping": 0.1}),
    "a tolerance": ([PLAIN], {"tolerance": 1e-6}),
    "a start": ([PLAIN], {"start": "soft-max"}),
}


@pytest.mark.parametrize("case", NO_EFFECT)
def test_it_has_no_effect_where_leaving_labels_out_would_do_harm(case: str) -> None:
    terms, options = NO_EFFECT[case]
    _, logits = crowd(LABELS)
    if "start" in options:
        options = {"start": softmax(logits).astype(np.float32)}
    crf = DenseCRF(logits.shape[1:], LABELS, terms)
    whole = crf.infer(-logits, **options)
    assert_array_equal(crf.infer(-logits, label_tolerance=0.01, **options), whole)


@pytest.mark.parametrize("normalization", ["symmetric", "before", "after"])
def test_it_has_an_effect_with_the_terms_and_inputs_of_the_test_above(normalization: Any) -> None:
    _, logits = crowd(LABELS)
    crf = DenseCRF(logits.shape[1:], LABELS, [Gaussian(2, 1.5, normalization)])
    q, whole = crf.infer(-logits, label_tolerance=0.01), crf.infer(-logits)
    assert (q != whole).any()
    assert_allclose(q, whole, rtol=0, atol=2e-5)


def test_a_model_filters_every_label_unless_told() -> None:
    _, logits = crowd(LABELS)
    crf = DenseCRF(logits.shape[1:], LABELS, [PLAIN])
    q = crf.infer(-logits)
    assert_array_equal(q, crf.infer(-logits, label_tolerance=0))
    assert (q != crf.infer(-logits, label_tolerance=0.01)).any()
    assert_array_equal(q, crf.infer(-logits))  # nothing of a tolerance stays with the model


# ---- instruction sets ---------------------------------------------------------------------------------------


def isa_answers() -> dict[str, NDArray[np.float32]]:
    answers = {}
    for labels in COUNTS:
        image, logits = crowd(labels, size=(15, 17))
        probs = softmax(logits).astype(np.float32)
        options: Any = {"terms": TERMS, "iterations": 5, "label_tolerance": 3e-3}
        answers[f"{labels} labels, logits"] = refine(image, logits, from_logits=True, **options)
        answers[f"{labels} labels, probabilities"] = refine(image, probs, **options)
    unary = -comeback()
    answers["comeback"] = DenseCRF(unary.shape[1:], 5, SURE_NEIGHBOURS).infer(unary, 20, label_tolerance=0.15)
    return answers


@pytest.mark.parametrize("isa", ISAS)
def test_every_instruction_set_gives_the_same_answer(isa: str, tmp_path: Path) -> None:
    stored = answers_with(isa, __name__, tmp_path)
    for name, mine in isa_answers().items():
        assert_allclose(stored[name], mine, rtol=0, atol=1e-5, err_msg=name)
        assert_allclose(stored[name], mine, rtol=1e-3, atol=1e-9, err_msg=name)


# ---- volumes ------------------------------------------------------------------------------------------------


def test_a_volume_leaves_labels_out_as_a_picture_does() -> None:
    _, logits = crowd(21, size=(30, 40))
    probs = softmax(logits).astype(np.float32).reshape(21, 6, 5, 40)
    scan, terms = picture(6, 5, 40), [Gaussian(1.5, 2), Bilateral(3, 60, 2)]
    whole = refine_volume(scan, probs, terms, label_tolerance=0)
    q = refine_volume(scan, probs, terms, label_tolerance=3e-3)
    assert (q != whole).any()
    assert_allclose(q, whole, rtol=0, atol=5e-5)
    assert_array_equal(refine_volume(scan, probs, terms), refine_volume(scan, probs, terms, label_tolerance=1e-3))
