"""densecrf.torch.refine: what densecrf.refine computes, as an operator that torch can compile, map and refuse.

That the numbers are right is for the tests of densecrf.refine to say; these compare with it, bit for bit.
"""

import re

import numpy as np
import pytest
from conftest import assert_says
from crowds import crowd
from inputs import GREY_TERMS, HEIGHT, LABELS, NORMALIZATIONS, TERMS, WIDTH, picture, probabilities

import densecrf
from densecrf import Bilateral, Features, Gaussian

torch = pytest.importorskip("torch")
ops = pytest.importorskip("densecrf.torch")

from torch import library  # noqa: E402  # needs torch

NO_GRADIENT = "backward through densecrf.refine.default but no autograd formula was registered"
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


def crowded():
    image, logits = crowd(21)
    return torch.from_numpy(image).movedim(-1, 0), torch.from_numpy(logits).softmax(0)


IMAGE = torch.from_numpy(np.moveaxis(picture(), -1, 0).copy())
PROBS = torch.from_numpy(probabilities())
CROWD = crowded()  # of labels, so that a label tolerance matters
IMAGES = torch.from_numpy(picture(3, 3, HEIGHT, WIDTH))
BATCH = torch.from_numpy(probabilities(3, LABELS, HEIGHT, WIDTH))


@pytest.fixture
def compiled():
    """Compiles a function without a graph break, and without what other tests compiled."""
    torch.compiler.reset()
    return lambda function, **options: torch.compile(function, fullgraph=True, backend="aot_eager", **options)


def channels_last(probs):
    return probs.movedim(-3, -1).contiguous().movedim(-1, -3)


# ---- the same numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [(), (3,)])
@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_every_layout_gives_what_refine_gives(channels, batch):
    image = torch.from_numpy(picture(*batch, *channels, HEIGHT, WIDTH))
    probs = torch.from_numpy(probabilities(*batch, LABELS, HEIGHT, WIDTH))
    result = ops.refine(image, probs, terms=GREY_TERMS)
    assert torch.equal(result, densecrf.refine(image, probs, terms=GREY_TERMS))


@pytest.mark.parametrize(
    "terms",
    [
        [],
        [Gaussian(2, 3)],
        [Gaussian((2, 0.1), 3), Bilateral((5, 1 / 3), (30, 40, 50), 2)],
        [Bilateral(6, 40, (1, 2, -3, 4e-3))],
        [Gaussian(1, np.arange(16).reshape(4, 4)), Gaussian(1, 2)],
        *([Bilateral(6, 40, 2, normalization)] for normalization in NORMALIZATIONS),
    ],
    ids=str,
)
def test_every_kind_of_term_reaches_the_operator_unchanged(terms):
    result = ops.refine(IMAGE, PROBS, terms=terms)
    assert torch.equal(result, densecrf.refine(IMAGE, PROBS, terms=terms))
    assert not torch.equal(result, ops.refine(IMAGE, PROBS))


@pytest.mark.parametrize(
    "settings",
    [
        {"iterations": 0},
        {"iterations": 3},
        {"label_tolerance": 0},
        {"label_tolerance": 0.1},
        {"from_logits": True},
        {"preset": "densecrf"},
        {"preset": "densecrf", "terms": TERMS},
    ],
    ids=str,
)
def test_every_setting_means_what_it_means_to_refine(settings):
    result = ops.refine(*CROWD, **settings)
    assert torch.equal(result, densecrf.refine(*CROWD, **settings))
    assert not torch.equal(result, ops.refine(*CROWD))


def test_the_defaults_are_those_of_refine():
    assert torch.equal(ops.refine(*CROWD), densecrf.refine(*CROWD))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_result_has_the_dtype_of_the_probabilities(dtype):
    probs = PROBS.to(dtype)
    result = ops.refine(IMAGE, probs)
    assert result.dtype == dtype
    assert torch.equal(result, densecrf.refine(IMAGE, probs))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("iterations", [0, 2])
def test_the_result_has_memory_of_its_own_and_the_arguments_are_left_alone(iterations, dtype):
    image, probs = IMAGE.to(dtype) / 255, PROBS.to(dtype)
    before = image.clone(), probs.clone()
    ops.refine(image, probs, iterations=iterations).fill_(7)
    assert torch.equal(image, before[0])
    assert torch.equal(probs, before[1])


# ---- what torch asks of an operator -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "probs"),
    [
        (IMAGE, PROBS),
        (IMAGE[0], PROBS.bfloat16()),
        (IMAGES.half() / 255, BATCH.half()),
        (channels_last(IMAGES), channels_last(BATCH)),
        (IMAGE.expand(3, -1, -1, -1), PROBS.expand(3, -1, -1, -1)),
    ],
    ids=["one", "grey, bfloat16", "batch, float16", "channels last", "expanded"],
)
def test_torch_finds_nothing_wrong_with_the_operator(image, probs):
    terms = str([("Bilateral", {"sxy": 6.0, "srgb": 40.0, "weight": 2.0})])
    found = library.opcheck(torch.ops.densecrf.refine.default, (image, probs, terms, 3, 1e-3, False))
    assert set(found.values()) == {"SUCCESS"}


def test_tensors_without_values_give_one_without_values():
    result = ops.refine(IMAGES.to("meta"), channels_last(BATCH).to("meta"))
    assert (result.device.type, result.shape, result.dtype) == ("meta", BATCH.shape, BATCH.dtype)
    assert result.is_contiguous()


def test_a_compiled_call_is_one_graph_and_gives_the_same_bits(compiled):
    refine = compiled(lambda image, probs: ops.refine(image, probs * 1, terms=TERMS))
    assert torch.equal(refine(IMAGE, PROBS), ops.refine(IMAGE, PROBS, terms=TERMS))


def test_terms_may_be_made_where_the_compiler_looks(compiled):
    refine = compiled(lambda image, probs: ops.refine(image, probs, terms=[Bilateral((6, 5), 40, [1, 2, 3, 4])]))
    assert torch.equal(refine(IMAGE, PROBS), ops.refine(IMAGE, PROBS, terms=[Bilateral((6, 5), 40, [1, 2, 3, 4])]))


def test_one_compilation_serves_every_size(compiled):
    refine = compiled(ops.refine, dynamic=True)
    refine(IMAGE, PROBS)
    with torch.compiler.set_stance("fail_on_recompile"):
        for height, width in [(7, 9), (12, 5), (2, 3)]:
            image, probs = IMAGE[:, :height, :width].contiguous(), PROBS[:, :height, :width].contiguous()
            assert torch.equal(refine(image, probs), ops.refine(image, probs))


FOLLOWED = [
    {"preset": "irn"},
    {"preset": "crf-rnn", "iterations": 1, "label_tolerance": 1e-4},
    {"preset": "densecrf", "iterations": 2, "label_tolerance": 1e-5},
    {"terms": [Gaussian(2, 3)]},
    {"terms": [Gaussian(3, 3)]},
    {"terms": [Gaussian(1 / 3, (1, *range(20)))]},
    {"terms": [Gaussian(1 / 3, (2, *range(20)))]},
]


def test_a_compiled_call_follows_its_settings(compiled):
    """It may have to be compiled again, and the compiler makes a symbol of a number that was another one last time."""
    refine = compiled(ops.refine)
    for settings in FOLLOWED:
        assert torch.equal(refine(*CROWD, **settings), ops.refine(*CROWD, **settings))


# ---- mapped over --------------------------------------------------------------------------------------------


def loop(images, batch):
    return torch.stack([ops.refine(image, probs) for image, probs in zip(images, batch, strict=True)])


def test_vmap_equals_a_loop():
    assert torch.equal(torch.vmap(ops.refine)(IMAGES, BATCH), loop(IMAGES, BATCH))


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_vmap_maps_over_any_axis(axis):
    mapped = torch.vmap(ops.refine, in_dims=axis)
    assert torch.equal(mapped(IMAGES.movedim(0, axis), BATCH.movedim(0, axis)), loop(IMAGES, BATCH))


def test_vmap_maps_over_the_pictures_or_the_probabilities_alone():
    over_probs = torch.vmap(ops.refine, in_dims=(None, 0))
    assert torch.equal(over_probs(IMAGE, BATCH), loop([IMAGE] * 3, BATCH))
    over_images = torch.vmap(ops.refine, in_dims=(0, None))
    assert torch.equal(over_images(IMAGES[:, 0], PROBS), loop(IMAGES[:, 0], [PROBS] * 3))


def test_vmap_maps_over_batches():
    images, batches = torch.stack([IMAGES, IMAGES.flip(0)], 1), torch.stack([BATCH, BATCH.flip(2)])
    result = torch.vmap(ops.refine, in_dims=(1, 0))(images, batches)
    assert torch.equal(result, loop([IMAGES, IMAGES.flip(0)], batches))


def test_vmap_nests():
    every_pair = torch.vmap(torch.vmap(ops.refine, in_dims=(None, 0)), in_dims=(0, None))
    assert torch.equal(every_pair(IMAGES, BATCH), torch.stack([loop([image] * 3, BATCH) for image in IMAGES]))


def test_vmap_does_not_take_the_mapped_axis_for_the_labels():
    with pytest.raises(ValueError, match=re.escape("densecrf.refine: probs must have shape (L, H, W)")):
        torch.vmap(ops.refine)(IMAGES, BATCH[:, 0])


# ---- autocast -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_computes_half_precision_in_float32_and_does_not_round_the_result(dtype):
    probs = PROBS.to(dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = ops.refine(IMAGE, probs)
    assert result.dtype == torch.float32
    assert torch.equal(result, ops.refine(IMAGE, probs.float()))


def test_autocast_leaves_float64_alone():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert ops.refine(IMAGE, PROBS.double()).dtype == torch.float64


def test_autocast_of_another_device_changes_nothing_and_that_of_cuda_is_known():
    """On tensors without values, so that no GPU is needed."""
    with torch._subclasses.FakeTensorMode():
        probs = {device: torch.empty(2, 3, 4, dtype=torch.float16, device=device) for device in ("cpu", "cuda")}
        torch.set_autocast_enabled("cuda", True)
        try:
            dtypes = {device: ops.refine(one, one).dtype for device, one in probs.items()}
        finally:
            torch.set_autocast_enabled("cuda", False)
    assert dtypes == {"cpu": torch.float16, "cuda": torch.float32}


# ---- no gradient --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["image", "probs"])
def test_backward_says_that_there_is_no_gradient(which):
    arguments = {"image": IMAGE / 255, "probs": PROBS.clone()}
    arguments[which].requires_grad_()
    result = ops.refine(**arguments)
    assert torch.equal(result, densecrf.refine(IMAGE / 255, PROBS))
    with pytest.raises(RuntimeError, match=NO_GRADIENT):
        result.sum().backward()
    assert arguments[which].grad is None


@pytest.mark.filterwarnings("ignore:Error detected in GeneratedBackward:UserWarning")
def test_a_compiled_call_that_wants_a_gradient_says_so_when_it_is_compiled(compiled):
    with pytest.raises(RuntimeError, match=NO_GRADIENT):
        compiled(ops.refine)(IMAGE, PROBS.clone().requires_grad_())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_torchs_modes_without_grad_give_a_result_without_grad(mode):
    with mode():
        result = ops.refine(IMAGE, PROBS.clone().requires_grad_())
    assert not result.requires_grad
    assert torch.equal(result, ops.refine(IMAGE, PROBS))


# ---- errors -------------------------------------------------------------------------------------------------


def refused(expected, **arguments):
    return pytest.param(expected, arguments, id=expected)


@pytest.mark.parametrize(
    ("expected", "arguments"),
    [
        refused("ValueError: preset must be one of 'deeplab-v2' .. got 'deeplab'", preset="deeplab"),
        refused("TypeError: terms must be a list .. got Gaussian", terms=Gaussian(1, 1)),
        refused("TypeError: terms must hold Gaussian .. got str", terms=["Gaussian"]),
        refused("TypeError: Features hold arrays .. densecrf.refine", terms=[Features(np.zeros((1, 108)), 1)]),
        refused("TypeError: iterations must be an integer, got float", iterations=2.5),
        refused("ValueError: iterations must be an integer >= 0", iterations=-1),
        refused("ValueError: label_tolerance must be at least 0 and below 1", label_tolerance=1),
        refused("TypeError: from_logits must be True or False, got int", from_logits=1),
        refused("TypeError: image must be a torch tensor, got ndarray; densecrf.refine", image=picture()),
        refused("TypeError: probs must be a torch tensor, got list; densecrf.refine", probs=[[[1.0]]]),
    ],
)
def test_settings_that_are_wrong_are_refused_before_the_operator_is_called(expected, arguments):
    with pytest.raises((TypeError, ValueError)) as caught:
        ops.refine(**{"image": IMAGE, "probs": PROBS, **arguments})
    assert_says(caught, "densecrf.torch.refine", expected)


TENSORS = [
    refused("ValueError: image and probs must have the same height and width .. resize", image=IMAGE[:, :5]),
    refused("ValueError: image must have shape (B, H, W) .. because", image=IMAGE[0], probs=PROBS[None]),
    refused("ValueError: probs must have shape (L, H, W)", probs=PROBS[0]),
    refused("TypeError: probs must be floating point, got torch.int64", probs=PROBS.long()),
    refused("ValueError: probs must sum to 1 .. from_logits=True", probs=PROBS / 2),
    refused("ValueError: probs must be finite", probs=PROBS / 0),
]


@pytest.mark.parametrize(("expected", "arguments"), TENSORS)
def test_tensors_that_are_wrong_get_the_messages_of_refine(expected, arguments):
    with pytest.raises((TypeError, ValueError)) as caught:
        ops.refine(**{"image": IMAGE, "probs": PROBS, **arguments})
    assert_says(caught, "densecrf.refine", expected)


@pytest.mark.parametrize(("expected", "arguments"), TENSORS)
def test_tensors_that_are_wrong_get_them_from_a_compiled_call_too(expected, arguments, compiled):
    with pytest.raises((TypeError, ValueError)) as caught:
        compiled(ops.refine)(**{"image": IMAGE, "probs": PROBS, **arguments})
    assert_says(caught, "densecrf.refine", expected)


def test_tensors_that_densecrf_cannot_read_are_refused_by_refine_itself():
    with pytest.raises(TypeError, match=r"densecrf\.refine: probs must be a dense tensor .* torch\.sparse"):
        ops.refine(IMAGE, PROBS.to_sparse())
