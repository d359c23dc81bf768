"""`refine` on a GPU: the same answer as on the CPU, whatever the picture, the labels and the sigmas."""

import numpy as np
import pytest
from gpus import assert_as_on_the_cpu, on_gpu, one_library
from inputs import NORMALIZATIONS, picture, probabilities, scene, softmax
from numpy.testing import assert_allclose

import densecrf
from densecrf import Bilateral, DenseCRF, Gaussian

TERMS = [Gaussian((2, 3), 1), Bilateral(20, 14, 1)]  # channels of any number


def sure(height, width, labels, **options):
    """A picture, and probabilities of a network that is sure of itself."""
    image, logits = scene(height, width, labels, **options)
    return image, softmax(logits)


@pytest.mark.parametrize("preset", densecrf.presets)
def test_every_preset_gives_the_answer_of_the_cpu(preset, gpu):
    assert_as_on_the_cpu(gpu, *sure(40, 53, 5), preset=preset)


@one_library
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_every_normalization_gives_the_answer_of_the_cpu(normalization, gpu):
    terms = [Gaussian((2, 3), 1, normalization), Bilateral(20, (10, 12, 14), 1, normalization)]
    assert_as_on_the_cpu(gpu, *sure(30, 41, 4), terms=terms)


# ---- sigmas -------------------------------------------------------------------------------------------------

SHARP = [Gaussian(0.3, 1), Bilateral(0.5, 0.7, 1)]
WIDE = [Gaussian(3000, 1), Bilateral(4000, 5000, 1)]  # all points around a handful of vertices


@one_library
@pytest.mark.parametrize("scale", [0.5, 1, 3, 10, 30, 100])
def test_every_sigma_gives_the_answer_of_the_cpu(scale, gpu):
    terms = [Gaussian(scale, 1), Bilateral(3 * scale, 2 * scale, 1)]
    assert_as_on_the_cpu(gpu, *sure(45, 50, 4), terms=terms)


@one_library
def test_points_that_share_no_vertex_give_the_answer_of_the_cpu(gpu):
    image, probs = sure(30, 31, 4)
    assert DenseCRF(image, 4, SHARP).n_vertices > 5 * 30 * 31
    assert_as_on_the_cpu(gpu, image, probs, terms=SHARP)


@one_library
@pytest.mark.parametrize("size", [(7, 9), (8, 8), (5, 13), (64, 64), (70, 80)], ids=str)
def test_vertices_that_hear_every_point_give_the_answer_of_the_cpu(size, gpu):
    assert DenseCRF(sure(*size, 3)[0], 3, WIDE).n_vertices <= 30
    for labels in (3, 9):
        assert_as_on_the_cpu(gpu, *sure(*size, labels), terms=WIDE)


@one_library
@pytest.mark.parametrize("count", [63, 64, 65, 127, 128, 129, 4096, 4097])
def test_a_vertex_may_hear_any_number_of_points(count, gpu):
    probs = np.random.default_rng(0).dirichlet(np.ones(3), size=(1, count)).astype(np.float32)
    assert_as_on_the_cpu(gpu, picture(1, count, 1), np.moveaxis(probs, -1, 0), terms=[Gaussian(1e5, 0.7)])


# ---- labels -------------------------------------------------------------------------------------------------


@one_library
@pytest.mark.parametrize("labels", [1, 2, 3, 4, 5, 8, 9, 21, 40, 200])
def test_any_number_of_labels_gives_the_answer_of_the_cpu(labels, gpu):
    assert_as_on_the_cpu(gpu, *sure(17, 19, labels), terms=TERMS)


@one_library
@pytest.mark.parametrize("labels", [1534, 1535, 6142, 6143, 12286, 12287, 13000])
@pytest.mark.parametrize("size", [(1, 1), (2, 3)], ids=str)
def test_more_labels_than_a_block_has_memory_for_give_the_answer_of_the_cpu(size, labels, gpu):
    terms = [Gaussian(1, 1), Bilateral(2, 100, 2)]
    assert_as_on_the_cpu(gpu, picture(*size, 3), probabilities(labels, *size), terms=terms, iterations=3)


@one_library
def test_an_even_choice_among_many_labels_stays_even(gpu):
    probs = np.full((13000, 2, 2), 1 / 13000, np.float32)
    q = on_gpu(gpu, densecrf.refine, picture(2, 2), probs, terms=[Gaussian(1, 1)], iterations=2)
    assert_allclose(q, probs, rtol=1e-3, atol=0)


@one_library
@pytest.mark.parametrize("likely", [0, 4096])
def test_marginals_of_thousands_of_labels_add_up_to_one(likely, gpu):
    """Most labels are too small to be seen in a sum that is near one already."""
    probs = np.full((4097, 3, 3), 1e-5, np.float32)
    probs[likely] = 1 - 4096e-5
    for iterations in (0, 1):
        q = on_gpu(gpu, densecrf.refine, picture(3, 3), probs, terms=[Gaussian(1, 1)], iterations=iterations)
        assert_allclose(q.sum(axis=0, dtype=np.float64), 1, rtol=0, atol=2e-5)


# ---- pictures -----------------------------------------------------------------------------------------------


@one_library
@pytest.mark.parametrize("channels", [1, 2, 3, 10, 20, 29, 30])
def test_any_number_of_channels_gives_the_answer_of_the_cpu(channels, gpu):
    terms = [Gaussian(2, 1), Bilateral(20, 60, 1), Bilateral(2, 3, 0.5)]
    assert_as_on_the_cpu(gpu, *sure(15, 16, 4, channels=channels), terms=terms)


def test_a_picture_without_channels_gives_the_answer_of_the_cpu(gpu):
    image, probs = sure(20, 23, 4, channels=1)
    assert_as_on_the_cpu(gpu, image[..., 0], probs, terms=TERMS)


@one_library
@pytest.mark.parametrize(
    "size",
    [(1, 1), (1, 2), (1, 40), (40, 1), (3, 5), (1, 31), (1, 33), (16, 16), (1, 255), (257, 1), (19, 27)],
    ids=str,
)
def test_pictures_of_every_size_give_the_answer_of_the_cpu(size, gpu):
    assert_as_on_the_cpu(gpu, *sure(*size, 5), terms=TERMS)


DTYPES = ["uint8", "bool", "int16", "uint16", "int32", "int64", "float16", "float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_images_of_every_dtype_give_the_answer_of_the_cpu(dtype, gpu):
    image, probs = sure(14, 15, 4)
    image = image > 120 if dtype == "bool" else image.astype(dtype)
    assert_as_on_the_cpu(gpu, image, probs, terms=TERMS)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_from_0_to_1_are_taken_for_0_to_255(dtype, gpu):
    image, probs = sure(14, 15, 4)
    scaled = (image / 255).astype(dtype)
    expected = assert_as_on_the_cpu(gpu, scaled, probs, terms=TERMS)
    plain = densecrf.refine(image, probs, terms=TERMS)
    assert np.abs(expected - plain).max() < (0.02 if dtype == "float16" else 1e-3)


@pytest.mark.parametrize(("dtype", "factor"), [("int16", -100), ("uint16", 257), ("int32", 100_000)])
def test_integers_of_any_range_stand_for_themselves(dtype, factor, gpu):
    image, probs = sure(14, 15, 4)
    terms = [Gaussian(2, 1), Bilateral(20, 14.0 * abs(factor), 1)]
    assert_as_on_the_cpu(gpu, image.astype(dtype) * np.dtype(dtype).type(factor), probs, terms=terms)


def test_a_black_picture_gives_the_answer_of_the_cpu(gpu):
    _, probs = sure(14, 15, 4)
    for dtype in (np.uint8, np.int32, np.float32):
        assert_as_on_the_cpu(gpu, np.zeros((14, 15, 3), dtype), probs, terms=TERMS)


# ---- scores -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("from_logits", [False, True])
def test_scores_of_every_dtype_give_the_answer_of_the_cpu_in_that_dtype(from_logits, dtype, gpu):
    image, logits = scene(14, 15, 4)
    scores = (logits if from_logits else softmax(logits)).astype(dtype)
    assert_as_on_the_cpu(gpu, image, scores, terms=TERMS, from_logits=from_logits)


@one_library
@pytest.mark.parametrize("iterations", [0, 1, 2, 10, 25])
@pytest.mark.parametrize("from_logits", [False, True])
def test_any_number_of_iterations_gives_the_answer_of_the_cpu(from_logits, iterations, gpu):
    image, logits = scene(21, 26, 5)
    scores = logits if from_logits else softmax(logits)
    assert_as_on_the_cpu(gpu, image, scores, terms=TERMS, iterations=iterations, from_logits=from_logits)


@one_library
@pytest.mark.parametrize("size", [50.0, 1e4, 1e30, 3e38])
def test_huge_logits_give_the_answer_of_the_cpu(size, gpu):
    image, logits = scene(12, 13, 5)
    huge = np.where(logits == logits.max(axis=0), size, -size).astype(np.float32)
    huge[:, ::3] = logits[:, ::3]
    assert_as_on_the_cpu(gpu, image, huge, terms=TERMS, from_logits=True)


@one_library
@pytest.mark.parametrize("size", [-1e3, 1e3, 1e5, 1e30])
def test_labels_that_are_all_as_huge_still_listen_to_their_neighbours(size, gpu):
    image, logits = scene(12, 13, 5)
    huge = np.where(np.arange(13) % 3 == 0, np.float32(size), logits).astype(np.float32)
    assert_as_on_the_cpu(gpu, image, huge, terms=TERMS, from_logits=True)


@one_library
@pytest.mark.parametrize("offset", [-4096, 512, 65536])
def test_logits_of_any_offset_give_the_answer_of_the_cpu(offset, gpu):
    image, logits = scene(12, 13, 5)
    assert_as_on_the_cpu(gpu, image, logits / 4 + np.float32(offset), terms=TERMS, from_logits=True)


@one_library
def test_probabilities_of_nothing_but_zeros_and_ones_give_the_answer_of_the_cpu(gpu):
    image, probs = sure(20, 21, 5)
    certain = (probs == probs.max(axis=0)).astype(np.float32)
    assert_as_on_the_cpu(gpu, image, certain, terms=TERMS)
    zeros_only_here = np.where(np.arange(21) < 10, certain, probs).astype(np.float32)
    assert_as_on_the_cpu(gpu, image, zeros_only_here, terms=TERMS)
