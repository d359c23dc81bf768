"""deeplab.weights.load: what it does to values, and whole networks from real files."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
deeplab = pytest.importorskip("deeplab")

import deeplab_files as files  # noqa: E402

from deeplab import caffemodel, vgg, weights  # noqa: E402

# ---- real files, and the scores of the networks they come from ------------------------------------------------


LARGE_FOV, ASPP = "deeplab-v1-largefov", "deeplab-v2-resnet101-aspp"


@pytest.fixture(scope="module")
def networks():
    """Two networks with weights of their own, and with norms that do something."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        networks = {name: deeplab.build(name, n_classes=2).eval() for name in (LARGE_FOV, ASPP)}
        for layer in networks[ASPP].modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(layer.weight, 0.2, 0.6)
                for tensor, low, high in ((layer.bias, -1, 1), (layer.running_mean, -1, 1), (layer.running_var, 1, 2)):
                    torch.nn.init.uniform_(tensor, low, high)
        return networks


def empty(name):
    """A network in which everything is missing."""
    network = files.meta(name, n_classes=2).to_empty(device="cpu").eval()
    for tensor in network.state_dict().values():
        tensor.fill_(torch.nan if tensor.is_floating_point() else 0)
    return network


def named(network, theirs):
    """The network's tensors under a file's names."""
    for module, source in zip(files.modules(network), theirs, strict=True):
        for parameter in files.modules(network)[module]:
            yield f"{source}.{parameter}", network.state_dict()[f"{module}.{parameter}"]


@torch.no_grad()
def assert_same_scores(network, other, **tolerance):
    images = torch.rand(1, 3, 41, 57, generator=torch.Generator().manual_seed(1)) * 255 - 120
    expected = network(images)
    assert expected.std() > 0
    torch.testing.assert_close(other(images), expected, **tolerance)


@pytest.mark.parametrize("old", [True, False])
def test_deeplab_from_a_caffemodel(networks, tmp_path, old):
    layers = {}
    for name, tensor in named(networks[LARGE_FOV], files.LARGE_FOV):
        layers.setdefault(name.rpartition(".")[0], []).append(tensor.numpy())
    network = empty(LARGE_FOV)
    assert weights.load(network, files.caffemodel(tmp_path / "a", layers, old=old)) == []
    assert_same_scores(networks[LARGE_FOV], network, rtol=0, atol=0)


def test_multi_scale_deeplab_from_a_caffemodel(networks, tmp_path):
    heads = [f"fc1_voc12_c{i}" for i in range(4)]
    tensors = {name: x.numpy() for name, x in named(networks[ASPP], [*files.CAFFE_RESNET, *heads])}
    layers = {}
    for name in dict.fromkeys(name.rpartition(".")[0] for name in tensors):
        layers[name] = [tensors[f"{name}.{x}"] for x in ("weight", "bias") if f"{name}.{x}" in tensors]
        if name.startswith("bn"):  # divided by a sum of weights that was not 1
            sums = [tensors[f"{name}.running_{x}"] * np.float32(999.5) for x in ("mean", "var")]
            layers |= {name.replace("bn", "scale", 1): layers[name], name: [*sums, np.float32([999.5])]}
    for name, blobs in list(layers.items())[:9]:  # the smaller scales' copies
        layers |= {f"{name}_{scale}": [0 * blob for blob in blobs] for scale in ("res05", "res075")}
    network = deeplab.MultiScale(empty(ASPP))
    assert weights.load(network, files.caffemodel(tmp_path / "a", layers)) == []
    assert_same_scores(deeplab.MultiScale(networks[ASPP]), network)


@pytest.mark.parametrize("zipped", [True, False])  # as since PyTorch 1.6, and as before
def test_deeplab_from_a_pytorch_file(networks, tmp_path, zipped):
    theirs = [*files.KAZUTO_RESNET, *(f"aspp.c{i}" for i in range(4))]
    state = {f"base.{name}": tensor for name, tensor in named(networks[ASPP], theirs)}
    torch.save(state, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    network = empty(ASPP)
    assert weights.load(network, tmp_path / "a.pth") == []
    assert_same_scores(networks[ASPP], network, rtol=0, atol=0)


# ---- values that change on the way ----------------------------------------------------------------------------


@pytest.fixture
def placed(monkeypatch, tmp_path):
    """What comes into some modules of a network from a few tensors or layers."""

    def placed(name, content, *to, **options):
        network = files.meta(name)
        if isinstance(next(iter(content.values())), torch.Tensor):
            torch.save(content, tmp_path / "a")
        else:
            (tmp_path / "a").write_bytes(b"\n")
            monkeypatch.setattr(caffemodel, "read", lambda path: content)
        skip = [module for module in files.modules(network) if module not in to]
        return files.placed(monkeypatch, network, tmp_path / "a", skip=skip, **options)[0]

    return placed


FIRST_LAYERS = {
    "VGG-16": (LARGE_FOV, "features.0", "body.conv1_1", {"features.0.bias": torch.zeros(64)}),
    "ResNet-101": (ASPP, "conv1", "body.conv1", {"layer1.0.conv1.weight": torch.zeros(64, 64, 1, 1)}),
}


@pytest.fixture(params=FIRST_LAYERS)
def first_layer(request, placed):
    """torchvision's first layer, and what loads it."""
    network, name, ours, others = FIRST_LAYERS[request.param]
    weight = torch.rand(files.modules(files.meta(network))[ours]["weight"])
    content = {f"{name}.weight": weight, **others}
    return weight, lambda **options: placed(network, content, ours, **options)[f"{ours}.weight"]


def test_torchvisions_first_layer_sees_in_bgr_what_it_saw_in_normalised_rgb(first_layer):
    weight, load = first_layer
    rgb = torch.rand(1, 3, 9, 9) - 0.5
    bgr = (rgb * torch.tensor([0.229, 0.224, 0.225])[:, None, None]).flip(1) * 255
    conv = torch.nn.functional.conv2d
    torch.testing.assert_close(conv(bgr, load()), conv(rgb, weight))


def test_a_first_layer_for_bgr_stays_as_it_is(first_layer):
    weight, load = first_layer
    assert torch.equal(load(bgr=True), weight)


def test_the_first_layer_of_others_stays_as_it_is(placed):
    weight = torch.rand(64, 3, 7, 7)
    body = {"Scale.conv1.weight": weight, "Scale.layer1.0.conv1.weight": torch.zeros(64, 64, 1, 1)}
    isht7s = body | {"Scale.layer5.conv2d_list.0.weight": torch.zeros(3, 2048, 3, 3)}
    assert torch.equal(placed(ASPP, isht7s, "body.conv1")["body.conv1.weight"], weight)


KEPT = {"deeplab-v1-7x7": (1, 1), "deeplab-v1": (1, 2), "deeplab-v1-4x4-r8": (1, 2), LARGE_FOV: (4, 3)}


@pytest.mark.parametrize("name", KEPT)
def test_of_a_classifiers_fc6_evenly_spaced_channels_and_taps_are_kept(placed, name):
    channels, taps = KEPT[name]
    rows = torch.arange(4096.0)
    columns = torch.arange(25088.0)
    for weight, expected in (
        (rows[:, None].expand(4096, 25088), rows[::channels, None, None, None]),
        (columns.expand(4096, 25088), columns.view(512, 7, 7)[None, :, ::taps, ::taps]),
    ):
        came = placed(name, {"classifier.0.weight": weight, "classifier.0.bias": rows}, "head.fc6")
        assert torch.equal(came["head.fc6.weight"], expected.expand(came["head.fc6.weight"].shape))
        assert torch.equal(came["head.fc6.bias"], rows[::channels])


@pytest.mark.parametrize("name", [LARGE_FOV, "deeplab-v2-vgg16-aspp-s"])
def test_of_a_classifiers_fc7_the_channels_that_fc6_has_are_kept(placed, name):
    numbers = torch.arange(4096.0)
    weight = numbers[:, None] * 4096 + numbers
    state = {"classifier.3.weight": weight, "classifier.3.bias": numbers, "classifier.6.weight": torch.zeros(2, 2)}
    fc7 = [module for module in files.modules(files.meta(name)) if module.endswith("fc7")]
    came = placed(name, state, *fc7)
    assert len(came) == 2 * len(fc7)
    for module in fc7:
        assert torch.equal(came[f"{module}.weight"][:, :, 0, 0], weight[::4, ::4])
        assert torch.equal(came[f"{module}.bias"], numbers[::4])


def test_an_fc6_that_is_a_convolution_is_not_decimated(placed):
    state = {"fc6.weight": files.marked((4096, 512, 7, 7), 1), "fc6.bias": torch.zeros(4096)}
    with pytest.raises(ValueError, match=r"head.fc6.weight: \(4096, 512, 7, 7\) in the file \(fc6.weight\), \(1024,"):
        placed(LARGE_FOV, state, "head.fc6")


@pytest.mark.parametrize(("layer", "ours"), [("bn1_2", "body.bn1_2"), ("fc6-deconv-bn", "head.fc6_deconv_bn")])
def test_deconvnets_norms_scale_and_shift_and_nothing_else(placed, layer, ours):
    shape = files.modules(files.meta("deconvnet"))[ours]["weight"]
    scale, shift = np.random.default_rng(0).random((2, *shape), np.float32)
    came = placed("deconvnet", {layer: [scale[None, :, None, None], shift[None, :, None, None]]}, ours)
    norm = vgg.shifted_batch_norm(*shape).eval()
    norm.load_state_dict({name.rpartition(".")[2]: x for name, x in came.items()}, strict=False)
    x = torch.rand(1, *shape, 2, 2) * 100
    torch.testing.assert_close(norm(x), x * torch.tensor(scale)[:, None, None] + torch.tensor(shift)[:, None, None])


@pytest.mark.parametrize(("total", "expected"), [(2.0, (1.5, 0.5)), (0.0, (0.0, 0.0))])
def test_caffes_sums_are_divided_unless_there_are_none(placed, total, expected):
    blobs = [np.full(64, 3, np.float32), np.full(64, 1, np.float32), np.float32([total])]
    layers = {"bn_conv1": blobs, "scale_conv1": [np.ones(64, np.float32), np.zeros(64, np.float32)]}
    came = placed(ASPP, layers, "body.bn1")
    assert (came["body.bn1.running_mean"].unique(), came["body.bn1.running_var"].unique()) == expected


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_other_precisions_are_converted(tmp_path, dtype):
    network = torch.nn.Sequential()
    network.add_module("upscore", torch.nn.Conv2d(2, 3, 1))
    state = {"upscore.weight": torch.rand(3, 2, 1, 1).to(dtype), "upscore.bias": torch.full((3,), 4e4).to(dtype)}
    torch.save(state, tmp_path / "a")
    weights.load(network, tmp_path / "a")
    assert network.upscore.weight.dtype == torch.float32
    assert torch.equal(network.upscore.weight, state["upscore.weight"].float())
    assert torch.equal(network.upscore.bias, torch.full((3,), 4e4).to(dtype).float())
