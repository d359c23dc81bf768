"""What an image may be: its dtype and range, grey or of many channels, `channel_axis`, tiny ones, Pillow's."""

import numpy as np
import pytest
from inputs import GREY_TERMS, HEIGHT, LABELS, REFINES, TERMS, WIDTH, picture, probabilities, refine
from numpy.testing import assert_allclose, assert_array_equal

import densecrf
from densecrf import Bilateral


def two_halves(left, right):
    image = np.empty((HEIGHT, WIDTH), bool if isinstance(left, bool) else np.int16)
    image[:, : WIDTH // 2], image[:, WIDTH // 2 :] = left, right
    return image


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "<i2", ">i2", "i4", "u4", "i8", "u8", "f2", "f4", ">f4", "f8"])
def test_values_from_0_to_255_mean_the_same_in_every_dtype(dtype, expected):
    assert_array_equal(refine(picture().astype(dtype), probabilities()), expected)


@pytest.mark.parametrize("dtype", ["f4", ">f4", "f8"])
def test_a_float_image_from_0_to_1_equals_the_uint8_image(dtype, expected):
    image = (picture() / 255).astype(dtype)
    assert image.max() == 1
    assert_allclose(refine(image, probabilities()), expected, rtol=0, atol=1e-4)


def test_a_float16_image_from_0_to_1_counts_as_the_float32_image_of_its_values():
    image = (picture() / 255).astype(np.float16)
    result = refine(image, probabilities())
    assert_allclose(result, refine(image.astype(np.float32), probabilities()), rtol=0, atol=1e-6)


def test_a_bool_image_is_black_and_white():
    image = two_halves(False, True)
    result = refine(image, probabilities(), GREY_TERMS)
    assert_array_equal(result, refine(np.where(image, np.uint8(255), np.uint8(0)), probabilities(), GREY_TERMS))
    assert np.abs(result - refine(image.astype(np.uint8), probabilities(), GREY_TERMS)).max() > 0.05


def test_integers_stand_for_themselves_however_large(expected):
    image = picture().astype(np.uint16) * 257
    assert image.max() == 65535
    assert np.abs(refine(image, probabilities()) - expected).max() > 0.05
    shifted = picture().astype(np.uint16) * 256
    terms = [TERMS[0], Bilateral(6, (30 * 256, 40 * 256, 50 * 256), 2)]
    assert_array_equal(refine(shifted, probabilities(), terms), expected)


def test_integers_stand_for_themselves_below_zero_too():
    """Only differences of colours matter: exactly so in the reference, up to the lattice's grain in refine."""
    image = two_halves(-200, -100)
    shifted, flat = two_halves(0, 100), two_halves(0, 0)
    assert (image.dtype, image.min()) == (np.int16, -200)

    def exact(image):
        return densecrf.reference.refine(image, probabilities(), terms=GREY_TERMS, iterations=3)

    assert_allclose(exact(image), exact(shifted), rtol=0, atol=1e-6)
    result = refine(image, probabilities(), GREY_TERMS)
    assert np.abs(result - refine(shifted, probabilities(), GREY_TERMS)).max() < 0.03
    assert np.abs(result - refine(flat, probabilities(), GREY_TERMS)).max() > 0.05


@pytest.mark.parametrize("function", REFINES)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_grey_image_is_one_of_one_channel(dtype, function):
    grey = picture(HEIGHT, WIDTH).astype(dtype)
    result = function(grey, probabilities(), terms=GREY_TERMS)
    assert_array_equal(result, function(grey[:, :, np.newaxis], probabilities(), terms=GREY_TERMS))
    assert np.abs(result - function(grey[::-1], probabilities(), terms=GREY_TERMS)).max() > 0.05


@pytest.mark.parametrize("channel", range(8))
def test_each_of_eight_channels_counts_in_units_of_its_own_sigma(channel):
    flat = np.full((HEIGHT, WIDTH, 8), 100, np.uint8)
    edge = flat.copy()
    edge[:, WIDTH // 2 :, channel] = 200

    def effect(sigma):
        sigmas = [50.0] * 8
        sigmas[channel] = sigma
        terms = [Bilateral(6, sigmas, 4)]
        return np.abs(refine(edge, probabilities(), terms) - refine(flat, probabilities(), terms)).max()

    assert effect(20) > 0.05
    assert effect(5000) < 0.005
    one_for_all, one_each = ([Bilateral(6, srgb, 4)] for srgb in (20, (20,) * 8))
    assert_array_equal(refine(edge, probabilities(), one_for_all), refine(edge, probabilities(), one_each))


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_channel_axis_says_where_the_channels_are(axis, expected):
    image = np.moveaxis(picture(), -1, axis).copy()
    assert_array_equal(refine(image, probabilities(), channel_axis=axis), expected)


@pytest.mark.parametrize("axis", [1, 2, 3, -1, -2, -3])
def test_channel_axis_counts_the_batch_axis(axis):
    images, batch = picture(2, HEIGHT, WIDTH, 3), probabilities(2, LABELS, HEIGHT, WIDTH)
    moved = np.moveaxis(images, -1, axis).copy()
    assert_array_equal(refine(moved, batch, channel_axis=axis), refine(images, batch))


def test_channel_axis_settles_an_ambiguous_shape():
    image, probs = picture(3, 3, 3), probabilities(2, 3, 3)
    last = refine(image, probs, channel_axis=-1)
    first = refine(np.moveaxis(image, -1, 0), probs, channel_axis=0)
    assert_array_equal(first, last)
    assert np.abs(last - refine(image, probs, channel_axis=0)).max() > 0.01


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 1), (1, 1, 3), (1, 7), (1, 7, 1), (7, 1), (7, 1, 1), (1, 7, 3)])
def test_pictures_may_be_a_row_a_column_or_a_single_pixel(shape):
    probs = probabilities(LABELS, *shape[:2])
    result = refine(picture(*shape), probs, GREY_TERMS)
    assert result.shape == probs.shape
    assert_allclose(result.sum(axis=0), 1, atol=1e-6)
    assert_array_equal(result, refine(picture(*shape), probs, GREY_TERMS, channel_axis=-1 if len(shape) == 3 else None))


@pytest.mark.parametrize(("mode", "shape"), [("RGB", (HEIGHT, WIDTH, 3)), ("L", (HEIGHT, WIDTH))])
def test_a_pillow_image_is_taken_as_it_is(mode, shape):
    image_module = pytest.importorskip("PIL.Image")
    terms = TERMS if mode == "RGB" else GREY_TERMS
    array = picture(*shape)
    opened = image_module.fromarray(array)
    assert opened.mode == mode
    result = refine(opened, probabilities(), terms)
    assert type(result) is np.ndarray
    assert_array_equal(result, refine(array, probabilities(), terms))
    assert_array_equal(np.asarray(opened), array)


def test_a_black_and_white_pillow_image_is_black_and_white():
    image_module = pytest.importorskip("PIL.Image")
    array = picture(HEIGHT, WIDTH) > 127
    result = refine(image_module.fromarray(array), probabilities(), GREY_TERMS)
    assert_array_equal(result, refine(array, probabilities(), GREY_TERMS))
