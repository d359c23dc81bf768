"""Where the work of a GPU goes: the library's current stream and device, and how seldom the host waits for it."""

import contextlib
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from inputs import TERMS, picture, probabilities, scene
from numpy.testing import assert_array_equal

import densecrf
from densecrf import DenseCRF, Gaussian, _build, _engines, _gpu, _gpu_refine

PROBS = probabilities()
UNARY = -np.log(PROBS)


class Watched:
    """The compiled core; what contexts it was asked for is noted."""

    def __init__(self, core):
        self.core, self.contexts = core, []

    def __getattr__(self, name):
        return getattr(self.core, name)

    def Context(self, device, stream, memory):  # noqa: N802
        self.contexts.append((device, stream))
        return self.core.Context(device, stream, memory)


@pytest.fixture
def watched(monkeypatch, twin):
    watched = Watched(_build.cuda_module())
    monkeypatch.setattr(_build, "cuda_module", lambda: watched)
    return watched


# ---- streams and devices ------------------------------------------------------------------------------------


def test_work_goes_to_the_current_stream_of_the_arrays_device(watched, twin, monkeypatch):
    cuda, current = sys.modules["cupy"].cuda, []

    @contextlib.contextmanager
    def device(index):
        current.append(index)
        yield
        current.pop()

    streams = {0: 70, 3: 73}
    monkeypatch.setattr(cuda, "Device", device)
    monkeypatch.setattr(cuda, "get_current_stream", lambda index: SimpleNamespace(ptr=streams[index]))
    empty = _gpu.CupyGpu.empty

    def only_there(self, *arguments):
        assert current
        assert current[-1] == self.index
        return empty(self, *arguments)

    monkeypatch.setattr(_gpu.CupyGpu, "empty", only_there)
    for index in (0, 3):
        monkeypatch.setattr(type(twin.put(PROBS)), "device", SimpleNamespace(id=index))
        watched.contexts.clear()
        densecrf.refine(picture() / 255, twin.put(PROBS), terms=TERMS)
        model = DenseCRF(twin.put(picture()), len(PROBS), TERMS)
        unary = twin.put(UNARY)
        model.infer(unary, 2)
        streams[index] += 100  # a model is used in another stream than it was built in
        model.infer(unary, 2, start=twin.put(PROBS), ignore=np.zeros(UNARY.shape[1:], bool))
        model.message(unary)
        model.filter(unary)
        model.start(unary).step()
        model.energy(unary, PROBS.argmax(0))
        stream = streams[index]
        assert set(watched.contexts) == {(index, stream - 100), (index, stream)}
        assert watched.contexts[-1] == (index, stream)
        assert not current


def test_a_torch_tensor_says_which_device_and_stream(gpu, monkeypatch):
    if gpu.name != "torch":
        pytest.skip("for PyTorch")
    core = Watched(_build.cuda_module())
    monkeypatch.setattr(_build, "cuda_module", lambda: core)
    place = _gpu.gpu_of(gpu.put(PROBS))
    with place.current():
        expected = (place.index, place.stream())
    densecrf.refine(picture(), gpu.put(PROBS), terms=TERMS, channel_axis=-1)
    assert set(core.contexts) == {expected}
    assert str(place) == f"cuda:{place.index}"


def test_places_are_the_same_if_library_and_device_are(twin):
    torch = pytest.importorskip("torch")
    assert torch is sys.modules["torch"]
    here, there = _gpu.CupyGpu(0), _gpu.CupyGpu(1)
    assert here == _gpu.CupyGpu(0)
    assert here != there
    assert here != _gpu.TorchGpu(0)
    assert here != "cuda:0"
    assert len({here, there, _gpu.CupyGpu(0), _gpu.TorchGpu(0)}) == 3


# ---- waiting ------------------------------------------------------------------------------------------------


@pytest.fixture
def waits(gpu, monkeypatch):
    """Counts how often the host waits while something is called: in the core, and for numbers of the library's."""
    core, asked = _build.cuda_module(), []
    if not hasattr(core, "waits"):
        pytest.skip("only the twin counts")

    def noted(function):
        return lambda *arguments: asked.append(1) or function(*arguments)

    monkeypatch.setattr(gpu.adapter, "on_host", noted(gpu.adapter.on_host))
    if gpu.name == "torch":
        tensor = sys.modules["torch"].Tensor
        for number in ("__float__", "__bool__", "__int__", "item"):
            monkeypatch.setattr(tensor, number, noted(getattr(tensor, number)))
    else:
        for module in (_gpu_refine, _engines):
            monkeypatch.setattr(module, "largest", noted(module.largest))

    def count(call):
        before = core.waits() + len(asked)
        call()
        return core.waits() + len(asked) - before

    return count


IMAGES = {
    "bytes": (picture(), 1),
    "floats": (picture() / 255, 1),
    "booleans": (picture() > 100, 1),
    "integers": (picture().astype(np.int32), 2),
}


@pytest.mark.parametrize("kind", IMAGES)
@pytest.mark.parametrize("options", [{}, {"terms": []}, {"iterations": 0}, {"label_tolerance": 0}], ids=str)
def test_refine_waits_once_and_once_more_for_the_range_of_integers(options, kind, gpu, waits):
    image, times = IMAGES[kind]
    options = {"terms": TERMS, "channel_axis": -1, **options}
    assert waits(lambda: densecrf.refine(gpu.put(image), gpu.put(PROBS), **options)) == times
    assert waits(lambda: densecrf.refine(image, gpu.put(PROBS), **options)) == times  # and brings it there
    assert waits(lambda: densecrf.refine(image, gpu.put(PROBS), out=gpu.put(PROBS), **options)) == times


def test_a_batch_waits_as_often_as_it_is_divided(gpu, waits, monkeypatch):
    images, scores = gpu.put(picture(5, 12, 9, 3)), gpu.put(probabilities(5, 4, 12, 9))
    assert waits(lambda: densecrf.refine(images, scores, terms=TERMS, channel_axis=-1)) == 1
    monkeypatch.setattr(_gpu_refine, "MOST_PICTURES", 2)
    assert waits(lambda: densecrf.refine(images, scores, terms=TERMS, channel_axis=-1)) == 3


def test_building_a_model_of_bytes_waits_once(gpu, waits):
    assert waits(lambda: DenseCRF(gpu.put(picture()), 4, TERMS, channel_axis=-1)) == 1
    assert waits(lambda: DenseCRF(gpu.put(picture()), 4, [Gaussian(1, 1)], channel_axis=-1)) == 1


def test_a_model_of_a_shape_waits_once_for_the_first_unary_on_a_gpu(gpu, waits):
    shape = DenseCRF((12, 9), 4, [Gaussian(1, 1)])
    assert waits(lambda: shape.infer(gpu.put(UNARY))) == 1
    assert waits(lambda: shape.infer(gpu.put(UNARY))) == 0


def test_a_model_does_not_wait(gpu, waits):
    model = DenseCRF(gpu.put(picture()), 4, TERMS, channel_axis=-1)
    unary, probs, ignore = gpu.put(UNARY), gpu.put(PROBS), np.zeros(UNARY.shape[1:], bool)
    for options in ({}, {"start": probs}, {"damping": 0.2}, {"tolerance": 1e-2}, {"label_tolerance": 1e-2}):
        assert waits(lambda options=options: model.infer(unary, 5, ignore=ignore, **options)) == 0
    assert waits(lambda: model.infer(unary, 5, return_iterations=True)) == 0
    assert waits(lambda: model.infer(unary, 5, tolerance=1e-2, return_iterations=True)) == 1
    assert waits(lambda: model.message(unary)) == 0
    assert waits(lambda: model.start(unary).step(2)) == 0
    model.filter(unary)
    assert waits(lambda: model.filter(unary)) == 0


def test_iterations_that_were_not_asked_for_do_not_change_the_answer(gpu):
    image, logits = scene(12, 9, 4)
    model = DenseCRF(gpu.put(image), 4, TERMS, channel_axis=-1)
    unary = gpu.put(-logits / 4)
    q, ran = model.infer(unary, 60, tolerance=1e-2, return_iterations=True)
    assert ran < 60
    assert_array_equal(gpu.get(model.infer(unary, 60, tolerance=1e-2)), gpu.get(q))
