"""`out`: filled and returned whatever its layout, and even where it overlaps the inputs."""

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
