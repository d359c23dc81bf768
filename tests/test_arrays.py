"""What goes in and what comes out: libraries, dtypes, layouts, axes, batches, `out`; and what is left alone."""

import subprocess
import sys
import types

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import densecrf
from densecrf import Bilateral, Gaussian, _core

LABELS, HEIGHT, WIDTH = 4, 12, 9
TERMS = [Gaussian(1, 1), Bilateral(6, (30, 40, 50), 2)]  # neither axes nor channels can be exchanged unnoticed
GREY_TERMS = [Gaussian(1, 1), Bilateral(6, 40, 4)]

REFINES = [
    pytest.param(densecrf.refine, id="refine"),
    pytest.param(densecrf.reference.refine, id="reference.refine"),
]


def picture(*shape):
    """Random colours, 0..255 with both ends in it; (H, W, 3) unless told otherwise."""
    values = np.random.default_rng(1).integers(0, 256, shape or (HEIGHT, WIDTH, 3)).astype(np.uint8)
    values.flat[:2] = 0, 255
    return values


def probabilities(*shape):
    """Softly decided pixels, which the terms can still turn over; (L, H, W) unless told otherwise."""
    scores = np.exp(np.random.default_rng(2).normal(size=shape or (LABELS, HEIGHT, WIDTH)))
    return (scores / scores.sum(axis=-3, keepdims=True)).astype(np.float32)


def two_halves(left, right):
    image = np.empty((HEIGHT, WIDTH), bool if isinstance(left, bool) else np.int16)
    image[:, : WIDTH // 2], image[:, WIDTH // 2 :] = left, right
    return image


def refine(image, probs, terms=TERMS, iterations=3, **options):
    return densecrf.refine(image, probs, terms=terms, iterations=iterations, **options)


@pytest.fixture(scope="module")
def expected():
    """The answer for `picture()` and `probabilities()`, every one of the plainest layout."""
    return refine(picture(), probabilities())


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def core_calls(monkeypatch):
    """Where the arrays lie that the compiled core is given: one dict of addresses a call."""
    calls = []
    infer = _core.infer

    def spy(scores, shape, picture, *rest):
        calls.append({"probs": address(scores), "image": address(picture), "out": address(rest[-1])})
        return infer(scores, shape, picture, *rest)

    monkeypatch.setattr(_core, "infer", spy)
    return calls


def address(array):
    return array.__array_interface__["data"][0]


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


# ---- NumPy: layouts and dtypes ------------------------------------------------------------------------------


def fortran(array):
    return np.asfortranarray(array)


def backwards(array):
    return array[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1]


def every_other(array):
    wide = np.zeros(tuple(2 * size + 1 for size in array.shape), array.dtype)
    view = wide[tuple(slice(1, None, 2) for _ in array.shape)]
    view[...] = array
    return view


def last_axis_moved_first(array):
    return np.moveaxis(np.moveaxis(array, 0, -1).copy(), -1, 0)


def first_axis_moved_last(array):
    return np.moveaxis(np.moveaxis(array, -1, 0).copy(), 0, -1)


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def unaligned(array):
    memory = np.zeros(array.nbytes + 1, np.uint8)
    view = memory[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def one_field_of_records(array):
    records = np.zeros(array.shape, [("other", np.uint8), ("values", array.dtype)])
    records["values"] = array
    return records["values"]


LAYOUTS = [
    fortran,
    backwards,
    every_other,
    last_axis_moved_first,
    first_axis_moved_last,
    read_only,
    unaligned,
    one_field_of_records,
]


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
    assert [(call["image"], call["probs"]) for call in core_calls] == [
        (address(images[b]), address(batch[b])) for b in range(2)
    ]


# ---- images -------------------------------------------------------------------------------------------------


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


# ---- torch --------------------------------------------------------------------------------------------------


def torch_image(torch, image):
    """(H, W, C) to torch's (C, H, W)."""
    return torch.from_numpy(np.moveaxis(image, -1, -3).copy())


@pytest.mark.parametrize("function", REFINES)
@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64"])
def test_torch_probabilities_come_back_as_a_tensor_of_their_dtype(name, function, torch):
    probs = torch.from_numpy(probabilities()).to(getattr(torch, name))
    result = function(torch_image(torch, picture()), probs, terms=TERMS, iterations=3)
    assert type(result) is torch.Tensor
    assert result.dtype == probs.dtype
    assert result.shape == probs.shape
    assert result.device == probs.device
    single = function(picture(), probs.to(torch.float32).numpy(), terms=TERMS, iterations=3)
    assert torch.equal(result, torch.from_numpy(single).to(probs.dtype))


def test_float32_tensors_are_read_where_they_lie(torch, core_calls):
    image, probs = torch.from_numpy(picture()), torch.from_numpy(probabilities())
    refine(image, probs, channel_axis=-1)
    assert [(call["image"], call["probs"]) for call in core_calls] == [(image.data_ptr(), probs.data_ptr())]


@pytest.mark.parametrize("name", ["uint8", "uint16", "int16", "int32", "int64", "float16", "bfloat16", "float64"])
def test_torch_images_may_have_any_dtype(name, torch):
    image = picture() // 2 * 2  # bfloat16 holds even numbers up to 512
    tensor = torch_image(torch, image).to(getattr(torch, name))
    assert_array_equal(refine(tensor, probabilities()), refine(image, probabilities()))


def test_a_torch_image_from_0_to_1_equals_the_uint8_image(torch, expected):
    image = torch_image(torch, picture()).to(torch.float32) / 255
    assert_allclose(refine(image, probabilities()), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (1, HEIGHT, WIDTH)])
def test_a_grey_torch_image_may_have_its_channel_or_not(shape, torch):
    image = picture(HEIGHT, WIDTH)
    result = refine(torch.from_numpy(image.reshape(shape)), probabilities(), GREY_TERMS)
    assert_array_equal(result, refine(image, probabilities(), GREY_TERMS))


def test_a_torch_image_with_channels_last_needs_channel_axis(torch, expected):
    assert_array_equal(refine(torch.from_numpy(picture()), probabilities(), channel_axis=-1), expected)


def test_tensors_may_be_non_contiguous(torch, expected):
    image = torch.from_numpy(picture()).permute(2, 0, 1)
    probs = torch.from_numpy(np.moveaxis(probabilities(), 0, -1).copy()).permute(2, 0, 1)
    assert not image.is_contiguous()
    assert not probs.is_contiguous()
    assert_array_equal(refine(image, probs).numpy(), expected)


def test_batches_may_have_torchs_channels_last_memory_format(torch):
    images, batch = picture(2, HEIGHT, WIDTH, 3), probabilities(2, LABELS, HEIGHT, WIDTH)
    result = refine(
        torch_image(torch, images).to(memory_format=torch.channels_last),
        torch.from_numpy(batch).to(memory_format=torch.channels_last),
    )
    assert_array_equal(result.numpy(), refine(images, batch))


def test_tensors_may_be_expanded(torch):
    probs = torch.from_numpy(probabilities(LABELS, 1, 1)).expand(LABELS, HEIGHT, WIDTH)
    image = torch.from_numpy(picture(HEIGHT, WIDTH)).expand(3, HEIGHT, WIDTH)
    plain = refine(image.contiguous(), probs.contiguous())
    assert torch.equal(refine(image, probs), plain)


def test_tensors_with_a_pending_negation_are_read_right(torch, expected):
    minus = torch.complex(torch.zeros(LABELS, HEIGHT, WIDTH), -torch.from_numpy(probabilities()))
    probs = minus.conj().imag
    assert probs.is_neg()
    assert_array_equal(refine(picture(), probs).numpy(), expected)


def test_probabilities_that_require_grad_give_a_result_that_does_not(torch, expected):
    probs = torch.from_numpy(probabilities()).requires_grad_()
    result = refine(picture(), probs)
    assert not result.requires_grad
    assert result.grad_fn is None
    assert probs.requires_grad
    assert_array_equal(result.numpy(), expected)


def test_probabilities_out_of_a_network_can_be_used_as_they_are(torch):
    scores = torch.from_numpy(np.log(probabilities())).requires_grad_()
    probs = torch.softmax(scores, dim=0)
    result = refine(picture(), probs)
    assert_allclose(result.numpy(), refine(picture(), probs.detach().numpy()), rtol=0, atol=0)
    probs[0].sum().backward()
    assert scores.grad is not None


def test_a_parameter_gives_a_plain_tensor(torch, expected):
    result = refine(picture(), torch.nn.Parameter(torch.from_numpy(probabilities())))
    assert type(result) is torch.Tensor
    assert_array_equal(result.numpy(), expected)


@pytest.mark.parametrize("mode", ["no_grad", "inference_mode"])
def test_torchs_modes_without_grad_change_nothing(mode, torch, expected):
    with getattr(torch, mode)():
        result = refine(torch_image(torch, picture()), torch.softmax(torch.from_numpy(np.log(probabilities())), dim=0))
    assert_allclose(result.numpy(), expected, atol=1e-5)


def test_the_library_of_probs_decides_whatever_the_image_is(torch, expected):
    from_torch = refine(picture(), torch.from_numpy(probabilities()))
    assert type(from_torch) is torch.Tensor
    assert_array_equal(from_torch.numpy(), expected)
    from_numpy = refine(torch_image(torch, picture()), probabilities())
    assert type(from_numpy) is np.ndarray
    assert_array_equal(from_numpy, expected)


def test_a_pillow_image_goes_with_torch_probabilities(torch, expected):
    image_module = pytest.importorskip("PIL.Image")
    result = refine(image_module.fromarray(picture()), torch.from_numpy(probabilities()))
    assert type(result) is torch.Tensor
    assert_array_equal(result.numpy(), expected)


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


@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_a_batch_of_tensors_equals_a_loop(channels, torch):
    images = torch.from_numpy(picture(2, *channels, HEIGHT, WIDTH))
    batch = torch.from_numpy(probabilities(2, LABELS, HEIGHT, WIDTH))
    result = refine(images, batch, GREY_TERMS)
    assert result.shape == batch.shape
    assert torch.equal(result, torch.stack([refine(images[b], batch[b], GREY_TERMS) for b in range(2)]))


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_a_batch_of_images_that_are_not_uint8_equals_a_loop(dtype):
    images = picture(2, HEIGHT, WIDTH, 3).astype(dtype)
    images[1] //= 2
    batch = probabilities(2, LABELS, HEIGHT, WIDTH)
    loop = [refine(image, probs) for image, probs in zip(images, batch, strict=True)]
    assert_array_equal(refine(images, batch), np.stack(loop))


# ---- out ----------------------------------------------------------------------------------------------------


def filled_with_nonsense(array):
    array[...] = -7
    return array


@pytest.mark.parametrize("function", REFINES)
@pytest.mark.parametrize("dtype", ["f2", "f4", ">f4", "f8"])
def test_out_is_filled_and_returned(dtype, function):
    probs = probabilities().astype(dtype)
    out = filled_with_nonsense(np.empty_like(probs))
    assert function(picture(), probs, terms=TERMS, out=out) is out
    assert_array_equal(out, function(picture(), probs, terms=TERMS))


@pytest.mark.parametrize("function", REFINES)
@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64"])
def test_an_out_tensor_is_filled_and_returned(name, function, torch):
    probs = torch.from_numpy(probabilities()).to(getattr(torch, name))
    out = torch.full_like(probs, -7)
    assert function(picture(), probs, terms=TERMS, out=out) is out
    assert torch.equal(out, function(picture(), probs, terms=TERMS))


def test_a_contiguous_float32_out_is_written_where_it_lies(core_calls):
    out = filled_with_nonsense(np.empty_like(probabilities()))
    refine(picture(), probabilities(), out=out)
    assert [call["out"] for call in core_calls] == [address(out)]


def test_a_contiguous_float32_out_tensor_is_written_where_it_lies(torch, core_calls):
    probs = torch.from_numpy(probabilities())
    out = torch.full_like(probs, -7)
    refine(picture(), probs, out=out)
    assert [call["out"] for call in core_calls] == [out.data_ptr()]


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if layout is not read_only])
def test_out_may_have_any_layout(layout, expected):
    out = filled_with_nonsense(layout(probabilities()))
    assert refine(picture(), probabilities(), out=out) is out
    assert_array_equal(out, expected)


def test_the_answer_does_not_depend_on_what_memory_held_before():
    """Not in the last bit, whatever the unused lanes of the core's vectors start out with."""
    image, probs = picture(1, 7), probabilities(LABELS, 1, 7)
    answers = set()
    for size in range(400):
        spoiled = np.full(16 * (1 + size % 50), (-1e38, 1e38, 3, np.nan)[size % 4], np.float32)
        del spoiled
        answers.add(refine(image, probs, GREY_TERMS, iterations=1).tobytes())
    assert len(answers) == 1


def test_only_the_elements_of_a_strided_out_are_written(expected):
    memory = np.full((LABELS, HEIGHT, 2 * WIDTH), -7, np.float32)
    refine(picture(), probabilities(), out=memory[:, :, ::2])
    assert_array_equal(memory[:, :, ::2], expected)
    assert_array_equal(memory[:, :, 1::2], -7)


def test_an_out_tensor_may_be_non_contiguous(torch, expected):
    out = torch.full((HEIGHT, WIDTH, LABELS), -7.0)
    view = out.permute(2, 0, 1)
    assert refine(picture(), torch.from_numpy(probabilities()), out=view) is view
    assert_array_equal(out.numpy(), np.moveaxis(expected, 0, -1))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_out_may_be_probs_itself(dtype):
    probs = probabilities().astype(dtype)
    separate = refine(picture(), probs)
    assert refine(picture(), probs, out=probs) is probs
    assert_array_equal(probs, separate)


@pytest.mark.parametrize("name", ["bfloat16", "float32"])
def test_out_may_be_the_tensor_of_probs_itself(name, torch):
    probs = torch.from_numpy(probabilities()).to(getattr(torch, name))
    separate = refine(picture(), probs)
    assert refine(picture(), probs, out=probs) is probs
    assert torch.equal(probs, separate)


@pytest.mark.parametrize("shift", [-1, 1, WIDTH])
def test_out_may_overlap_probs(shift, expected):
    memory = np.zeros(probabilities().size + 2 * WIDTH, np.float32)
    probs = memory[WIDTH:-WIDTH].reshape(probabilities().shape)
    probs[...] = probabilities()
    out = memory[WIDTH + shift :][: probs.size].reshape(probs.shape)
    refine(picture(), probs, out=out)
    assert_array_equal(out, expected)


def test_out_may_be_probs_upside_down(expected):
    probs = probabilities()
    out = probs[:, ::-1]
    assert refine(picture(), probs, out=out) is out
    assert_array_equal(probs[:, ::-1], expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_out_may_overlap_the_image(dtype, expected):
    memory = np.zeros(4 * probabilities().size, np.uint8)
    image = memory[: 3 * HEIGHT * WIDTH * np.dtype(dtype).itemsize].view(dtype).reshape(HEIGHT, WIDTH, 3)
    image[...] = picture()
    out = memory.view(np.float32).reshape(LABELS, HEIGHT, WIDTH)
    refine(image, probabilities(), out=out)
    assert_array_equal(out, expected)


def test_out_works_for_batches_even_when_it_is_probs_itself():
    images, batch = picture(2, HEIGHT, WIDTH, 3), probabilities(2, LABELS, HEIGHT, WIDTH)
    separate = refine(images, batch)
    out = filled_with_nonsense(np.empty_like(batch))
    assert refine(images, batch, out=out) is out
    assert_array_equal(out, separate)
    refine(images, batch, out=batch)
    assert_array_equal(batch, separate)


def test_out_may_be_a_memory_mapped_file(tmp_path, expected):
    out = np.lib.format.open_memmap(tmp_path / "out.npy", mode="w+", dtype=np.float32, shape=expected.shape)
    assert refine(picture(), probabilities(), out=out) is out
    out.flush()
    assert_array_equal(np.load(tmp_path / "out.npy"), expected)


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


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64"])
def test_tensors_are_never_modified(name, torch):
    image = torch_image(torch, picture()).to(getattr(torch, name)) / 255
    probs = torch.from_numpy(probabilities()).to(getattr(torch, name))
    before = image.clone(), probs.clone()
    for options in ({}, {"from_logits": True}, {"iterations": 0}, {"out": torch.empty_like(probs)}):
        refine(image, probs, **options)
        assert torch.equal(image, before[0])
        assert torch.equal(probs, before[1])


def test_the_list_of_terms_is_not_modified():
    terms = list(TERMS)
    refine(picture(), probabilities(), terms)
    assert terms == TERMS


# ---- torch is never imported for anyone ---------------------------------------------------------------------


def run(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_importing_densecrf_is_fast_and_does_not_import_torch():
    program = (
        "import sys, time; start = time.perf_counter(); import densecrf; "
        "print(time.perf_counter() - start, 'torch' in sys.modules)"
    )
    answers = [run(program) for _ in range(3)]
    assert {imported for _, imported in answers} == {"False"}
    assert min(float(seconds) for seconds, _ in answers) < 0.3


REFINE_SOMETHING = """
import numpy as np, densecrf
probs = np.full((2, 4, 5), 0.5, np.float32)
print(densecrf.refine(np.zeros((4, 5, 3), np.uint8), probs, out=np.empty_like(probs)).sum())
"""


def test_refining_numpy_arrays_does_not_import_torch():
    assert run(REFINE_SOMETHING + "import sys; print('torch' in sys.modules)") == ["20.0", "False"]


def test_refine_works_where_torch_is_not_installed():
    assert run("import sys; sys.modules['torch'] = None\n" + REFINE_SOMETHING) == ["20.0"]


def test_refine_works_beside_something_else_called_torch(monkeypatch, expected):
    """A folder of that name, a stand-in of somebody's tests, or the real one while it is being imported."""
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))
    assert_array_equal(refine(picture(), probabilities()), expected)
