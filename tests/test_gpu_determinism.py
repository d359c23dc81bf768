"""The same bits on a GPU from run to run, in whatever order its threads run, and whatever its memory held before."""

import numpy as np
import pytest
from crowds import comeback, crowd
from gpus import Ledger, one_library, twin_behind_torch
from inputs import picture, probabilities, scene, softmax
from numpy.testing import assert_array_equal

import densecrf
from densecrf import Bilateral, DenseCRF, Features, Gaussian, _build

RNG = np.random.default_rng(9)
MATRIX = RNG.uniform(-0.3, 0.6, size=(5, 5))
FEATURES = Features(RNG.normal(scale=3, size=(12, 17 * 20)), 0.5)


def refine(gpu, image, scores, **options):
    axis = None if image.ndim == scores.ndim - 1 else -1
    return [gpu.get(densecrf.refine(gpu.put(image), gpu.put(scores), channel_axis=axis, **options))]


def unsure(labels, size=(17, 20), seed=0):
    image, logits = scene(*size, labels, seed=seed)
    return image, softmax(logits / 4)


def a_picture(gpu):
    return refine(gpu, *unsure(5))


def long_rows(gpu):
    return refine(gpu, *unsure(5, (70, 75)), terms=[Gaussian(2000, 1), Bilateral(90, 200, 1, "after")], iterations=3)


def short_rows(gpu):
    return refine(gpu, *unsure(5), terms=[Bilateral(0.5, 0.7, 1), Bilateral(7, 9, 1, "before")])


def long_keys(gpu):
    return refine(gpu, picture(17, 20, 9), unsure(5)[1], terms=[Bilateral(9, 60, 1), FEATURES])


def mixed_labels(gpu):
    terms = [Gaussian(1, 0.5), Bilateral(9, 20, MATRIX), Gaussian(3, MATRIX[0], "after"), Gaussian(1, 0.1, "none")]
    return refine(gpu, *unsure(5), terms=terms)


def labels_left_out(gpu):
    image, logits = crowd(25, size=(24, 30))
    return refine(gpu, image, logits, from_logits=True, label_tolerance=3e-3)


def labels_that_come_back(gpu):
    crf = DenseCRF((24, 24), 5, [Gaussian(3, 5)])
    unary = gpu.put(-comeback())
    return [gpu.get(crf.infer(unary, n, label_tolerance=0.15)) for n in (1, 3, 12)]


def many_labels(gpu):
    return refine(gpu, picture(2, 3), probabilities(12400, 2, 3), iterations=2)


def a_batch(gpu):
    pairs = [unsure(7, seed=seed) for seed in range(3)]
    images, scores = (np.stack(arrays) for arrays in zip(*pairs, strict=True))
    images = images / np.reshape([1, 255, 1], (3, 1, 1, 1))  # floats, to be surveyed
    return refine(gpu, images, scores)


def damping_and_an_early_end(gpu):
    image, probs = unsure(5)
    crf = DenseCRF(gpu.put(image), 5, channel_axis=-1)
    options = {"damping": 0.3, "tolerance": 1e-3, "return_iterations": True, "start": gpu.put(probs)}
    q, ran = crf.infer(gpu.put(-np.log(probs)), 60, **options)
    assert 2 < ran < 60
    return [gpu.get(q), np.array(ran), gpu.get(crf.infer(gpu.put(-np.log(probs)), 60, tolerance=1e-2))]


def parts_of_a_model(gpu):
    image, probs = unsure(5)
    crf = DenseCRF(gpu.put(image), 5, [Gaussian(2, MATRIX), FEATURES, Bilateral(9, 20, 1)], channel_axis=-1)
    values = gpu.put(probs)
    answers = [gpu.get(crf.message(values))] + [gpu.get(crf.filter(values, term)) for term in range(3)]
    return [*answers, np.array([crf.n_vertices, crf.free_energy(values, values)])]


CASES = [
    a_picture,
    long_rows,
    short_rows,
    long_keys,
    mixed_labels,
    labels_left_out,
    labels_that_come_back,
    many_labels,
    a_batch,
    damping_and_an_early_end,
    parts_of_a_model,
]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__.replace("_", " "))


def assert_same_bits(answers, expected):
    for answer, one in zip(answers, expected, strict=True):
        assert_array_equal(answer, one)


@pytest.fixture
def set_order(twin):
    core = _build.cuda_module()
    yield core.set_order
    core.set_order("forwards")


@every_case
@pytest.mark.parametrize("order", ["backwards", "scattered"])
def test_the_order_in_which_threads_run_changes_no_bit(order, case, twin, set_order):
    expected = case(twin)
    set_order(order)
    assert_same_bits(case(twin), expected)


@one_library
@every_case
def test_every_run_has_the_same_bits(case, gpu):
    expected = case(gpu)
    for _ in range(2):
        assert_same_bits(case(gpu), expected)


@every_case
@pytest.mark.parametrize("fill", [0x00, 0x7F, 0xFF])  # zeros; large numbers and what looks like rows; NaN and -1
def test_what_memory_held_before_changes_no_bit(fill, case, twin, monkeypatch):
    expected = case(twin)
    Ledger(twin, monkeypatch).fill = fill
    assert_same_bits(case(twin), expected)


def test_the_library_changes_no_bit(twin, monkeypatch):
    for case in CASES:
        expected = case(twin)
        with monkeypatch.context() as patched:
            assert_same_bits(case(twin_behind_torch(patched)), expected)
