"""Pairwise terms on a GPU: any list of them, any weights, features, points, pictures and volumes."""

import numpy as np
import pytest
from gpus import assert_as_on_the_cpu, assert_model_as_on_the_cpu, on_gpu, one_library
from inputs import picture, scene, softmax
from numpy.testing import assert_allclose, assert_array_equal

import densecrf
from densecrf import Bilateral, DenseCRF, Features, Gaussian

LABELS, SHAPE = 5, (17, 22)
IMAGE, LOGITS = scene(*SHAPE, LABELS)
PROBS = softmax(LOGITS)
POINTS = SHAPE[0] * SHAPE[1]

RNG = np.random.default_rng(4)
OWN = RNG.normal(scale=2, size=(3, POINTS)).astype(np.float32)
ASYMMETRIC = RNG.uniform(-0.6, 0.8, size=(LABELS, LABELS))
APART = 0.8 * np.eye(LABELS) - 0.2

TERM_LISTS = {
    "none": [],
    "one": [Bilateral(9, 15, 1.5)],
    "a Gaussian alone": [Gaussian((2, 1), 1.5)],
    "three": [Gaussian(1, 0.5), Bilateral(9, 15, 0.7), Bilateral(40, 50, 0.4, "after")],
    "five of different normalisations": [
        Gaussian(1, 0.5, "after"),
        Gaussian((7, 3), 0.2, "before"),
        Bilateral(9, 15, 0.7),
        Features(OWN, 0.3),
        Gaussian(1.5, 0.05, "none"),
    ],
    "two that are equal": [Bilateral(9, 15, 0.7)] * 2,
    "in the order of their dimensions": [Bilateral(9, 15, 0.7), Features(OWN, 0.3), Gaussian(1, 0.5)],
    "against the order of their dimensions": [Gaussian(1, 0.5), Features(OWN, 0.3), Bilateral(9, 15, 0.7)],
    "one of no weight": [Gaussian(1, 0.5), Bilateral(9, 15, 0.0), Gaussian(3, 0.4)],
    "all of no weight": [Gaussian(1, 0.0), Bilateral(9, 15, 0.0)],
    "features": [Features(OWN, 1.0)],
    "features of one dimension": [Features(OWN[:1], 1.0), Gaussian(2, 0.4)],
    "features of many dimensions": [Features(RNG.normal(size=(32, POINTS)) / 3, 1.0), Gaussian(2, 0.4)],
    "features of twelve dimensions": [Features(4 * RNG.normal(size=(12, POINTS)), 1.0), Gaussian(2, 0.4)],
    "features that are all the same": [Features(np.full((2, POINTS), -3.5), 0.8)],
    "a weight for each label": [Gaussian(2, [0.3, 0.5, 0.0, 1.2, 0.8]), Bilateral(9, 15, 0.7)],
    "negative weights for some labels": [Gaussian(2, [0.3, -0.2, 0.5, -0.4, 0.8]), Bilateral(9, 15, 0.7)],
    "a matrix": [Gaussian(2, APART), Bilateral(9, 15, 0.7)],
    "an asymmetric matrix": [Gaussian(2, 0.7), Bilateral(9, 15, ASYMMETRIC)],
    "matrices only": [Gaussian(2, APART), Bilateral(9, 15, 0.5 * ASYMMETRIC, "after"), Features(OWN, APART, "none")],
    "a matrix of zeros": [Gaussian(2, np.zeros((LABELS, LABELS))), Bilateral(9, 15, 0.7)],
    "all kinds of weights": [
        Gaussian(1, 0.3),
        Features(OWN[:2], APART),
        Bilateral(9, 15, [0.2, 0.3, 0.4, 0.5, 0.1], "before"),
        Gaussian(4, 0.5 * ASYMMETRIC, "after"),
    ],
}


@pytest.mark.parametrize("case", TERM_LISTS)
def test_every_list_of_terms_gives_the_answer_of_the_cpu(case, gpu):
    assert_as_on_the_cpu(gpu, IMAGE, PROBS, terms=TERM_LISTS[case], iterations=5)


@one_library
@pytest.mark.parametrize("case", TERM_LISTS)
def test_every_list_of_terms_passes_messages_as_on_the_cpu(case, gpu):
    expected = DenseCRF(IMAGE, LABELS, TERM_LISTS[case]).message(PROBS)
    model = DenseCRF(gpu.put(IMAGE), LABELS, TERM_LISTS[case], channel_axis=-1)
    assert_allclose(gpu.get(model.message(gpu.put(PROBS))), expected, rtol=0, atol=1e-5)


@one_library
@pytest.mark.parametrize("case", TERM_LISTS)
def test_every_list_of_terms_has_the_vertices_it_has_on_the_cpu(case, gpu):
    model = DenseCRF(gpu.put(IMAGE), LABELS, TERM_LISTS[case], channel_axis=-1)
    expected = DenseCRF(IMAGE, LABELS, TERM_LISTS[case]).n_vertices
    assert model.n_vertices == expected


@one_library
@pytest.mark.parametrize("terms", [[], [Gaussian(3, 0)]], ids=["none", "of no weight"])
def test_without_terms_the_answer_is_the_soft_max(terms, gpu):
    for iterations in (0, 1, 4):
        q = on_gpu(gpu, densecrf.refine, IMAGE, LOGITS, terms=terms, channel_axis=-1, from_logits=True)
        assert_allclose(q, PROBS, rtol=0, atol=1e-6)
        q = DenseCRF(gpu.put(IMAGE), LABELS, terms, channel_axis=-1).infer(gpu.put(-LOGITS), iterations)
        assert_allclose(gpu.get(q), PROBS, rtol=0, atol=1e-6)


@one_library
@pytest.mark.parametrize("labels", [1, 2, 4, 7, 8, 21])
def test_matrices_for_any_number_of_labels_give_the_answer_of_the_cpu(labels, gpu):
    image, logits = scene(11, 13, labels)
    rng = np.random.default_rng(labels)
    matrix, vector = rng.uniform(-0.4, 0.7, size=(labels, labels)), rng.uniform(-0.2, 0.7, size=labels)
    terms = [Gaussian(2, matrix), Bilateral(9, 15, vector)]
    assert_as_on_the_cpu(gpu, image, softmax(logits), terms=terms, iterations=4)


@one_library
@pytest.mark.parametrize("weight", [1e2, 1e6, 1e18, 9e29])
@pytest.mark.parametrize("normalization", ["symmetric", "none"])
@pytest.mark.parametrize("labels", [3, 8, 21])
def test_huge_weights_leave_one_label_everywhere(labels, normalization, weight, gpu):
    image, logits = scene(12, 15, labels)
    logits[labels // 2] += 3
    terms = [Gaussian(1e3, weight, normalization), Bilateral(1e3, 1e4, weight, normalization)]
    q = on_gpu(gpu, densecrf.refine, image, logits, terms=terms, from_logits=True, channel_axis=-1)
    assert np.isfinite(q).all()
    assert_allclose(q.sum(axis=0), 1, rtol=0, atol=3e-6)
    assert_array_equal(q.argmax(axis=0), labels // 2)


# ---- keys of vertices ---------------------------------------------------------------------------------------


@one_library
@pytest.mark.parametrize("dims", [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 16, 17, 25, 31, 32])
@pytest.mark.parametrize("extent", [2, 90, 3e3])
def test_any_number_of_dimensions_gives_the_answer_of_the_cpu(dims, extent, gpu):
    """Keys of one word, and of up to 16."""
    if dims > 16 and extent > 100:
        extent = 100.0  # what 2^24 lattice steps hold
    rng = np.random.default_rng(dims)
    features = rng.uniform(-extent, extent, size=(dims, 60))
    features[:, 20:40] = features[:, :20] + rng.normal(scale=0.05, size=(dims, 20))  # so that some are neighbours
    unary = rng.normal(size=(3, 60)).astype(np.float32)
    assert_model_as_on_the_cpu(gpu, (60,), unary, [Features(features, 2.0)], iterations=4)
    here, there = (DenseCRF((60,), 3, [Features(features, 2.0)]) for _ in range(2))
    assert_allclose(gpu.get(there.message(gpu.put(-unary))), here.message(-unary), rtol=0, atol=1e-5)


# ---- other grids --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("points", [1, 2, 63, 300])
def test_sets_of_points_give_the_answer_of_the_cpu(points, gpu):
    rng = np.random.default_rng(0)
    features = rng.uniform(0, 6, size=(3, points)).astype(np.float32)
    unary = rng.normal(size=(4, points)).astype(np.float32)
    terms = [Features(features, 1.2), Features(features[:2] / 3, 0.4, "after")]
    assert_model_as_on_the_cpu(gpu, (points,), unary, terms)


def test_a_line_gives_the_answer_of_the_cpu(gpu):
    unary = np.random.default_rng(0).normal(size=(4, 200)).astype(np.float32)
    assert_model_as_on_the_cpu(gpu, (200,), unary, [Gaussian(2.5, 1.2)])


@pytest.mark.parametrize("sizes", [(5, 6, 7), (1, 1, 9), (8, 1, 3), (3, 2, 4, 5)], ids=str)
def test_volumes_give_the_answer_of_the_cpu(sizes, gpu):
    scan = picture(*sizes)
    unary = np.random.default_rng(0).normal(size=(4, *sizes)).astype(np.float32)
    sigmas = (1.5, 2.5, 3.5, 1.0)[: len(sizes)]
    terms = [Gaussian(sigmas, 0.9), Bilateral(2, 60, 1.2), Bilateral(sigmas, 90, APART[:4, :4])]
    assert_model_as_on_the_cpu(gpu, scan, unary, terms, channel_axis=None)


def test_a_volume_of_colours_gives_the_answer_of_the_cpu(gpu):
    unary = np.random.default_rng(0).normal(size=(4, 5, 6, 7)).astype(np.float32)
    terms = [Gaussian(1.5, 0.9), Bilateral(2, (60, 70), 1.2)]
    assert_model_as_on_the_cpu(gpu, picture(5, 6, 7, 2), unary, terms)
