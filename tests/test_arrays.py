"""NumPy arrays of every layout and dtype, one picture or a batch; and that inputs are left alone."""

import numpy as np
import pytest
from inputs import (
    GREY_TERMS,
    HEIGHT,
    LABELS,
    LAYOUTS,
    REFINES,
    TERMS,
    WIDTH,
    address,
    picture,
    probabilities,
    read_only,
    refine,
)
from numpy.testing import assert_array_equal


def test_the_arrays_of_these_tests_tell_mistakes_apart(expected):
    """Everything below compares with `expected`; it must not be an answer that anything would give."""
    others = {
        "no terms": refine(picture(), probabilities(), terms=[]),
        "channels exchanged": refine(picture()[:, :, ::-1], probabilities()),
        "picture upside down": refine(picture()[::-1], probabilities()),
        "picture mirrored": refine(picture()[:, ::-1], probabilities()),
        "labels exchanged": refine(picture(), probabilities()[::-1]),
        "sixteen times the contrast": refine(picture().astype(np.uint16) * 16, probabilities()),
    }
    for name, other in others.items():
        assert np.abs(other - expected).max() > 0.05, name


# ---- layouts and dtypes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_probabilities_may_have_any_layout(layout, expected):
    probs = layout(probabilities())
    assert_array_equal(probs, probabilities())
    result = refine(picture(), probs)
    assert_array_equal(result, expected)
    assert result.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.int16])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_may_have_any_layout(layout, dtype, expected):
    image = layout(picture().astype(dtype))
    assert_array_equal(image, picture())
    assert_array_equal(refine(image, probabilities()), expected)


def test_images_and_probabilities_may_be_crops_of_larger_ones(expected):
    image = np.zeros((20, 20, 5), np.uint8)
    probs = np.zeros((6, 20, 20), np.float32)
    image[3 : 3 + HEIGHT, 4 : 4 + WIDTH, 1:4] = picture()
    probs[1 : 1 + LABELS, 3 : 3 + HEIGHT, 4 : 4 + WIDTH] = probabilities()
    cropped = np.s_[3 : 3 + HEIGHT, 4 : 4 + WIDTH]
    assert_array_equal(refine(image[cropped][..., 1:4], probs[(slice(1, 1 + LABELS), *cropped)]), expected)


def test_an_image_may_be_one_colour_broadcast_over_all_pixels():
    colour = np.array([10, 200, 30], np.uint8)
    flat = np.broadcast_to(colour, (HEIGHT, WIDTH, 3))
    assert_array_equal(refine(flat, probabilities()), refine(flat.copy(), probabilities()))


@pytest.mark.parametrize("function", REFINES)
@pytest.mark.parametrize("dtype", ["<f2", ">f2", "<f4", ">f4", "<f8", ">f8", "g"])
def test_the_result_has_the_dtype_of_probs_and_is_that_of_float32(dtype, function):
    probs = probabilities().astype(dtype)
    result = function(picture(), probs, terms=TERMS, iterations=3)
    assert type(result) is np.ndarray
    assert result.dtype == np.dtype(dtype)
    assert result.shape == probs.shape
    single = function(picture(), probs.astype(np.float32), terms=TERMS, iterations=3)
    assert_array_equal(result, single.astype(dtype))
    assert np.abs(single - probs).max() > 0.05


def test_the_result_is_a_new_writable_array():
    probs = probabilities()
    for iterations in (0, 1):
        result = refine(picture(), probs, iterations=iterations)
        assert result.flags.writeable
        assert result.flags.owndata or result.base.flags.owndata
        assert not np.may_share_memory(result, probs)


def test_a_memory_mapped_file_can_be_read(tmp_path, expected):
    for name, array in {"image": picture(), "probs": probabilities()}.items():
        np.save(tmp_path / f"{name}.npy", array)
    image = np.load(tmp_path / "image.npy", mmap_mode="r")
    probs = np.load(tmp_path / "probs.npy", mmap_mode="r")
    assert_array_equal(refine(image, probs), expected)


def test_float32_probabilities_and_uint8_images_are_read_where_they_lie(core_calls):
    image, probs = read_only(picture()), read_only(probabilities())
    refine(image, probs)
    assert [(call["image"], call["probs"]) for call in core_calls] == [(address(image), address(probs))]


def test_a_batch_is_read_where_it_lies(core_calls):
    images, batch = picture(2, HEIGHT, WIDTH, 3), probabilities(2, LABELS, HEIGHT, WIDTH)
    refine(images, batch)
    assert {(call["image"], call["probs"]) for call in core_calls} == {
        (address(images[b]), address(batch[b])) for b in range(2)
    }


# ---- batches ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", REFINES)
@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_a_batch_equals_a_loop(channels, size, function):
    images = picture(size, HEIGHT, WIDTH, *channels)
    batch = probabilities(size, LABELS, HEIGHT, WIDTH)
    result = function(images, batch, terms=GREY_TERMS)
    assert result.shape == batch.shape
    loop = [function(image, probs, terms=GREY_TERMS) for image, probs in zip(images, batch, strict=True)]
    assert_array_equal(result, np.stack(loop))


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_a_batch_of_images_that_are_not_uint8_equals_a_loop(dtype):
    images = picture(2, HEIGHT, WIDTH, 3).astype(dtype)
    images[1] //= 2
    batch = probabilities(2, LABELS, HEIGHT, WIDTH)
    loop = [refine(image, probs) for image, probs in zip(images, batch, strict=True)]
    assert_array_equal(refine(images, batch), np.stack(loop))


# ---- what is left alone -------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", REFINES)
@pytest.mark.parametrize("image_dtype", ["u1", "?", "i2", "f2", "f4", ">f4", "f8"])
@pytest.mark.parametrize("probs_dtype", ["f2", "f4", ">f4", "f8"])
def test_inputs_are_never_modified(probs_dtype, image_dtype, function):
    image = picture() > 127 if image_dtype == "?" else picture().astype(image_dtype)
    probs = probabilities().astype(probs_dtype)
    probs[:, 0, 0] = 0, 1, 0, 0  # below the clip
    before = image.copy(), probs.copy()
    for options in ({}, {"from_logits": True}, {"iterations": 0}, {"out": np.empty_like(probs)}):
        function(image, probs, terms=TERMS, **options)
        assert_array_equal(image, before[0])
        assert_array_equal(probs, before[1])


def test_a_float_image_from_0_to_1_is_not_scaled_in_place():
    image = (picture() / 255).astype(np.float32)
    before = image.copy()
    refine(image, probabilities())
    assert_array_equal(image, before)


def test_the_list_of_terms_is_not_modified():
    terms = list(TERMS)
    refine(picture(), probabilities(), terms)
    assert terms == TERMS
