"""Two labels: filtered as one number, with the answer that two numbers have."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from inputs import NORMALIZATIONS, scene, softmax
from instruction_sets import ISAS, answers_with
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

import densecrf
from densecrf import Bilateral, DenseCRF, Gaussian, reference, unary_from_probs

Values = NDArray[np.float32]

SIZE = (37, 53)
IMAGE, SURE = scene(*SIZE, 2)
UNSURE = SURE / 4  # every iteration moves something
TERMS = (Gaussian((2.3, 1.7), 2), Bilateral((17, 13), 23, 3))
ITERATIONS = 5

refine = functools.partial(densecrf.refine, terms=TERMS, iterations=ITERATIONS, channel_axis=-1)


def two(values: Any) -> Values:
    """A number for each column -> logits of label 0, and their opposites for label 1."""
    rows = np.broadcast_to(np.asarray(values, np.float32), SIZE)
    return np.stack([rows, -rows])


def by_the_general_path(energies: Values, terms: Any = TERMS, iterations: int = ITERATIONS) -> list[Values]:
    """The same marginals [2, H, W] in ways in which both labels are filtered."""
    crf = DenseCRF(IMAGE, 2, terms)
    nobody = np.full((1, *SIZE), 1e4, np.float32) + np.maximum(energies.max(axis=0), 0)
    third = DenseCRF(IMAGE, 3, terms).infer(np.concatenate([energies, nobody]), iterations)
    assert third[2].max() < 1e-30
    return [
        third[:2],
        crf.infer(energies, iterations, damping=1e-30),
        crf.infer(energies, iterations, tolerance=1e-38),
        crf.infer(energies, iterations, start=crf.infer(energies, 0)),
    ]


# ---- against the general path -------------------------------------------------------------------------------

LOGITS = {
    "sure": SURE,
    "unsure": UNSURE,
    "of one opinion": SURE * 0 + np.reshape([1, -1], (2, 1, 1)),
    "without an opinion": SURE * 0,
    "far from zero": UNSURE + 1e3,
    "1e4": two(np.where(np.arange(53) % 20 < 10, 1e4, -1e4)),
    "1e30": two(np.where(np.arange(53) % 20 < 10, 1e30, -1e30)),
    "as large as can be": two(np.where(np.arange(53) % 20 < 10, 3.4e38, -3.4e38)),
    "1e30 here and there": np.where(np.arange(53) % 7 == 3, two(1e30), UNSURE),
}


@pytest.mark.parametrize("iterations", [0, 1, 2, 5])
@pytest.mark.parametrize("name", LOGITS)
def test_energies_give_what_the_general_path_gives(name: str, iterations: int) -> None:
    energies = -LOGITS[name].astype(np.float32)
    q = DenseCRF(IMAGE, 2, TERMS).infer(energies, iterations)
    assert_allclose(q.sum(axis=0), 1, rtol=0, atol=5e-7)
    for other in by_the_general_path(energies, iterations=iterations):
        assert_allclose(q, other, rtol=0, atol=1e-5)
        assert_allclose(q, other, rtol=1e-3, atol=1e-30)


@pytest.mark.parametrize("name", LOGITS)
def test_logits_give_what_their_energies_give(name: str) -> None:
    logits = LOGITS[name].astype(np.float32)
    q = refine(IMAGE, logits, from_logits=True)
    assert_array_equal(q, DenseCRF(IMAGE, 2, TERMS).infer(-logits, ITERATIONS))


def test_the_inputs_above_are_moved_by_the_terms() -> None:
    for name in ("sure", "unsure", "1e30 here and there"):
        logits = LOGITS[name].astype(np.float32)
        before = refine(IMAGE, logits, from_logits=True, iterations=0)
        assert np.abs(refine(IMAGE, logits, from_logits=True) - before).max() > 0.3


PROBABILITIES = {
    "sure": softmax(SURE),
    "unsure": softmax(UNSURE),
    "certain": np.eye(2)[:, SURE.argmax(axis=0)],
    "certain everywhere of the same": np.stack([np.ones(SIZE), np.zeros(SIZE)]),
    "certain here and there": np.where(np.arange(53) % 7 == 3, [[[1.0]], [[0.0]]], softmax(UNSURE)),
    "even": np.full((2, *SIZE), 0.5),
}


@pytest.mark.parametrize("iterations", [0, 1, 5])
@pytest.mark.parametrize("name", PROBABILITIES)
def test_probabilities_give_what_the_general_path_gives(name: str, iterations: int) -> None:
    probs = PROBABILITIES[name].astype(np.float32)
    q = refine(IMAGE, probs, iterations=iterations)
    assert_allclose(q.sum(axis=0), 1, rtol=0, atol=5e-7)
    for other in by_the_general_path(unary_from_probs(probs), iterations=iterations):
        assert_allclose(q, other, rtol=0, atol=1e-5)


def test_no_iterations_give_the_probabilities_clipped() -> None:
    for probs in PROBABILITIES.values():
        clipped = np.maximum(probs.astype(np.float32), 1e-5)
        q = refine(IMAGE, probs.astype(np.float32), iterations=0)
        assert_allclose(q, clipped / clipped.sum(axis=0), rtol=1e-5, atol=0)


def test_the_exact_answer_is_near() -> None:
    image, logits = scene(14, 17, 2)
    probs = softmax(logits / 4).astype(np.float32)
    terms = [Gaussian(1.5, 1, "after"), Bilateral(4, 60, 1, "after")]
    exact = reference.refine(image, probs, terms=terms, iterations=3, channel_axis=-1)
    q = refine(image, probs, terms=terms, iterations=3)
    assert np.abs(exact - probs).max() > 0.2
    assert np.abs(q - exact).mean() < 0.03


def test_exchanging_the_labels_exchanges_the_marginals() -> None:
    q = refine(IMAGE, UNSURE, from_logits=True)
    assert_allclose(refine(IMAGE, UNSURE[::-1], from_logits=True)[::-1], q, rtol=0, atol=1e-6)


def test_half_precision_and_tensors_go_the_same_way() -> None:
    probs = softmax(UNSURE).astype(np.float16)
    expected = refine(IMAGE, probs.astype(np.float32))
    assert_array_equal(refine(IMAGE, probs), expected.astype(np.float16))
    torch = pytest.importorskip("torch")
    assert_array_equal(refine(IMAGE, torch.from_numpy(probs)).numpy(), expected.astype(np.float16))


def test_out_may_be_the_probabilities_themselves() -> None:
    for scores, from_logits in ((softmax(UNSURE).astype(np.float32), False), (UNSURE.astype(np.float32), True)):
        expected = refine(IMAGE, scores, from_logits=from_logits)
        assert refine(IMAGE, scores, from_logits=from_logits, out=scores) is scores
        assert_array_equal(scores, expected)


# ---- weights and normalisations -----------------------------------------------------------------------------


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_every_normalisation_gives_what_the_general_path_gives(normalization: Any) -> None:
    weight = 0.1 if normalization == "none" else 2
    terms = [Gaussian(2, weight, normalization), Bilateral(20, 13, weight, normalization)]
    q = DenseCRF(IMAGE, 2, terms).infer(-UNSURE, ITERATIONS)
    assert np.abs(q - softmax(UNSURE)).max() > 0.2
    for other in by_the_general_path(-UNSURE, terms):
        assert_allclose(q, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_the_potts_model_may_be_written_as_lists_and_matrices(normalization: Any) -> None:
    w = 0.1 if normalization == "none" else 2.0
    q = DenseCRF(IMAGE, 2, [Gaussian(2, w, normalization)]).infer(-UNSURE, ITERATIONS)
    # Messages matter by how much more one label gets than the other; a matrix by its symmetric part.
    lists = [w, w], [[w, 0], [0, w]], [[w, 0.7], [-0.7, w]], [[0, -w], [-w, 0]], [[w / 2, -w / 2], [-w / 2, w / 2]]
    for weight in lists:
        other = DenseCRF(IMAGE, 2, [Gaussian(2, weight, normalization)]).infer(-UNSURE, ITERATIONS)
        assert_allclose(other, q, rtol=0, atol=1e-5, err_msg=str(weight))


def test_labels_that_gain_differently_are_not_one_number() -> None:
    q = DenseCRF(IMAGE, 2, [Gaussian(2, 2)]).infer(-UNSURE, ITERATIONS)
    for weight in ([2, 0.5], [[2, 0], [0, 0.5]], [-2, -2], [[0, 2], [2, 0]]):
        model = DenseCRF(IMAGE, 2, [Gaussian(2, weight)])
        other = model.infer(-UNSURE, ITERATIONS)
        assert np.abs(other - q).max() > 0.1
        assert_allclose(other, model.infer(-UNSURE, ITERATIONS, damping=1e-30), rtol=0, atol=1e-6)


def test_one_term_that_mixes_labels_among_others_that_do_not() -> None:
    matrix = [[0.5, -0.5], [-0.5, 0.5]]
    mixed = DenseCRF(IMAGE, 2, [TERMS[0], Gaussian(4, matrix, "after")]).infer(-UNSURE, ITERATIONS)
    plain = DenseCRF(IMAGE, 2, [TERMS[0], Gaussian(4, 1, "after")]).infer(-UNSURE, ITERATIONS)
    assert_allclose(mixed, plain, rtol=0, atol=1e-5)


def test_weights_of_nothing_change_nothing() -> None:
    for terms in ([], [Gaussian(2, 0)], [Gaussian(2, 0), Bilateral(3, 3, 0)]):
        assert_allclose(refine(IMAGE, UNSURE, terms=terms, from_logits=True), softmax(UNSURE), rtol=0, atol=1e-6)
    half = refine(IMAGE, UNSURE, terms=[TERMS[1]], from_logits=True)
    assert_allclose(refine(IMAGE, UNSURE, terms=[Gaussian(2, 0), TERMS[1]], from_logits=True), half, rtol=0, atol=1e-6)


def test_a_label_tolerance_makes_no_difference() -> None:
    probs = PROBABILITIES["certain"].astype(np.float32)
    assert_array_equal(refine(IMAGE, probs, label_tolerance=0.5), refine(IMAGE, probs, label_tolerance=0))


# ---- the same bits for every number of threads --------------------------------------------------------------


@pytest.mark.parametrize("size", [(300, 500), (1, 90000), (90000, 1)])
@pytest.mark.parametrize("kind", ["probabilities", "logits"])
def test_every_number_of_threads_gives_the_same_bits(kind: str, size: tuple[int, int]) -> None:
    image, logits = scene(*size, 2)
    logits = logits / 8  # unsure, so that every order of summation shows
    scores = logits if kind == "logits" else softmax(logits).astype(np.float32)
    call = functools.partial(refine, image, scores, from_logits=kind == "logits")
    one, *others = (call(num_threads=n) for n in (1, 2, 5, 16))
    assert np.abs(one - softmax(logits)).max() > 0.1
    for other in others:
        assert_array_equal(other, one)


# ---- instruction sets ---------------------------------------------------------------------------------------


def isa_answers() -> dict[str, Values]:
    answers = {f"logits, {name}": refine(IMAGE, values, from_logits=True) for name, values in LOGITS.items()}
    for name, probs in PROBABILITIES.items():
        answers[f"probabilities, {name}"] = refine(IMAGE, probs.astype(np.float32))
    crf = DenseCRF(IMAGE, 2, TERMS)
    answers["energies"] = crf.infer(-UNSURE)
    answers["odd sizes"] = densecrf.refine(IMAGE[:5, :9], softmax(UNSURE[:, :5, :9]).astype(np.float32))
    answers["one point"] = densecrf.refine(IMAGE[:1, :1], softmax(UNSURE[:, :1, :1]).astype(np.float32))
    return answers


@pytest.mark.parametrize("isa", ISAS)
def test_every_instruction_set_gives_the_same_answer(isa: str, tmp_path: Path) -> None:
    stored = answers_with(isa, __name__, tmp_path)
    for name, mine in isa_answers().items():
        assert_allclose(stored[name], mine, rtol=0, atol=1e-5, err_msg=name)
