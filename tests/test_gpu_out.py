"""`out` on a GPU: written where it lies, whatever it shares with the inputs."""

import functools

import numpy as np
import pytest
from inputs import GREY_TERMS, TERMS, picture, probabilities
from numpy.testing import assert_array_equal

import densecrf
from densecrf import Gaussian

IMAGE, PROBS = picture(), probabilities()
LABELS, HEIGHT, WIDTH = PROBS.shape

refine = functools.partial(densecrf.refine, terms=TERMS, iterations=3, channel_axis=-1)


@pytest.fixture
def expected(gpu):
    return gpu.get(refine(gpu.put(IMAGE), gpu.put(PROBS)))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_out_is_filled_and_returned(dtype, gpu):
    probs = PROBS.astype(dtype)
    out = gpu.put(np.full_like(probs, -7))
    assert refine(gpu.put(IMAGE), gpu.put(probs), out=out) is out
    assert_array_equal(gpu.get(out), gpu.get(refine(gpu.put(IMAGE), gpu.put(probs))))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_out_may_be_probs_itself(dtype, gpu):
    probs = gpu.put(PROBS.astype(dtype))
    separate = gpu.get(refine(gpu.put(IMAGE), probs))
    assert refine(gpu.put(IMAGE), probs, out=probs) is probs
    assert_array_equal(gpu.get(probs), separate)


def test_a_contiguous_float32_out_is_written_where_it_lies(gpu, monkeypatch):
    out = gpu.put(np.zeros_like(PROBS))
    monkeypatch.setattr(gpu.adapter, "write", lambda *given: pytest.fail("a copy"))
    refine(gpu.put(IMAGE), gpu.put(PROBS), out=out)
    assert gpu.get(out).min() > 0


def test_out_may_be_non_contiguous(gpu, expected):
    memory = gpu.put(np.full((LABELS, HEIGHT, 2 * WIDTH), -7, np.float32))
    view = memory[:, :, ::2]
    assert refine(gpu.put(IMAGE), gpu.put(PROBS), out=view) is view
    assert_array_equal(gpu.get(memory)[:, :, ::2], expected)
    assert_array_equal(gpu.get(memory)[:, :, 1::2], -7)
    turned = gpu.put(np.zeros((HEIGHT, WIDTH, LABELS), np.float32))
    view = turned.permute(2, 0, 1) if gpu.name == "torch" else np.moveaxis(turned, -1, 0)
    refine(gpu.put(IMAGE), gpu.put(PROBS), out=view)
    assert_array_equal(gpu.get(turned), np.moveaxis(expected, 0, -1))


@pytest.mark.parametrize("shift", [-35, -1, 1, 35])
def test_out_may_overlap_probs(shift, gpu):
    image, probs = picture(30, 35, 3), probabilities(4, 30, 35)  # more points than one block works on
    expected = gpu.get(refine(gpu.put(image), gpu.put(probs)))
    memory = gpu.put(np.concatenate([np.zeros(35), probs.ravel(), np.zeros(35)]).astype(np.float32))
    out = memory[35 + shift :][: probs.size].reshape(probs.shape)
    refine(gpu.put(image), memory[35:-35].reshape(probs.shape), out=out)
    assert_array_equal(gpu.get(out), expected)


def test_out_may_overlap_the_image(gpu):
    memory = gpu.put(PROBS.copy())
    grey = np.abs(IMAGE[..., 0].astype(np.float32))
    memory[1] = gpu.put(grey)
    q = densecrf.refine(memory[1], gpu.put(PROBS), terms=GREY_TERMS, out=memory)
    assert_array_equal(gpu.get(q), gpu.get(densecrf.refine(gpu.put(grey), gpu.put(PROBS), terms=GREY_TERMS)))


def test_out_may_be_another_part_of_the_array_that_probs_are_a_part_of(gpu, expected):
    twice = gpu.put(np.stack([PROBS, PROBS]))
    refine(gpu.put(IMAGE), twice[1], out=twice[0])
    assert_array_equal(gpu.get(twice), np.stack([expected, PROBS]))


def test_a_refused_call_leaves_out_as_it_was(gpu):
    out = gpu.put(np.full_like(PROBS, -7))
    with pytest.raises(ValueError, match="out must have the shape"):
        refine(gpu.put(IMAGE), gpu.put(PROBS), out=out[:2])
    with pytest.raises(ValueError, match="too small"):
        refine(gpu.put(IMAGE), gpu.put(PROBS), terms=[Gaussian(1e-6, 1)], out=out)
    assert_array_equal(gpu.get(out), -7)


def test_an_out_that_cannot_take_the_result_is_refused(gpu):
    probs = gpu.put(PROBS)

    def refused(error, words, out):
        with pytest.raises(error, match=words):
            refine(gpu.put(IMAGE), probs, out=out)

    refused(ValueError, r"out must have the shape of probs \(4, 12, 9\), got \(3, 12, 9\)", gpu.put(PROBS[:3]))
    refused(TypeError, r"out must have the dtype of probs .*float32, got .*float64", gpu.put(PROBS.astype(float)))
    refused(TypeError, "out must be of the same library as probs", PROBS.copy())
    if gpu.name == "torch":
        refused(ValueError, "out must not require a gradient", gpu.put(PROBS).requires_grad_())
        refused(ValueError, "out must have memory of its own", gpu.put(PROBS[:1]).expand(4, -1, -1))
