"""Models under threads, copied, and with what they were built from changed."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from inputs import scene
from models import IMAGE, LABELS, MIXED, SHAPE, TERMS, UNARY, unaries
from numpy.testing import assert_array_equal

from densecrf import Bilateral, DenseCRF, Features, Gaussian

# ---- threads, copies ----------------------------------------------------------------------------------------


def test_eight_threads_at_once_get_the_bits_of_eight_calls_in_turn():
    inputs, crf = unaries(24), DenseCRF(IMAGE, LABELS, TERMS)
    expected = [crf.infer(unary, 6, damping=0.1) for unary in inputs]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda unary: crf.infer(unary, 6, damping=0.1), inputs))
        filtered = list(pool.map(lambda unary: crf.filter(unary, 1), inputs))
        messages = list(pool.map(crf.message, inputs))
    for answer, one in zip(answers, expected, strict=True):
        assert_array_equal(answer, one)
    for unary, values, message in zip(inputs, filtered, messages, strict=True):
        assert_array_equal(values, crf.filter(unary, 1))
        assert_array_equal(message, crf.message(unary))


def test_every_number_of_threads_gives_the_same_bits():
    image, logits = scene(200, 300, 3)  # several partitions
    unary, ones = -logits / 8, np.ones((3, 200, 300), np.float32)
    terms = (
        Gaussian(2.3, 0.7, "after"),
        Bilateral(17, 23, [[1, -0.5, 0], [-0.5, 1, 0.2], [0, 0.2, 1]]),
        Gaussian((31, 23), (0.5, 0.4, 0.3), "before"),
    )

    def answers(threads):
        model = DenseCRF(image, 3, terms, num_threads=threads)
        q, ran = model.infer(unary, 4, damping=0.2, tolerance=1e-6, return_iterations=True)
        yield from (q, np.array(ran), model.infer(unary, 4), model.message(q), model.filter(ones, 1))
        yield np.array(model.energy(unary, q.argmax(axis=0)))

    one = list(answers(1))
    for threads in (2, 5, 16):
        for answer, expected in zip(answers(threads), one, strict=True):
            assert_array_equal(answer, expected)


COPIES = [
    pytest.param(lambda model: pickle.loads(pickle.dumps(model)), id="pickle"),
    pytest.param(copy.deepcopy, id="deepcopy"),
    pytest.param(copy.copy, id="copy"),
]


@pytest.mark.parametrize("again", COPIES)
def test_a_copy_of_a_model_gives_the_same_bits(again):
    features = np.random.default_rng(8).normal(size=(3, SHAPE[0] * SHAPE[1]))
    terms = [*MIXED, Features(features, np.eye(LABELS) - 0.1), Gaussian(2, (0.1, 0.2, 0.3, -0.4))]
    model = DenseCRF(IMAGE, LABELS, terms, num_threads=2)
    other = again(model)
    assert (other.shape, other.n_labels, other.n_vertices) == (model.shape, model.n_labels, model.n_vertices)
    assert_array_equal(other.infer(UNARY, 4), model.infer(UNARY, 4))
    assert_array_equal(other.filter(UNARY, 3), model.filter(UNARY, 3))


@pytest.mark.parametrize("again", COPIES)
def test_a_copy_keeps_the_channel_axis_and_the_preset(again):
    image = np.moveaxis(IMAGE, -1, 0)
    other = again(DenseCRF(image, LABELS, preset="irn", channel_axis=0))
    assert_array_equal(other.infer(UNARY, 4), DenseCRF(IMAGE, LABELS, preset="irn").infer(UNARY, 4))


def test_a_model_stays_as_it_was_built_when_the_image_and_the_list_of_terms_change():
    image, terms = IMAGE.copy(), list(TERMS)
    model = DenseCRF(image, LABELS, terms)
    other = DenseCRF(IMAGE, LABELS, TERMS)
    expected = other.infer(UNARY, 4), other.filter(UNARY, 1)
    image[...] = 0
    terms.pop()
    assert_array_equal(model.infer(UNARY, 4), expected[0])
    assert_array_equal(model.filter(UNARY, 1), expected[1])
    assert_array_equal(pickle.loads(pickle.dumps(model)).infer(UNARY, 4), expected[0])


def test_a_mean_field_stays_with_the_unary_it_was_started_with(crf):
    unary = UNARY.copy()
    field = crf.start(unary)
    unary[...] = 0
    assert_array_equal(field.step(3), crf.infer(UNARY, 3))


def test_writing_to_marginals_that_were_handed_out_does_not_change_a_mean_field(crf):
    field = crf.start(UNARY)
    field.step(2)[...] = 0
    assert_array_equal(field.step(1), crf.infer(UNARY, 3))
