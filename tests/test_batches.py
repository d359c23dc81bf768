"""Batches: the pictures of one give bit for bit what each gives alone, and fail as it fails alone."""

from __future__ import annotations

import functools
import itertools
import threading
from typing import Any

import numpy as np
import pytest
from inputs import picture, probabilities, scene, softmax
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import densecrf
from densecrf import Bilateral, Gaussian, _core

Images = NDArray[np.uint8]  # [B, H, W, 3]
Batch = NDArray[np.float32]  # [B, L, H, W]

TERMS = (Gaussian((1.7, 2.3), 2), Bilateral((15, 11), (21, 33, 27), 3))
THREADS = (1, 2, 3, 8)

refine = functools.partial(densecrf.refine, terms=TERMS, iterations=4, channel_axis=-1)


def batch_of(size: int, labels: int, height: int, width: int) -> tuple[Images, Batch]:
    """Pictures and logits, each of its own."""
    pairs = [scene(height, width, labels, seed=seed) for seed in range(size)]
    return np.stack([image for image, _ in pairs]), np.stack([logits / 4 for _, logits in pairs])


@functools.cache
def one_by_one(labels: int, height: int, width: int, from_logits: bool) -> tuple[Images, Batch, Batch]:
    """Five pictures, their scores, and their answers alone, on one thread."""
    images, scores = batch_of(5, labels, height, width)
    if not from_logits:
        scores = np.stack([softmax(one) for one in scores]).astype(np.float32)
    pairs = zip(images, scores, strict=True)
    alone = [refine(image, one, from_logits=from_logits, num_threads=1) for image, one in pairs]
    return images, scores, np.stack(alone)


# ---- the same bits ------------------------------------------------------------------------------------------

SIZES = {
    "one partition": (9, 40, 50, False),
    "several partitions": (5, 170, 150, True),
    "two labels": (2, 170, 150, False),
    "a point": (3, 1, 1, True),
}


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("case", SIZES)
def test_a_batch_has_the_bits_of_its_pictures_alone(case: str, size: int, threads: int) -> None:
    images, scores, alone = one_by_one(*SIZES[case])
    from_logits = SIZES[case][3]
    q = refine(images[:size], scores[:size], from_logits=from_logits, num_threads=threads)
    assert_array_equal(q, alone[:size])


def test_the_pictures_above_have_different_answers() -> None:
    for case in ("one partition", "several partitions", "two labels"):
        images, scores, alone = one_by_one(*SIZES[case])
        for one, other in itertools.pairwise(alone):
            assert np.abs(one - other).max() > 0.5
        before = refine(images, scores, from_logits=SIZES[case][3], iterations=0)
        assert np.abs(alone - before).max() > 0.3


def test_each_picture_leaves_out_its_own_labels() -> None:
    rng = np.random.default_rng(0)
    images, few = batch_of(5, 3, 40, 50)
    scores = np.full((5, 21, 40, 50), -12, np.float32) + rng.normal(scale=0.3, size=(5, 21, 40, 50)).astype(np.float32)
    for one, likely in zip(scores, few, strict=True):
        one[rng.permutation(21)[:3]] = likely - likely.max(axis=0)
    alone = np.stack([refine(image, one, from_logits=True) for image, one in zip(images, scores, strict=True)])
    for threads in THREADS:
        assert_array_equal(refine(images, scores, from_logits=True, num_threads=threads), alone)
    assert (alone != refine(images, scores, from_logits=True, label_tolerance=0)).any()


def test_pictures_in_other_order_have_the_same_bits() -> None:
    images, scores, alone = one_by_one(*SIZES["one partition"])
    order = [3, 0, 4, 1, 2, 2]
    assert_array_equal(refine(images[order], scores[order], num_threads=2), alone[order])


def test_more_threads_than_pictures_and_more_pictures_than_threads() -> None:
    images, scores, alone = one_by_one(*SIZES["one partition"])
    assert_array_equal(refine(images[:1], scores[:1], num_threads=64), alone[:1])
    many = [i % 5 for i in range(40)]
    assert_array_equal(refine(images[many], scores[many], num_threads=3), alone[many])


def test_several_callers_may_have_batches_at_once() -> None:
    images, scores, alone = one_by_one(*SIZES["one partition"])
    answers: list[Any] = [None] * 6

    def call(i: int) -> None:
        answers[i] = refine(images, scores, num_threads=1 + i % 3)

    callers = [threading.Thread(target=call, args=(i,)) for i in range(len(answers))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for answer in answers:
        assert_array_equal(answer, alone)


def test_no_threads_stay_when_a_batch_is_done() -> None:
    images, scores, _ = one_by_one(*SIZES["one partition"])
    before = set(threading.enumerate())
    refine(images, scores, num_threads=8)
    assert set(threading.enumerate()) == before


def test_no_iterations_give_the_probabilities() -> None:
    images, scores, _ = one_by_one(*SIZES["one partition"])
    q = refine(images, scores, iterations=0, num_threads=3)
    alone = [refine(image, one, iterations=0) for image, one in zip(images, scores, strict=True)]
    assert_array_equal(q, np.stack(alone))


# ---- what goes in and comes out -----------------------------------------------------------------------------


@pytest.mark.parametrize("threads", THREADS)
def test_out_is_filled_and_returned(threads: int) -> None:
    images, scores, alone = one_by_one(*SIZES["one partition"])
    out = np.full_like(scores, -7)
    assert refine(images, scores, out=out, num_threads=threads) is out
    assert_array_equal(out, alone)
    own = scores.copy()
    assert refine(images, own, out=own, num_threads=threads) is own
    assert_array_equal(own, alone)


@pytest.mark.parametrize("threads", THREADS)
def test_out_may_be_the_probabilities_one_picture_on(threads: int) -> None:
    images, scores, alone = one_by_one(*SIZES["one partition"])
    memory = np.concatenate([scores, np.zeros_like(scores[:1])])
    refine(images, memory[:5], out=memory[1:], num_threads=threads)
    assert_array_equal(memory[1:], alone)


def test_out_may_be_strided_and_of_another_dtype() -> None:
    images, scores, alone = one_by_one(*SIZES["one partition"])
    out = np.full((*scores.shape[:-1], 100), -7, np.float64)
    half = scores.astype(np.float64)
    assert_array_equal(refine(images, half, out=out[..., ::2], num_threads=2), alone.astype(np.float64))
    assert_array_equal(out[..., ::2], alone)
    assert_array_equal(out[..., 1::2], -7)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_tensors_come_back_as_tensors(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    images, scores, _ = one_by_one(*SIZES["one partition"])
    batch = torch.from_numpy(scores).to(getattr(torch, dtype))
    tensor = torch.from_numpy(np.moveaxis(images, -1, 1).copy())
    expected = torch.stack([refine(tensor[b], batch[b], channel_axis=0) for b in range(5)])
    q = refine(tensor, batch, channel_axis=1, num_threads=3)
    assert q.dtype == batch.dtype
    assert torch.equal(q, expected)
    out = torch.full_like(batch, -7)
    assert refine(tensor, batch, channel_axis=1, num_threads=3, out=out) is out
    assert torch.equal(out, expected)


def test_inputs_are_left_alone() -> None:
    images, scores, _ = one_by_one(*SIZES["one partition"])
    before = images.copy(), scores.copy()
    refine(images, scores, num_threads=3)
    assert_array_equal(images, before[0])
    assert_array_equal(scores, before[1])


# ---- errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", THREADS)
def test_a_sigma_too_small_for_one_picture_is_the_error_it_is_alone(threads: int) -> None:
    images = picture(4, 6, 7, 3).astype(np.int64)
    images[2, 3, 4] = 2**30
    probs, terms = probabilities(4, 3, 6, 7), [Bilateral(3, 0.05, 1)]
    with pytest.raises(ValueError, match="sigma too small for this image") as alone:
        refine(images[2], probs[2], terms=terms)
    with pytest.raises(ValueError, match="sigma too small for this image") as caught:
        refine(images, probs, terms=terms, num_threads=threads)
    assert str(caught.value) == str(alone.value)
    fine = [0, 1, 3]
    refine(images[fine], probs[fine], terms=terms, num_threads=threads)


@pytest.mark.parametrize("threads", THREADS)
def test_one_picture_of_nan_is_refused(threads: int) -> None:
    probs = probabilities(4, 3, 6, 7)
    probs[2, 1, 3, 4] = np.nan
    with pytest.raises(ValueError, match=r"densecrf\.refine: probs must be finite, got 1 NaN"):
        refine(picture(4, 6, 7, 3), probs, num_threads=threads)


class Failing(_core.Model):
    """A core that fails for the pictures whose first score is above 100."""

    error: Exception

    def infer(self, scores: Any, *rest: Any) -> int:
        if scores[0, 0] > 100:
            raise self.error
        return super().infer(scores, *rest)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("error", [MemoryError("no room"), ValueError("a sigma"), RuntimeError("anything")], ids=repr)
@pytest.mark.parametrize("at", [0, 2, 4])
def test_an_error_inside_one_picture_is_the_callers(
    at: int, error: Exception, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, scores, alone = one_by_one(5, 20, 30, True)
    marked = scores.copy()
    marked[at, 0, 0, 0] = 1000
    before = set(threading.enumerate())
    with monkeypatch.context() as patched:
        patched.setattr(Failing, "error", error, raising=False)
        patched.setattr(_core, "Model", Failing)
        with pytest.raises(type(error)) as caught:
            refine(images, marked, from_logits=True, num_threads=threads)
    assert caught.value is error
    assert set(threading.enumerate()) == before
    assert_array_equal(refine(images, scores, from_logits=True, num_threads=threads), alone)
