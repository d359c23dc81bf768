"""Where arrays of a GPU live: answers in the caller's library, dtype and place, `out`, and what is refused."""

import re

import numpy as np
import pytest
from gpus import assert_as_on_the_cpu
from inputs import GREY_TERMS, TERMS, picture, probabilities
from numpy.testing import assert_allclose, assert_array_equal

import densecrf
from densecrf import DenseCRF, Gaussian, _build

IMAGE, PROBS = picture(), probabilities()
UNARY = -np.log(PROBS)
LABELS, HEIGHT, WIDTH = PROBS.shape


def refine(image, probs, terms=TERMS, **options):
    return densecrf.refine(image, probs, terms=terms, iterations=3, channel_axis=-1, **options)


@pytest.fixture
def expected(gpu):
    return gpu.get(refine(gpu.put(IMAGE), gpu.put(PROBS)))


# ---- answers ------------------------------------------------------------------------------------------------


def test_an_image_on_the_cpu_goes_with_probabilities_on_the_gpu(gpu, expected):
    result = refine(IMAGE, gpu.put(PROBS))
    assert type(result) is type(gpu.put(PROBS))
    assert_array_equal(gpu.get(result), expected)
    floats = refine(np.asfortranarray(IMAGE / 255), gpu.put(PROBS))
    assert_allclose(gpu.get(floats), expected, rtol=0, atol=1e-4)


def test_images_have_their_channels_where_the_library_has_them(gpu, expected):
    usual = np.moveaxis(IMAGE, -1, 0) if gpu.name == "torch" else IMAGE
    q = densecrf.refine(gpu.put(usual), gpu.put(PROBS), terms=TERMS, iterations=3)
    assert_array_equal(gpu.get(q), expected)
    assert DenseCRF(gpu.put(usual), LABELS, TERMS).shape == (HEIGHT, WIDTH)


def test_inputs_are_left_alone(gpu):
    for image in (IMAGE, IMAGE.astype(np.float32), IMAGE / 255):
        there, probs = gpu.put(image), gpu.put(PROBS)
        refine(there, probs)
        assert_array_equal(gpu.get(there), image)
        assert_array_equal(gpu.get(probs), PROBS)


def test_the_answer_is_in_memory_of_its_own(gpu):
    probs = gpu.put(PROBS)
    for iterations, terms in ((3, TERMS), (0, TERMS), (3, [])):
        q = densecrf.refine(gpu.put(IMAGE), probs, terms=terms, iterations=iterations, channel_axis=-1)
        q[...] = -1
        assert_array_equal(gpu.get(probs), PROBS)


@pytest.mark.parametrize("name", ["bfloat16", "float16", "float64"])
def test_tensors_come_back_as_tensors_of_their_dtype(name, gpu):
    if gpu.name != "torch":
        pytest.skip("for PyTorch")
    probs = gpu.put(PROBS).to(getattr(pytest.importorskip("torch"), name))
    q = refine(gpu.put(IMAGE), probs)
    assert (q.dtype, q.device) == (probs.dtype, probs.device)
    exact = refine(IMAGE, gpu.get(probs.float()))
    assert_allclose(gpu.get(q.float()), exact, rtol=0, atol=5e-3)
    unary = gpu.put(UNARY).to(probs.dtype)
    assert DenseCRF(IMAGE, LABELS, TERMS).infer(unary).dtype == probs.dtype


def test_layouts_are_all_the_same(gpu, expected):
    wide = gpu.put(np.repeat(PROBS, 3, axis=-1))[..., 1::3]
    assert_array_equal(gpu.get(refine(gpu.put(IMAGE), wide)), expected)
    for dtype in (np.uint8, np.float32, np.int32):
        image = gpu.put(np.repeat(np.moveaxis(IMAGE, -1, 0), 2, axis=1).astype(dtype))[:, ::2]
        q = densecrf.refine(image, gpu.put(PROBS), terms=TERMS, iterations=3, channel_axis=0)
        assert_array_equal(gpu.get(q), expected)
    grey = gpu.put(np.ascontiguousarray(IMAGE[..., 0].T)).T
    q = densecrf.refine(grey, gpu.put(PROBS), terms=GREY_TERMS)
    assert_array_equal(gpu.get(q), gpu.get(densecrf.refine(gpu.put(IMAGE[..., 0]), gpu.put(PROBS), terms=GREY_TERMS)))


def test_a_picture_that_repeats_itself_in_memory_is_refined_as_any(gpu):
    images = np.broadcast_to(IMAGE, (3, *IMAGE.shape))
    there = gpu.put(IMAGE).expand(3, -1, -1, -1) if gpu.name == "torch" else gpu.put(images)
    batch = np.stack([PROBS, PROBS[::-1], PROBS])
    assert_array_equal(gpu.get(refine(there, gpu.put(batch))), gpu.get(refine(gpu.put(images.copy()), gpu.put(batch))))
    assert_as_on_the_cpu(gpu, images, batch, terms=TERMS)


def test_tensors_with_a_gradient_are_taken_for_their_values(gpu, expected):
    if gpu.name != "torch":
        pytest.skip("for PyTorch")
    probs, image = gpu.put(PROBS).requires_grad_(), gpu.put(IMAGE.astype(np.float32)).requires_grad_()
    q = refine(image, probs)
    assert not q.requires_grad
    assert_array_equal(gpu.get(q), expected)
    assert_array_equal(
        gpu.get(refine(image.movedim(-1, 0).movedim(0, -1)[..., :1], probs, GREY_TERMS)),
        gpu.get(refine(gpu.put(IMAGE[..., :1]), gpu.put(PROBS), GREY_TERMS)),
    )
    crf = DenseCRF(image, LABELS, TERMS, channel_axis=-1)
    unary = gpu.put(UNARY).requires_grad_()
    for result in (crf.infer(unary, start=probs), crf.message(probs), crf.filter(probs), crf.start(unary).step()):
        assert not result.requires_grad
    assert np.isfinite([crf.energy(unary, PROBS.argmax(0)), crf.free_energy(unary, probs)]).all()


def test_the_operator_and_the_layer_of_torch_work_there_too(gpu, expected):
    if gpu.name != "torch":
        pytest.skip("for PyTorch")
    layers = pytest.importorskip("densecrf.torch")
    image, options = gpu.put(np.moveaxis(IMAGE, -1, 0).copy()), {"terms": TERMS, "iterations": 3}
    assert_array_equal(gpu.get(layers.refine(image, gpu.put(PROBS), **options)), expected)
    layer = layers.DenseCRF(**options, from_logits=False)
    assert_array_equal(gpu.get(layer(image, gpu.put(PROBS))), expected)


# ---- places -------------------------------------------------------------------------------------------------


def test_an_image_on_the_gpu_does_not_go_with_probabilities_on_the_cpu(gpu):
    words = r"densecrf\.refine: image must lie where probs lie, got image on cuda:0 and probs on the CPU; move"
    with pytest.raises(TypeError, match=words):
        refine(gpu.put(IMAGE), PROBS)


def test_out_on_another_device_is_refused(twin):
    out = twin.put(PROBS)
    out.device = type(out.device)(id=1)
    with pytest.raises(TypeError, match=r"out must lie where probs lie, got out on cuda:1 and probs on cuda:0"):
        refine(IMAGE, twin.put(PROBS), out=out)


def test_a_model_of_an_image_on_the_gpu_takes_no_arrays_from_elsewhere(gpu):
    model = DenseCRF(gpu.put(IMAGE), LABELS, TERMS, channel_axis=-1)
    for name, method, call in (
        ("unary", "infer", lambda: model.infer(UNARY)),
        ("marginals", "message", lambda: model.message(PROBS)),
        ("values", "filter", lambda: model.filter(PROBS)),
        ("unary", "start", lambda: model.start(UNARY)),
        ("unary", "energy", lambda: model.energy(UNARY, PROBS.argmax(0))),
    ):
        words = f"DenseCRF.{method}: {name} must lie where the model's image lies, cuda:0, got {name} on the CPU; move"
        with pytest.raises(TypeError, match=re.escape(words)):
            call()


def test_arrays_of_one_call_lie_in_one_place(gpu):
    model = DenseCRF(IMAGE, LABELS, TERMS)
    with pytest.raises(TypeError, match=r"DenseCRF\.infer: start must lie where .* lie"):
        model.infer(gpu.put(UNARY), start=PROBS)
    with pytest.raises(TypeError, match=r"DenseCRF\.infer: start must lie where .* lie"):
        model.infer(UNARY, start=gpu.put(PROBS))
    with pytest.raises(TypeError, match=r"DenseCRF\.free_energy: marginals must lie where .* lie"):
        model.free_energy(gpu.put(UNARY), PROBS)


CPU_ONLY = {
    "densecrf.refine_mask": lambda put: densecrf.refine_mask(IMAGE, put(PROBS[0])),
    "densecrf.refine_labels": lambda put: densecrf.refine_labels(IMAGE, put(PROBS.argmax(0))),
    "densecrf.refine_volume": lambda put: densecrf.refine_volume(IMAGE[..., 0], put(PROBS), [Gaussian(1, 1)]),
    "densecrf.reference.refine": lambda put: densecrf.reference.refine(IMAGE, put(PROBS), terms=TERMS),
    "densecrf.unary_from_probs": lambda put: densecrf.unary_from_probs(put(PROBS)),
    "densecrf.unary_from_labels": lambda put: densecrf.unary_from_labels(put(PROBS.argmax(0)), 4),
    "Features": lambda put: densecrf.Features(put(PROBS[0]), 1),
}


@pytest.mark.parametrize("function", CPU_ONLY)
def test_what_works_on_the_cpu_only_says_so(function, gpu):
    with pytest.raises(TypeError, match="lies on a GPU, and this works on the CPU; move it there with") as caught:
        CPU_ONLY[function](gpu.put)
    assert str(caught.value).startswith(f"{function}: ")
    assert str(caught.value).endswith(".cpu()" if gpu.name == "torch" else ".get()")


def test_without_the_back_end_arrays_on_a_gpu_are_refused(gpu, monkeypatch):
    monkeypatch.setattr(_build, "cuda_module", lambda: None)
    words = r": the arrays lie on a GPU, and this build of densecrf has no CUDA back end; .*CPU.* DENSECRF_CUDA=ON"
    with pytest.raises(TypeError, match=rf"^densecrf\.refine{words}"):
        refine(gpu.put(IMAGE), gpu.put(PROBS))
    with pytest.raises(TypeError, match=rf"^densecrf\.DenseCRF{words}"):
        DenseCRF(IMAGE, LABELS, TERMS).infer(gpu.put(UNARY))
    assert np.isfinite(refine(IMAGE, PROBS)).all()
