"""Threads of one program call at once, and share a model: each gets the bits that it gets alone.

`make sanitize` runs this under ThreadSanitizer, too, which sees what the answers may hide.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from inputs import scene
from numpy.testing import assert_array_equal

import densecrf
from densecrf import Bilateral, DenseCRF, Gaussian, _core

LABELS = 3
TERMS = (Gaussian(2, 1), Bilateral(20, 30, 2))
# Points enough for two threads of the core, and for memory that is kept from call to call.
SIZES = ((160, 170), (250, 130))
SCENES = [scene(*size, LABELS, seed=seed) for seed, size in enumerate(SIZES)]
SMALL_SCENES = [scene(14 + i, 20, LABELS, seed=i) for i in range(4)]


def refine(image, logits, **options):
    return densecrf.refine(image, logits, terms=TERMS, iterations=2, from_logits=True, **options)


def assert_the_same_at_once(calls, *, times=3, threads=4):
    alone = [call() for call in calls]
    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(call) for _ in range(times) for call in calls]
    for number, call in enumerate(running):
        assert_array_equal(call.result(), alone[number % len(alone)])


@pytest.mark.parametrize("num_threads", [1, 2])
def test_pictures_of_several_sizes_refined_at_once(num_threads):
    assert_the_same_at_once([lambda s=s: refine(*s, num_threads=num_threads) for s in SCENES])


def test_small_pictures_and_batches_refined_at_once():
    batches = [lambda s=s: refine(*(np.stack([array] * 3) for array in s), num_threads=2) for s in SMALL_SCENES]
    assert_the_same_at_once([lambda s=s: refine(*s) for s in SMALL_SCENES] + batches)


def test_two_labels_and_many_refined_at_once():
    calls = [lambda n=n: refine(SCENES[0][0], SCENES[0][1][:n], num_threads=2) for n in (2, 3)]
    assert_the_same_at_once(calls)


def test_calls_that_are_refused_do_not_disturb_the_others():
    def refused():
        with pytest.raises(ValueError, match="NaN"):
            refine(SMALL_SCENES[0][0], SMALL_SCENES[0][1] * np.float32("nan"))
        return 0

    assert_the_same_at_once([refused, *(lambda s=s: refine(*s) for s in SMALL_SCENES)])


def test_a_model_built_infers_filters_and_steps_for_several_threads_at_once():
    image, logits = SMALL_SCENES[0]
    model = DenseCRF(image, LABELS, TERMS)
    calls = [
        lambda: model.infer(-logits, 2),
        lambda: model.infer(logits, 3, damping=0.5, tolerance=1e-3),
        lambda: model.filter(logits, 0),
        lambda: model.filter(logits, 1),
        lambda: model.start(-logits).step(2),
        lambda: np.float32(model.energy(-logits, logits.argmax(axis=0))),
    ]
    assert_the_same_at_once(calls)


def test_a_large_model_infers_for_several_threads_of_two_threads_each():
    image, logits = SCENES[0]
    shape = image.shape[:2]
    term = _core.Term((2.0, 2.0), (), None, "symmetric", 1.0)
    model = _core.Model(shape, [term], 2)
    scores = np.ascontiguousarray(logits.reshape(LABELS, -1))

    def infer():
        out = np.empty_like(scores)
        model.infer(scores, "logits", 0.0, 2, None, 0.0, 0.0, 1e-3, 2, out)
        return out

    assert_the_same_at_once([infer])


def test_several_threads_refine_on_a_gpu_at_once(twin):
    calls = [lambda s=s: np.array(refine(*map(twin.put, s))) for s in SMALL_SCENES]
    image, logits = SMALL_SCENES[0]
    model = DenseCRF(twin.put(image), LABELS, TERMS, channel_axis=-1)
    calls += [lambda: np.array(model.infer(twin.put(-logits), 2)), lambda: np.array(model.filter(twin.put(logits)))]
    assert_the_same_at_once(calls)
