"""Tensors instead of arrays, for the image, the probabilities or both."""

import numpy as np
import pytest
from inputs import GREY_TERMS, HEIGHT, LABELS, REFINES, TERMS, WIDTH, picture, probabilities, refine
from numpy.testing import assert_allclose, assert_array_equal


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


@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_a_batch_of_tensors_equals_a_loop(channels, torch):
    images = torch.from_numpy(picture(2, *channels, HEIGHT, WIDTH))
    batch = torch.from_numpy(probabilities(2, LABELS, HEIGHT, WIDTH))
    result = refine(images, batch, GREY_TERMS)
    assert result.shape == batch.shape
    assert torch.equal(result, torch.stack([refine(images[b], batch[b], GREY_TERMS) for b in range(2)]))


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64"])
def test_tensors_are_never_modified(name, torch):
    image = torch_image(torch, picture()).to(getattr(torch, name)) / 255
    probs = torch.from_numpy(probabilities()).to(getattr(torch, name))
    before = image.clone(), probs.clone()
    for options in ({}, {"from_logits": True}, {"iterations": 0}, {"out": torch.empty_like(probs)}):
        refine(image, probs, **options)
        assert torch.equal(image, before[0])
        assert torch.equal(probs, before[1])
