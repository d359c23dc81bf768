"""deeplab.build: every network as a whole. On the meta device, where weights take no memory and layers no time."""

import pytest
from conftest import run

torch = pytest.importorskip("torch")
deeplab = pytest.importorskip("deeplab")

# Parameters for 21 classes, frozen scales and shifts included; rows and columns of scores for 306, 321 and 513.
NETWORKS = {
    "fcn32s": (136_152_917, (306, 321, 513)),
    "fcn16s": (134_815_994, (306, 321, 513)),
    "fcn8s": (134_489_759, (306, 321, 513)),
    "deconvnet": (251_805_653, (306, 321, 513)),
    "deeplab-v1": (65_140_565, (39, 40, 64)),
    "deeplab-v1-7x7": (134_346_581, (39, 40, 64)),
    "deeplab-v1-4x4-r8": (65_140_565, (39, 40, 64)),
    "deeplab-v1-largefov": (20_505_429, (40, 41, 65)),
    "deeplab-v1-msc": (66_346_686, (40, 41, 65)),
    "deeplab-v1-msc-largefov": (21_711_550, (40, 41, 65)),
    "deeplab-v2-vgg16-largefov": (20_505_429, (40, 41, 65)),
    "deeplab-v2-vgg16-aspp-s": (37_877_652, (40, 41, 65)),
    "deeplab-v2-vgg16-aspp-l": (37_877_652, (40, 41, 65)),
    "deeplab-v2-resnet101": (42_543_189, (39, 41, 65)),
    "deeplab-v2-resnet101-largefov": (42_887_253, (39, 41, 65)),
    "deeplab-v2-resnet101-aspp": (44_048_532, (39, 41, 65)),
}
every_network = pytest.mark.parametrize("name", NETWORKS)
# One of every way to run.
one_of_each = pytest.mark.parametrize(
    "name", ["fcn8s", "deconvnet", "deeplab-v1", "deeplab-v1-msc-largefov", "deeplab-v2-resnet101-aspp"]
)


def build(name, n_classes=21):
    with torch.device("meta"):
        return deeplab.build(name, n_classes).eval()


def pictures(height, width, batch=1):
    return torch.zeros(batch, 3, height, width, device="meta")


def count(module, kinds=torch.nn.Module):
    """Parameters of the layers of some kinds."""
    layers = {id(p): p.numel() for m in module.modules() if isinstance(m, kinds) for p in m.parameters()}
    return sum(layers.values())


def test_there_are_the_networks_of_the_papers():
    assert deeplab.names() == list(NETWORKS)


@every_network
def test_parameters_are_as_many_as_in_the_paper(name):
    assert count(build(name)) == NETWORKS[name][0]


@pytest.mark.parametrize(
    ("name", "parameters"), [("fcn32s", 134_346_581), ("fcn16s", 134_357_354), ("fcn8s", 134_362_751)]
)
def test_fcn_has_the_published_parameters_besides_its_interpolation(name, parameters):
    network = build(name)
    assert count(network) - count(network, torch.nn.ConvTranspose2d) == parameters


@pytest.mark.parametrize(("n_classes", "parameters"), [(60, 46_924_080), (7, 43_016_284), (19, 43_901_068)])
def test_parameters_follow_the_number_of_classes(n_classes, parameters):
    assert count(build("deeplab-v2-resnet101-aspp", n_classes)) == parameters


def test_bodies_have_the_published_parameters():
    resnet = build("deeplab-v2-resnet101").body
    deconvnet = build("deconvnet")
    norm = torch.nn.BatchNorm2d
    assert count(build("deeplab-v1-largefov").body) == 14_714_688
    assert (count(resnet), count(resnet, norm)) == (42_500_160, 105_344)
    assert (count(deconvnet) - count(deconvnet, norm), count(deconvnet, norm)) == (251_772_245, 33_408)


@every_network
def test_scores_come_at_the_networks_own_resolution(name):
    network = build(name)
    for size, own in zip((306, 321, 513), NETWORKS[name][1], strict=True):
        assert network(pictures(size, size)).shape == (1, 21, own, own)


@every_network
def test_full_scores_come_at_the_size_of_any_picture(name):
    network = build(name, n_classes=2)
    sizes = [(193, 224), (200, 375), (255, 256), (257, 202)]
    if name != "deconvnet":  # whose fc6 wants 7x7 values of pool5
        sizes += [(2, 3), (8, 33), (62, 45)]
    for height, width in sizes:
        assert network.full_scores(pictures(height, width, batch=2)).shape == (2, 2, height, width)


@every_network
def test_any_number_of_classes(name):
    assert build(name, n_classes=1)(pictures(225, 225)).shape[1] == 1


# Kernel, rate and channels of fc6, padding that keeps sizes, and whether an average pooling follows pool5.
FC6 = {
    "deeplab-v1": (4, 4, 4096, 6, False),
    "deeplab-v1-7x7": (7, 4, 4096, 12, False),
    "deeplab-v1-4x4-r8": (4, 8, 4096, 12, False),
    "deeplab-v1-largefov": (3, 12, 1024, 12, True),
    "deeplab-v1-msc": (4, 4, 4096, 6, False),
    "deeplab-v1-msc-largefov": (3, 12, 1024, 12, True),
    "deeplab-v2-vgg16-largefov": (3, 12, 1024, 12, False),
    "fcn8s": (7, 1, 4096, 0, False),
}


@pytest.mark.parametrize("name", FC6)
def test_fc6_is_that_of_the_paper(name):
    network = build(name)
    fc6 = network.head.fc6
    average = any(isinstance(layer, torch.nn.AvgPool2d) for layer in network.modules())
    assert (fc6.kernel_size[0], fc6.dilation[0], fc6.out_channels, fc6.padding[0], average) == FC6[name]


def test_resnets_largefov_is_a_3x3_with_a_rate_of_12():
    head = build("deeplab-v2-resnet101-largefov").head
    assert (head.kernel_size, head.dilation, head.padding) == ((3, 3), (12, 12), (12, 12))


@pytest.mark.parametrize(("name", "origin"), [("deeplab-v1", 1), ("deeplab-v1-7x7", 1), ("deeplab-v1-largefov", 0)])
def test_a_score_is_found_again_on_its_pixel(name, origin):
    scores = torch.rand(1, 2, 5, 6)
    full = build(name).upsample(scores, (40, 48))
    torch.testing.assert_close(full[..., origin::8, origin::8], scores)


def test_deconvnet_halves_224_five_times_and_doubles_it_again():
    network = build("deconvnet")
    names = [f"pool{i}" for i in (1, 2, 3, 4, 5)] + ["fc6", "fc6_deconv"] + [f"unpool{i}" for i in (5, 4, 3, 2, 1)]
    layers = dict([*network.body.named_children(), *network.head.named_children()])
    sizes = []
    for name in names:
        layers[name].register_forward_hook(lambda _, inputs, __: sizes.append(inputs[0].shape[-1]))
    assert network(pictures(224, 224)).shape[-1] == 224
    assert sizes == [224, 112, 56, 28, 14, 7, 1, 7, 14, 28, 56, 112]


def test_an_unknown_name_is_answered_with_those_there_are():
    with pytest.raises(ValueError, match=r"deeplab.build: no network 'deeplab-v3'; there are fcn32s, .*-aspp"):
        deeplab.build("deeplab-v3")


def test_no_classes_are_refused():
    with pytest.raises(ValueError, match="n_classes must be at least 1, got 0"):
        deeplab.build("fcn8s", 0)


@pytest.mark.parametrize("wrong", [{"name": []}, {"n_classes": "3"}, {"width": None}, {"batch_norm": 1}], ids=str)
def test_arguments_of_the_wrong_type_are_refused(wrong):
    with pytest.raises((TypeError, ValueError), match=r"^deeplab\.build: "):
        deeplab.build(**{"name": "deeplab-v1", **wrong})


def test_densecrf_imports_neither_the_networks_nor_torch():
    loaded = run("import json, sys, densecrf; print(json.dumps([m in sys.modules for m in ('deeplab', 'torch')]))")
    assert loaded == [False, False]


# ---- torch's tools ------------------------------------------------------------------------------------------


@one_of_each
def test_compiles_without_a_break(name):
    torch.compiler.reset()
    network = build(name)
    compiled = torch.compile(network, fullgraph=True, backend="eager")
    assert compiled(pictures(225, 201)).shape == network(pictures(225, 201)).shape


@one_of_each
def test_can_be_exported(name):
    network = build(name)
    exported = torch.export.export(network, (pictures(225, 201),)).module()
    assert exported(pictures(225, 201)).shape == network(pictures(225, 201)).shape


def test_an_exported_deeplab_takes_any_batch_of_8k_and_1_pixels():
    network = build("deeplab-v1-largefov")
    batch, rows, columns = (torch.export.Dim(name, min=2, max=100) for name in ("batch", "rows", "columns"))
    sizes = {0: batch, 2: 8 * rows + 1, 3: 8 * columns + 1}
    exported = torch.export.export(network, (pictures(65, 73, batch=2),), dynamic_shapes=(sizes,)).module()
    assert exported(pictures(321, 241, batch=3)).shape == (3, 21, 41, 31)


RESIZABLE = (
    "deeplab-v1",
    "deeplab-v1-7x7",
    "deeplab-v1-4x4-r8",
    "deeplab-v1-largefov",
    "deeplab-v2-vgg16-largefov",
    "deeplab-v2-vgg16-aspp-s",
    "deeplab-v2-vgg16-aspp-l",
)


@pytest.mark.parametrize("name", RESIZABLE)
def test_width_multiplies_the_channels_of_all_layers_but_the_scores(name):
    with torch.device("meta"):
        whole, half = deeplab.build(name, 7), deeplab.build(name, 7, width=0.5)
    for one, other in zip(whole.named_parameters(), half.named_parameters(), strict=True):
        assert one[0] == other[0]
        outputs = 1 if "fc8" in one[0] else 2
        assert one[1].shape[0] == outputs * other[1].shape[0]


@pytest.mark.parametrize("name", RESIZABLE)
def test_batch_norm_follows_every_convolution_but_the_last(name):
    network = deeplab.build(name, 3, width=1 / 32, batch_norm=True)
    convolutions = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d)]
    scores = [layer for layer in convolutions if layer.out_channels == 3]
    norms = [layer for layer in network.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    assert len(norms) == len(convolutions) - len(scores)
    size = 42 if "v1" in name and "largefov" not in name else 41
    assert network.eval()(torch.zeros(1, 3, size, size)).shape[:2] == (1, 3)


@pytest.mark.parametrize("name", sorted(set(deeplab.names()) - set(RESIZABLE)))
def test_other_networks_have_their_published_width_only(name):
    with pytest.raises(ValueError, match="published width"):
        deeplab.build(name, width=0.5)


@pytest.mark.parametrize("width", [0.0, -1.0, 17.0, float("nan")])
def test_a_width_that_cannot_be_is_refused(width):
    with pytest.raises(ValueError, match="width must be"):
        deeplab.build("deeplab-v1-largefov", width=width)
