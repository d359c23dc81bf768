"""deeplab.weights.load: files of every known kind, into every network that there are such files for."""

import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")
deeplab = pytest.importorskip("deeplab")

import deeplab_files as files  # noqa: E402

from deeplab import caffemodel, weights  # noqa: E402

CAFFE_HEADS = [f"fc1_voc12_c{i}" for i in range(4)]
KAZUTO_HEADS = [f"aspp.c{i}" for i in range(4)]
ISHT7 = [*files.TORCHVISION_RESNET, *(f"layer5.conv2d_list.{i}" for i in range(4))]
FCN16S = [*files.FCN, "score_pool4", "upscore2", "upscore16"]
FCN8S = [*files.FCN, "score_pool4", "score_pool3", "upscore2", "upscore_pool4", "upscore8"]
DEEPLAB_V1 = [*files.LARGE_FOV[:-1], "fc8_pascal"]

# The network, what is in front of the file's names, and its modules, in the order of the network's.
TORCH = {
    "wkentaro's FCN-32s": ("fcn32s", "", [*files.FCN, "upscore"]),
    "wkentaro's FCN-16s": ("fcn16s", "", FCN16S),
    "wkentaro's FCN-8s": ("fcn8s", "", FCN8S),
    "kazuto1011's": ("deeplab-v2-resnet101-aspp", "base.", [*files.KAZUTO_RESNET, *KAZUTO_HEADS]),
    "isht7's": ("deeplab-v2-resnet101-aspp", "Scale.", ISHT7),
    "speedinghzl's": ("deeplab-v2-resnet101-aspp", "", ISHT7),
    "isht7's in DataParallel": ("deeplab-v2-resnet101-aspp", "module.Scale.", ISHT7),
}
CAFFE = {
    "FCN-32s": ("fcn32s", [*files.FCN, "upscore"]),
    "FCN-16s": ("fcn16s", FCN16S),
    "FCN-8s": ("fcn8s", FCN8S),
    "DeepLab v1": ("deeplab-v1", DEEPLAB_V1),
    "DeepLab v1, 7x7": ("deeplab-v1-7x7", DEEPLAB_V1),
    "DeepLab v1, 4x4, rate 8": ("deeplab-v1-4x4-r8", DEEPLAB_V1),
    "DeepLab v1, LargeFOV": ("deeplab-v1-largefov", files.LARGE_FOV),
    "DeepLab v1, MSc": ("deeplab-v1-msc", [*files.LARGE_FOV, *files.MSC]),
    "DeepLab v1, MSc, LargeFOV": ("deeplab-v1-msc-largefov", [*files.LARGE_FOV, *files.MSC]),
    "DeepLab v2, VGG-16, LargeFOV": ("deeplab-v2-vgg16-largefov", files.LARGE_FOV),
    "DeepLab v2, VGG-16, ASPP-S": ("deeplab-v2-vgg16-aspp-s", files.ASPP),
    "DeepLab v2, VGG-16, ASPP-L": ("deeplab-v2-vgg16-aspp-l", files.ASPP),
    "DeepLab v2, ResNet-101": ("deeplab-v2-resnet101-aspp", [*files.CAFFE_RESNET, *CAFFE_HEADS]),
    "DeconvNet": ("deconvnet", files.DECONVNET),
}
# The network, the modules of the body, and the last layer.
RESNET_CLASSIFIERS = {
    "torchvision's": ("deeplab-v2-resnet101-aspp", files.TORCHVISION_RESNET, "fc", (1000, 2048)),
    "torchvision's, for LargeFOV": ("deeplab-v2-resnet101-largefov", files.TORCHVISION_RESNET, "fc", (1000, 2048)),
    "torchvision's, for one 1x1": ("deeplab-v2-resnet101", files.TORCHVISION_RESNET, "fc", (1000, 2048)),
    "kazuto1011's of COCO": ("deeplab-v2-resnet101-aspp", files.KAZUTO_RESNET, "fc", (91, 2048, 1, 1)),
    # With Caffe's names, as if converted layer by layer; its scales have been put into bn... .
    "Caffe's of COCO": ("deeplab-v2-resnet101", files.CAFFE_RESNET, "fc1_coco", (91, 2048)),
    "Caffe's": ("deeplab-v2-resnet101-aspp", files.CAFFE_RESNET, "fc1000", (1000, 2048)),
}


@pytest.fixture
def load(monkeypatch):
    """Loads a file, or layers as if they were one, into a network without memory: what came, and what was left."""

    def load(network, path, **options):
        return files.placed(monkeypatch, network, path, **options)

    return load


@pytest.fixture
def caffe(monkeypatch, tmp_path):
    """A .caffemodel of some layers, which are not written, for some have 400 MB."""

    def caffe(layers):
        (tmp_path / "a.caffemodel").write_bytes(b"\n")
        monkeypatch.setattr(caffemodel, "read", lambda path: layers)
        return tmp_path / "a.caffemodel"

    return caffe


@pytest.fixture
def pth(tmp_path):
    def pth(state):
        torch.save(state, tmp_path / "a.pth")
        return tmp_path / "a.pth"

    return pth


def assert_marked(expected, placed, marks, but=None):
    """That every tensor of some modules came, once, in its shape and with its module's mark."""
    shapes = {f"{module}.{name}": shape for module, shapes in expected.items() for name, shape in shapes.items()}
    assert {name: x.shape for name, x in placed.items()} == shapes
    for name, tensor in placed.items():
        assert (but and but in name) or tensor.flatten()[0] == marks[name.rpartition(".")[0]], name


def marks_of(modules):
    return {module: mark for mark, module in enumerate(modules, 1)}


def paired(modules, theirs):
    """Every module's name, tensors and mark, and its name in the file."""
    for mark, ((module, shapes), source) in enumerate(zip(modules.items(), theirs, strict=True), 1):
        yield module, shapes, mark, source


# ---- every name goes to its place -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TORCH)
@pytest.mark.parametrize("scales", [1, 3])
def test_a_pytorch_file_supplies_every_tensor_once(load, pth, kind, scales):
    name, prefix, theirs = TORCH[kind]
    network = files.meta(name)
    modules = files.modules(network)
    state = {}
    for _, shapes, mark, source in paired(modules, theirs):
        state |= {f"{prefix}{source}.{parameter}": files.marked(shape, mark) for parameter, shape in shapes.items()}
        state[f"{prefix}{source}.num_batches_tracked"] = torch.tensor(7)
    placed, left = load(deeplab.MultiScale(network) if scales == 3 else network, pth(state))
    assert_marked(modules, placed, marks_of(modules))
    assert left == []


@pytest.mark.parametrize("kind", CAFFE)
def test_a_caffemodel_supplies_every_tensor_once(load, caffe, kind):
    name, theirs = CAFFE[kind]
    network = files.meta(name)
    modules = files.modules(network)
    layers = {}
    for _, shapes, mark, source in paired(modules, theirs):
        blobs = [files.marked_blob(shapes[parameter], mark) for parameter in ("weight", "bias") if parameter in shapes]
        layers[source] = blobs
        if "running_mean" in shapes and name != "deconvnet":
            layers |= {source: [*blobs, np.float32([1])], source.replace("bn", "scale", 1): blobs}
    placed, left = load(network, caffe(layers))
    # DeconvNet's statistics are in no file; what is put in their place is tested below.
    assert_marked(modules, placed, marks_of(modules), but="running" if name == "deconvnet" else None)
    assert left == []


@pytest.mark.parametrize("kind", RESNET_CLASSIFIERS)
def test_a_classifier_supplies_the_body_of_a_resnet(load, pth, kind):
    name, theirs, last, shape = RESNET_CLASSIFIERS[kind]
    network = files.meta(name)
    body = {module: shapes for module, shapes in files.modules(network).items() if module.startswith("body.")}
    state = {f"{last}.weight": files.marked(shape, 0), f"{last}.bias": files.marked(shape[:1], 0)}
    for _, shapes, mark, source in paired(body, theirs):
        state |= {f"{source}.{parameter}": files.marked(shape, mark) for parameter, shape in shapes.items()}
    placed, left = load(network, pth(state), bgr=True)
    assert_marked(body, placed, marks_of(body))
    assert left == [name for name in network.state_dict() if name.startswith("head.")]


# A classifier's shapes; Caffe has four axes for matrices and vectors, too.
VGG = {"fc6": (4096, 25088), "fc7": (4096, 4096), "fc8": (1000, 4096)}
VGG = {conv: files.meta("fcn8s").body.get_parameter(f"{conv}.weight").shape for conv in files.CONVS} | VGG


def vgg_caffe():
    for mark, (name, shape) in enumerate(VGG.items(), 1):
        shapes = [(1,) * (4 - len(shape)) + tuple(shape), (1, 1, 1, shape[0])]
        yield name, [files.marked_blob(shape, mark) for shape in shapes]


def vgg_torchvision():
    for mark, (name, shape) in enumerate(
        zip([*files.TORCHVISION_CONVS, *(f"classifier.{i}" for i in (0, 3, 6))], VGG.values(), strict=True), 1
    ):
        yield f"{name}.weight", files.marked(shape, mark)
        yield f"{name}.bias", files.marked(shape[:1], mark)


@pytest.mark.parametrize("kind", ["caffe", "torchvision"])
@pytest.mark.parametrize("name", deeplab.names()[:-3])
def test_a_classifier_supplies_the_body_the_fc6_and_the_fc7_of_a_vgg(load, pth, caffe, name, kind):
    network = files.meta(name)
    modules = files.modules(network)
    wanted = {
        module: shapes
        for module, shapes in modules.items()
        if re.fullmatch(r"body\.conv\d_\d|head\.(\d\.)?fc[67]", module)
    }
    marks = {module: list(VGG).index(module.rpartition(".")[2]) + 1 for module in wanted}
    path = caffe(dict(vgg_caffe())) if kind == "caffe" else pth(dict(vgg_torchvision()))
    placed, left = load(network, path, bgr=True)
    assert_marked(wanted, placed, marks)
    assert set(left) == {f"{module}.{x}" for module, shapes in modules.items() for x in shapes} - placed.keys()


def test_the_names_are_those_of_the_published_networks():
    published = {
        "res4b22_branch2c": "body.layer3.22.conv3",
        "scale3a_branch1": "body.layer2.0.downsample.1",
        "bn5c_branch2b": "body.layer4.2.bn2",
        "layer5.block3.increase.conv": "body.layer4.2.conv3",
        "layer4.block23.conv3x3.bn": "body.layer3.22.bn2",
        "features.28": "body.conv5_3",
        "fc6_4": "head.3.fc6",
        "pool4_ms": "branches.pool4.score",
        "upscore_pool4": "zooms.1",
        "debn2_2": "head.deconv2_2_bn",
    }
    assert {name: weights.NAMES[name] for name in published} == published


def test_every_module_of_every_network_has_a_name_and_no_other_has():
    modules = {module for name in deeplab.names() for module in files.modules(files.meta(name))}
    shortcuts = {
        f"body.layer{stage}.{i}.downsample.{j}" for stage in (1, 2, 3, 4) for i in range(1, 23) for j in (0, 1)
    }
    assert set(weights.NAMES.values()) - shortcuts == modules | {weights.CLASSES}


@pytest.mark.parametrize("prefix", ["", "network."])
def test_a_state_dict_of_the_network_itself_is_known(load, pth, prefix):
    network = files.meta("deeplab-v1-msc-largefov")
    modules = files.modules(network)
    names = [f"{module}.{x}" for module, shapes in modules.items() for x in shapes]
    shapes = [shape for shapes in modules.values() for shape in shapes.values()]
    placed, left = load(network, pth({f"{prefix}{n}": files.marked(x, 1) for n, x in zip(names, shapes, strict=True)}))
    assert (list(placed), left) == (names, [])


@pytest.mark.parametrize("key", ["model_state_dict", "state_dict"])
def test_weights_are_found_in_a_checkpoint(load, pth, key):
    network = files.meta("fcn32s")
    modules = files.modules(network)
    state = {f"{m}.{x}": files.marked(shape, 1) for m, shapes in modules.items() for x, shape in shapes.items()}
    placed, _ = load(network, pth({"epoch": 3, "arch": "FCN32s", "optim_state_dict": {}, key: state}))
    assert placed.keys() == state.keys()


def test_scores_and_new_layers_can_be_left_as_they_are(load, pth):
    network = files.meta("fcn16s", n_classes=5)
    theirs = files.modules(files.meta("fcn32s", n_classes=21))
    state = {f"{m}.{x}": files.marked(shape, 1) for m, shapes in theirs.items() for x, shape in shapes.items()}
    skip = ["head.fc8", "skips", "zooms.0.weight", "upscore"]
    placed, left = load(network, pth(state), skip=skip)
    assert {name.split(".fc8")[0] for name in left} == {
        "head",
        "skips.0.weight",
        "skips.0.bias",
        "zooms.0.weight",
        "upscore.weight",
    }
    assert placed.keys() | set(left) == set(network.state_dict())
