"""densecrf.torch.DenseCRF: the end of a network, in all that torch does to networks."""

import copy
import io
import itertools
import pickle

import numpy as np
import pytest
from conftest import assert_says
from crowds import crowd
from inputs import HEIGHT, LABELS, TERMS, WIDTH, picture

import densecrf
from densecrf import Bilateral, Features, Gaussian

torch = pytest.importorskip("torch")
DenseCRF = pytest.importorskip("densecrf.torch").DenseCRF

IMAGES = torch.from_numpy(picture(2, 3, HEIGHT, WIDTH))
SCORES = 3 * torch.randn(2, LABELS, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))

SETTINGS = [
    {},
    {"terms": TERMS},
    {"terms": [Gaussian(2, 1), Bilateral(5, 30, np.eye(4))], "iterations": 3},
    {"preset": "densecrf", "iterations": 4, "label_tolerance": 0.1},
    {"preset": "irn", "iterations": 1, "label_tolerance": 0.3},
]


class Network(torch.nn.Module):
    """The smallest that has a gradient, and a CRF at its end."""

    def __init__(self, **settings):
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Conv2d(3, LABELS, 1), torch.nn.Tanh())
        self.crf = DenseCRF(**settings)

    def forward(self, images):
        return self.crf(images, 3 * self.body(images / 255))


@pytest.fixture
def network():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Network(terms=TERMS, iterations=3)


@pytest.fixture
def compiled():
    """Compiles without a graph break, and without what other tests compiled."""
    torch.compiler.reset()
    return lambda module, **options: torch.compile(module, fullgraph=True, backend="aot_eager", **options)


# ---- what it computes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_layer_gives_what_refine_gives_for_logits(settings):
    result = DenseCRF(**settings)(IMAGES, SCORES)
    assert torch.equal(result, densecrf.refine(IMAGES, SCORES, from_logits=True, **settings))


def test_the_layer_takes_probabilities_where_it_is_told_so():
    probs = SCORES.softmax(1)
    result = DenseCRF(from_logits=False)(IMAGES, probs)
    assert torch.equal(result, densecrf.refine(IMAGES, probs))


def test_the_layer_takes_single_pictures_too():
    crf = DenseCRF()
    assert torch.equal(crf(IMAGES[0], SCORES[0]), crf(IMAGES, SCORES)[0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_layer_answers_in_the_dtype_of_the_scores(dtype):
    scores = SCORES.to(dtype)
    result = DenseCRF()(IMAGES, scores)
    assert result.dtype == dtype
    assert torch.equal(result, densecrf.refine(IMAGES, scores, from_logits=True))


def test_casting_a_network_casts_no_setting(network):
    assert network.double()(IMAGES.double()).dtype == torch.float64
    assert network.crf.label_tolerance == Network().crf.label_tolerance


# ---- what it is ---------------------------------------------------------------------------------------------


def test_the_layer_has_no_state():
    crf = DenseCRF()
    assert list(crf.parameters()) == []
    assert list(crf.buffers()) == []
    assert crf.state_dict() == {}
    crf.load_state_dict({})


def test_the_layer_prints_its_settings():
    assert repr(DenseCRF(terms=[Gaussian(1, 3), Bilateral(67, (3, 4, 5), 4)], iterations=5)) == (
        "DenseCRF(terms=[Gaussian(sxy=1.0, weight=3.0, normalization='symmetric'), "
        "Bilateral(sxy=67.0, srgb=(3.0, 4.0, 5.0), weight=4.0, normalization='symmetric')], "
        "iterations=5, label_tolerance=0.001, from_logits=True)"
    )


def test_the_layer_prints_the_terms_of_its_preset():
    assert str(list(densecrf.presets["irn"].terms)) in repr(DenseCRF(preset="irn"))


def saved_and_loaded(module):
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda crf: pickle.loads(pickle.dumps(crf)), saved_and_loaded]
)
def test_copies_of_the_layer_are_like_it(copied):
    crf = DenseCRF(terms=[Bilateral(5, 30, np.eye(4))], iterations=3, label_tolerance=0, from_logits=False)
    other = copied(crf)
    assert other is not crf
    assert repr(other) == repr(crf)
    assert torch.equal(other(IMAGES, SCORES.softmax(1)), crf(IMAGES, SCORES.softmax(1)))


@pytest.mark.parametrize(
    ("expected", "settings"),
    [
        ("ValueError: preset must be one of 'deeplab-v2' .. got 'deeplab'", {"preset": "deeplab"}),
        ("TypeError: terms must be a list .. got Gaussian", {"terms": Gaussian(1, 1)}),
        ("TypeError: Features hold arrays .. densecrf.refine", {"terms": [Features(np.zeros((1, 108)), 1)]}),
        ("TypeError: iterations must be an integer, got float", {"iterations": 2.5}),
        ("ValueError: label_tolerance must be at least 0", {"label_tolerance": -1}),
        ("TypeError: from_logits must be True or False, got int", {"from_logits": 1}),
    ],
)
def test_wrong_settings_are_refused_where_the_layer_is_made(expected, settings):
    with pytest.raises((TypeError, ValueError)) as caught:
        DenseCRF(**settings)
    assert_says(caught, "densecrf.torch.DenseCRF", expected)


def test_arrays_are_refused_by_the_name_they_have_here():
    with pytest.raises(TypeError) as caught:
        DenseCRF()(IMAGES, SCORES.numpy())
    assert_says(caught, "densecrf.torch.DenseCRF", "TypeError: scores must be a torch tensor, got ndarray")


# ---- what torch does to it ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_compiled_network_is_one_graph_and_gives_the_same_bits(mode, network, compiled):
    with mode():
        assert torch.equal(compiled(network)(IMAGES), network(IMAGES))


def test_one_compilation_serves_every_size(compiled):
    crf = DenseCRF()
    whole = compiled(crf, dynamic=True)
    whole(IMAGES, SCORES)
    with torch.compiler.set_stance("fail_on_recompile"):
        for b, h, w in [(2, 12, 9), (2, 7, 9), (2, 5, 4)]:
            images, scores = IMAGES[:b, :, :h, :w].contiguous(), SCORES[:b, :, :h, :w].contiguous()
            assert torch.equal(whole(images, scores), crf(images, scores))


def test_layers_with_other_settings_can_be_compiled_one_after_the_other(compiled):
    """The compiler makes a symbol of a number that was another one last time."""
    for settings in SETTINGS:
        crf = DenseCRF(**settings)
        assert torch.equal(compiled(crf)(IMAGES, SCORES), crf(IMAGES, SCORES))


def test_a_compiled_layer_follows_its_settings(compiled):
    image, logits = (torch.from_numpy(array) for array in crowd(21))  # so many labels that a tolerance matters
    image, crf = image.movedim(-1, 0), DenseCRF()
    whole, results = compiled(crf), []
    for crf.iterations, crf.label_tolerance in [(10, 1e-3), (10, 0), (10, 1e-4), (3, 1e-4), (2, 1e-4)]:
        settings = {"iterations": crf.iterations, "label_tolerance": crf.label_tolerance}
        results.append(whole(image, logits))
        assert torch.equal(results[-1], densecrf.refine(image, logits, from_logits=True, **settings))
    assert not any(torch.equal(one, other) for one, other in itertools.combinations(results, 2))


@pytest.mark.parametrize("strict", [False, True])
def test_an_exported_network_gives_the_same_bits(strict, network):
    exported = torch.export.export(network, (IMAGES,), strict=strict)
    assert "torch.ops.densecrf.refine.default" in exported.graph_module.code
    assert torch.equal(exported.module()(IMAGES), network(IMAGES))


def test_an_exported_network_can_be_saved_loaded_and_used_for_other_sizes(network):
    sizes = dict.fromkeys((0, 2, 3), torch.export.Dim.AUTO)
    file = io.BytesIO()
    torch.export.save(torch.export.export(network, (IMAGES,), dynamic_shapes=(sizes,)), file)
    file.seek(0)
    smaller = IMAGES.repeat(2, 1, 1, 1)[:3, :, :7, :5]
    assert torch.equal(torch.export.load(file).module()(smaller), network(smaller))


@pytest.mark.filterwarnings("ignore:.*treespec, LeafSpec:FutureWarning")  # torch's own
def test_an_exported_network_can_be_decomposed(network):
    exported = torch.export.export(network, (IMAGES,)).run_decompositions()
    assert "torch.ops.densecrf.refine.default" in exported.graph_module.code
    assert torch.equal(exported.module()(IMAGES), network(IMAGES))


def test_vmap_over_the_layer_equals_a_batch():
    crf = DenseCRF()
    assert torch.equal(torch.vmap(crf)(IMAGES, SCORES), crf(IMAGES, SCORES))


def test_a_network_under_autocast_ends_in_float32(network):
    seen = []
    network.body.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert network(IMAGES).dtype == torch.float32
    assert seen == [torch.bfloat16]


# ---- no gradient --------------------------------------------------------------------------------------------


def test_backward_through_the_layer_raises(network):
    with pytest.raises(RuntimeError, match="no autograd formula was registered"):
        network(IMAGES).sum().backward()
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_network_is_trained_on_its_scores_beside_the_layer(network):
    scores = network.body(IMAGES / 255)
    marginals = network.crf(IMAGES, scores.detach())
    assert not marginals.requires_grad
    torch.nn.functional.cross_entropy(scores, marginals.argmax(1)).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())


@pytest.mark.parametrize("function", [DenseCRF(), densecrf.torch.refine], ids=["layer", "operator"])
def test_an_image_without_values_is_refused(function):
    with pytest.raises(ValueError, match="image has no values, got a tensor on meta, and probs on cpu"):
        function(IMAGES.to("meta"), SCORES)
    assert function(IMAGES.to("meta"), SCORES.to("meta")).is_meta
