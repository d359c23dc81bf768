"""A `DenseCRF` on a GPU and what it is given: arrays of any kind, images that change, one of the CPU, many threads."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from gpus import TOLERANCE, assert_same_answer, one_library
from inputs import softmax
from models import IMAGE, LABELS, MIXED, SHAPE, TERMS, UNARY, unaries
from numpy.testing import assert_allclose, assert_array_equal

from densecrf import Bilateral, DenseCRF, Features, _engines

START = softmax(unaries(1)[0]).astype(np.float32)


@pytest.fixture(scope="module")
def here():
    return DenseCRF(IMAGE, LABELS, MIXED)


@pytest.fixture
def there(gpu):
    """The same on a GPU."""
    return DenseCRF(gpu.put(IMAGE), LABELS, MIXED, channel_axis=-1)


def test_infer_changes_nothing_it_is_given(gpu, there):
    unary, start, ignore = gpu.put(UNARY), gpu.put(START), np.arange(180).reshape(SHAPE) % 3 == 0
    there.infer(unary, 3, start=start, damping=0.3, tolerance=1e-3, ignore=ignore)
    there.message(start)
    there.energy(unary, np.zeros(SHAPE, int))
    assert_array_equal(gpu.get(unary), UNARY)
    assert_array_equal(gpu.get(start), START)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_marginals_are_of_the_library_and_dtype_of_the_unary(dtype, gpu, here, there):
    unary = UNARY.astype(dtype)
    q = there.infer(gpu.put(unary), 4)
    assert type(q) is type(gpu.put(unary))
    assert gpu.get(q).dtype == dtype
    assert_allclose(gpu.get(q), here.infer(unary, 4), rtol=0, atol=1e-3 if dtype == "float16" else TOLERANCE)
    assert gpu.get(there.start(gpu.put(unary)).step()).dtype == dtype


def test_any_layout_of_the_unary_will_do(gpu, there):
    expected = gpu.get(there.infer(gpu.put(UNARY), 3, start=gpu.put(START)))
    wide = gpu.put(np.repeat(UNARY, 2, axis=-1))[..., ::2]
    last = gpu.put(np.moveaxis(START, 0, -1).copy())
    last = last.movedim(-1, 0) if gpu.name == "torch" else np.moveaxis(last, -1, 0)
    assert_array_equal(gpu.get(there.infer(wide, 3, start=last)), expected)
    assert_array_equal(gpu.get(there.message(last)), gpu.get(there.message(gpu.put(START))))


def test_an_image_that_changes_later_does_not_change_a_model(gpu, here, there):
    image = gpu.put(IMAGE)
    model = DenseCRF(image, LABELS, MIXED, channel_axis=-1)
    image[...] = 0
    for again in (model, pickle.loads(pickle.dumps(model)), copy.deepcopy(model), copy.copy(model)):
        assert again.n_vertices == there.n_vertices == here.n_vertices
        assert_array_equal(gpu.get(again.infer(gpu.put(UNARY), 3)), gpu.get(there.infer(gpu.put(UNARY), 3)))
        assert_array_equal(gpu.get(again.filter(gpu.put(UNARY), 1)), gpu.get(there.filter(gpu.put(UNARY), 1)))


@pytest.mark.parametrize("kind", ["floats", "grey", "integers", "booleans"])
def test_a_model_takes_the_images_that_it_takes_on_the_cpu(kind, gpu):
    image, axis = {
        "floats": (IMAGE / 255, -1),
        "grey": (IMAGE[..., 0], None),
        "integers": (IMAGE.astype(np.int32), -1),
        "booleans": (IMAGE > 120, -1),
    }[kind]
    terms = [TERMS[0], Bilateral(9, 30, 1.2)]
    expected = DenseCRF(image, LABELS, terms, channel_axis=axis).infer(UNARY, 4)
    q = DenseCRF(gpu.put(image), LABELS, terms, channel_axis=axis).infer(gpu.put(UNARY), 4)
    assert_same_answer(gpu.get(q), expected)


# ---- a model of the CPU -------------------------------------------------------------------------------------


@pytest.fixture
def built(monkeypatch):
    """What engines are built, as they are."""
    names = []
    for kind in (_engines.HostEngine, _engines.GpuEngine):
        plain = kind.__init__
        monkeypatch.setattr(
            kind,
            "__init__",
            lambda self, *given, _plain=plain: names.append(type(self).__name__) or _plain(self, *given),
        )
    return names


def test_a_model_of_an_image_on_the_cpu_is_built_on_a_gpu_once_when_it_is_needed_there(gpu, built):
    model = DenseCRF(IMAGE, LABELS, TERMS)
    assert built == ["HostEngine"]
    q = model.infer(gpu.put(UNARY), 4)
    assert_same_answer(gpu.get(q), model.infer(UNARY, 4))
    model.infer(gpu.put(UNARY), 2)
    model.message(gpu.put(START))
    model.start(gpu.put(UNARY)).step()
    assert built == ["HostEngine", "GpuEngine"]
    for _ in range(2):
        assert_allclose(gpu.get(model.filter(gpu.put(START), 1)), model.filter(START, 1), rtol=0, atol=1e-5)
    assert sorted(built) == ["GpuEngine"] * 2 + ["HostEngine"] * 2


def test_a_model_of_a_shape_is_built_on_a_gpu_once_when_it_is_needed_there(gpu, built):
    features = Features(np.random.default_rng(0).normal(size=(3, 180)), 0.7)
    model = DenseCRF(SHAPE, LABELS, [TERMS[0], features])
    for _ in range(2):
        assert_same_answer(gpu.get(model.infer(gpu.put(UNARY), 4)), model.infer(UNARY, 4))
    assert built == ["HostEngine", "GpuEngine"]


# ---- threads ------------------------------------------------------------------------------------------------


@one_library
def test_eight_threads_at_once_get_the_bits_of_eight_calls_in_turn(gpu):
    model = DenseCRF(gpu.put(IMAGE), LABELS, MIXED, channel_axis=-1)
    inputs = [gpu.put(unary) for unary in unaries(24)]

    def calls(unary):
        q, ran = model.infer(unary, 6, damping=0.1, tolerance=1e-3, return_iterations=True)
        return [gpu.get(one) for one in (q, model.message(unary), model.filter(unary, 1))] + [np.array(ran)]

    expected = [calls(unary) for unary in inputs]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(calls, inputs))
    for answer, one in zip(answers, expected, strict=True):
        for mine, other in zip(answer, one, strict=True):
            assert_array_equal(mine, other)


@one_library
def test_threads_that_need_a_model_on_the_gpu_for_the_first_time_all_get_their_answer(gpu):
    model = DenseCRF(IMAGE, LABELS, TERMS)
    inputs = unaries(8)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda unary: gpu.get(model.infer(gpu.put(unary), 4)), inputs))
    for answer, unary in zip(answers, inputs, strict=True):
        assert_same_answer(answer, model.infer(unary, 4))
