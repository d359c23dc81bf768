"""Loads the weights that are to be had for these networks, in the formats they come in.

>>> import deeplab
>>> network = deeplab.build("deeplab-v2-resnet101-aspp")
>>> deeplab.weights.load(network, "train2_iter_20000.caffemodel")
[]
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path

import torch
from torch import Tensor, nn

from deeplab import caffemodel, vgg
from deeplab.deeplab_v1 import BRANCHES
from deeplab.deeplab_v2 import MultiScale
from densecrf import _files
from densecrf._text import printable_lines

__all__ = ["load"]

# ---- modules: their names in files, after the authors' and others' networks, and in the networks here ---------

# In front of all of a file's names: DataParallel's, MultiScale's, kazuto1011's, isht7's.
PREFIXES = ("module.", "network.", "base.", "Scale.")

# In the names of Caffe's score layers: fc8_voc12, fc8_voc12_1, fc1_voc12_c0.
DATASET = re.compile(r"(?<=^fc[18])_[a-z]+\d*(?=_|$)")

# The last layer of a classifier, which no network here has.
CLASSES = "classes"

CONVS = [f"{stage}_{i}" for stage, widths in enumerate(vgg.WIDTHS, 1) for i in range(1, len(widths) + 1)]
FEATURES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)

# VGG-16 of Caffe and of torchvision; heads with one branch and with four.
NAMES = {f"conv{i}": f"body.conv{i}" for i in CONVS}
NAMES |= {f"features.{place}": f"body.conv{i}" for place, i in zip(FEATURES, CONVS, strict=True)}
NAMES |= {"classifier.0": "head.fc6", "classifier.3": "head.fc7", "classifier.6": CLASSES}
NAMES |= {f"fc{i}": f"head.fc{i}" for i in (6, 7, 8)}
NAMES |= {f"fc{i}_{branch + 1}": f"head.{branch}.fc{i}" for i in (6, 7, 8) for branch in range(4)}

# DeepLab-MSc, FCN and DeconvNet.
MSC = (("conv", "conv"), ("fc", "fc"), ("score", "ms"))
NAMES |= {f"{name}_{theirs}": f"branches.{name}.{i}" for name, *_ in BRANCHES for i, theirs in MSC}
NAMES |= {"score_fr": "head.fc8", "score_pool4": "skips.0", "score_pool3": "skips.1"}
NAMES |= {"upscore2": "zooms.0", "upscore_pool4": "zooms.1", "upscore16": "upscore", "upscore8": "upscore"}
NAMES |= {f"bn{i}": f"body.bn{i}" for i in CONVS}
NAMES |= {f"deconv{i}": f"head.deconv{i}" for i in CONVS}
NAMES |= {f"debn{i}": f"head.deconv{i}_bn" for i in CONVS}
NAMES |= {"bnfc6": "head.fc6_bn", "bnfc7": "head.fc7_bn", "seg-score-voc": "head.seg_score"}
NAMES |= {"fc6-deconv": "head.fc6_deconv", "fc6-deconv-bn": "head.fc6_deconv_bn"}

# ResNet-101: Caffe's letters for the blocks of every stage; what is in a block, here (and in torchvision's, isht7's and
# speedinghzl's), in kazuto1011's and in Caffe's; and heads.
BLOCKS = ("abc", ("a", "b1", "b2", "b3"), ("a", *(f"b{i}" for i in range(1, 23))), "abc")
UNITS = (
    ("conv1", "bn1", "reduce", "2a"),
    ("conv2", "bn2", "conv3x3", "2b"),
    ("conv3", "bn3", "increase", "2c"),
    ("downsample.0", "downsample.1", "shortcut", "1"),
)
for _stage, _i, _block in ((s, i, block) for s, blocks in enumerate(BLOCKS) for i, block in enumerate(blocks)):
    for _conv, _norm, _kazuto, _caffe in UNITS:
        _ours, _theirs = f"layer{_stage + 1}.{_i}", f"layer{_stage + 2}.block{_i + 1}.{_kazuto}"
        _branch = f"{_stage + 2}{_block}_branch{_caffe}"
        _convs = (f"{_ours}.{_conv}", f"{_theirs}.conv", f"res{_branch}")
        _norms = (f"{_ours}.{_norm}", f"{_theirs}.bn", f"bn{_branch}", f"scale{_branch}")
        NAMES |= dict.fromkeys(_convs, f"body.{_ours}.{_conv}") | dict.fromkeys(_norms, f"body.{_ours}.{_norm}")
NAMES |= dict.fromkeys(("conv1", "layer1.conv1.conv"), "body.conv1")
NAMES |= dict.fromkeys(("bn1", "layer1.conv1.bn", "bn_conv1", "scale_conv1"), "body.bn1")
for _i in range(4):
    NAMES |= dict.fromkeys((f"layer5.conv2d_list.{_i}", f"aspp.c{_i}", f"fc1_c{_i}"), f"head.{_i}")
NAMES |= {"fc1": "head", "fc": CLASSES, "fc1000": CLASSES}

# What classifiers have for a network, and the shapes of VGG's two fully connected layers as convolutions.
OF_CLASSIFIERS = re.compile(r"body\.(?!bn\d_)|head\.(\d\.)?fc[67]\.")
FC6, FC7 = (4096, 512, 7, 7), (4096, 4096, 1, 1)
CONVOLUTIONS = {"fc6.weight": FC6, "fc6.bias": FC6[:1], "fc7.weight": FC7, "fc7.bias": FC7[:1]}

# DeconvNet's norms: a scale and a shift, into which its file for inference has worked mean and variance.
FOLDED = re.compile(r"(de)?bn\d_\d|bnfc[67]|fc6-deconv-bn")

MOST_OF_A_FIRST_LAYER = 2**20  # numbers; ResNet-101 has 64 x 3 x 7 x 7
RGB_STD = (0.229, 0.224, 0.225)  # by which torchvision divides, after 255

COUNTER = "num_batches_tracked"  # missing from older files, and read by nothing here

Shapes = Mapping[str, torch.Size]
Found = Mapping[str, Mapping[str, Tensor]]  # by names in the network, then by names in the file


def load(network: nn.Module, path: str | Path, *, skip: Sequence[str] = (), bgr: bool = False) -> list[str]:
    """Puts the weights of a file into a network; if anything does not fit, none of them.

    Recognised by what is in them:

    - ``.caffemodel`` of DeepLab v1 and v2, FCN, DeconvNet (the file for inference; those of the training have no
      statistics), and of VGG-16 and ResNet-101 as classifiers;
    - PyTorch's files of torchvision's VGG-16 and ResNet-101, of kazuto1011's, isht7's and speedinghzl's DeepLab v2,
      of wkentaro's FCN, and of the networks here.

    Classifiers, of ImageNet or COCO, have the body, and VGG-16 also fc6 and fc7, of which DeepLab takes evenly spaced
    taps and channels; the rest of the network stays as it is, to be trained. torchvision's first layers are converted
    to the input of the networks here, but for the mean, which differs by up to 1 of 255; its ResNet was trained with
    strides in other layers.

    Args:
        network: of `deeplab.build`, `MultiScale` or not.
        path: the file.
        skip: modules and parameters to leave as they are: ``["head.fc8"]`` if the file's classes are others,
            ``["branches"]`` for DeepLab-MSc, which the authors start from DeepLab.
        bgr: whether a file with torchvision's names is for the networks' own input: wkentaro's vgg16_from_caffe.pth.

    Returns:
        The names of parameters and statistics that the network keeps.

    Raises:
        ValueError: the file is damaged or unknown, or does not fit; every mismatch is listed.
    """
    inner = network.network if isinstance(network, MultiScale) else network
    shapes = {name: x.shape for name, x in inner.state_dict().items() if not name.endswith(COUNTER)}
    try:
        found = _found(_read(Path(path)), shapes, bgr)
        classifier = _is_classifier(found)
        kept = _kept((*shapes, *found), skip, classifier)
        weights = _checked(found, shapes, kept, classifier)
    except ValueError as error:
        reason = error.fact if isinstance(error, _files.FileError) else printable_lines(error)
        raise ValueError(f"deeplab.weights.load: {path}: {reason}") from error
    inner.load_state_dict(weights, strict=False)
    return [name for name in shapes if name not in weights]


# ---- files ----------------------------------------------------------------------------------------------------


def _read(path: Path) -> Mapping[str, Tensor]:
    with path.open("rb") as file:
        start = file.read(2)
    if start == b"PK" or start[:1] == b"\x80":  # a zip archive; before PyTorch 1.6, pickles
        return _from_torch(path)
    try:
        return _from_caffe(caffemodel.read(path))
    except ValueError as error:
        raise ValueError(f"damaged, or neither a .caffemodel nor a PyTorch file: {error}") from error


def _from_torch(path: Path) -> Mapping[str, Tensor]:
    try:
        content = _files.load_tensors(path)
    except _files.FileError as error:
        reason = type(error.__cause__).__name__ if error.__cause__ else error.fact  # torch's own words fill a page
        raise ValueError(f"damaged, or a PyTorch file of more than tensors ({reason})") from error
    for key in ("model_state_dict", "state_dict"):  # of checkpoints, such as wkentaro's
        if isinstance(content, dict) and key in content:
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(x, Tensor) for x in content.values()):
        raise ValueError("a PyTorch file, but not of named tensors (a state_dict)")
    for x in content.values():
        _files.require_plain(path, x)
    return {str(name): x for name, x in content.items()}


def _from_caffe(layers: Mapping[str, Sequence[caffemodel.Blob]]) -> Mapping[str, Tensor]:
    state: dict[str, Tensor] = {}
    for layer, blobs in layers.items():
        if "res05" in layer or "res075" in layer:  # the same weights again, for DeepLab v2's smaller scales
            continue
        tensors = [torch.from_numpy(blob) for blob in blobs]
        names = ["weight", "bias", "running_mean", "running_var"]
        if len(blobs) == 3:  # BatchNorm: two sums, and what to divide them by; its scale is a layer by itself
            total = blobs[2].item()
            tensors = [x / total if total else 0 * x for x in tensors[:2]]
            names = names[2:]
        elif FOLDED.fullmatch(layer) and len(blobs) == 2:
            zeros = 0 * tensors[0]
            tensors += [zeros, zeros + 1 - vgg.shifted_batch_norm(1).eps]
        elif len(blobs) > 2:
            raise ValueError(f"layer {layer} has {len(blobs)} blobs")
        state |= {f"{layer}.{name}": x for name, x in zip(names, tensors, strict=False)}
    return state


# ---- from the file to the network -----------------------------------------------------------------------------


def _found(file: Mapping[str, Tensor], shapes: Shapes, bgr: bool) -> Found:
    names = {source: reduce(str.removeprefix, PREFIXES, source) for source in file}
    # isht7's and speedinghzl's ResNet has torchvision's names too, and a layer5.
    resnet = {"layer1.0.conv1.weight", "layer5.conv2d_list.0.weight"} & set(names.values())
    torchvision = resnet == {"layer1.0.conv1.weight"} or "features.0.weight" in names.values()
    found: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for source, name in names.items():
        module, _, parameter = name.rpartition(".")
        tensor = file[source]
        if torchvision and not bgr and name in ("features.0.weight", "conv1.weight") and _sees_colours(tensor):
            # From RGB / 255 / std to BGR.
            tensor = (tensor / (255 * torch.tensor(RGB_STD)[:, None, None])).flip(1)
        if parameter != COUNTER:
            for target in _targets(module, shapes):
                found[f"{target}.{parameter}"][source] = tensor
    return found


def _sees_colours(tensor: Tensor) -> bool:
    """Whether it may be a convolution of red, green and blue; others stay as they are, not to fit."""
    return tensor.ndim == 4 and tensor.shape[1] == 3 and tensor.numel() < MOST_OF_A_FIRST_LAYER


def _targets(module: str, shapes: Shapes) -> list[str]:
    """Where a file's module goes in the network; with ASPP, one fc6 and fc7 go into all branches."""
    name = NAMES.get(DATASET.sub("", module), module)
    if name in ("head.fc6", "head.fc7") and "head.0.fc6.weight" in shapes:
        return [f"head.{branch}.{name[5:]}" for branch in range(4)]
    return [name]


def _is_classifier(found: Found) -> bool:
    """Whether there is a classifier's last layer, or another that is fully connected, not yet a convolution."""
    tensors = [(name, x) for name, sources in found.items() for x in sources.values()]
    # Old .caffemodel files have four axes for everything.
    matrices = (x.ndim == 2 or (name.endswith("fc6.weight") and x.squeeze().ndim == 2) for name, x in tensors)
    return f"{CLASSES}.weight" in found or any(matrices)


def _kept(names: Sequence[str], skip: Sequence[str], classifier: bool) -> set[str]:
    """The names of what is to be left as it is."""
    kept = {name for name in names if classifier and not OF_CLASSIFIERS.match(name)}
    for module in skip:
        named = {name for name in names if f"{name}.".startswith(f"{module}.")}
        if not named:
            raise ValueError(f"nothing is called {module!r}, which is in skip")
        kept |= named
    return kept


def _checked(found: Found, shapes: Shapes, kept: set[str], classifier: bool) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = {}
    problems: dict[str, ValueError] = {}
    for name in dict.fromkeys((*shapes, *found)):
        try:
            if name not in kept:
                weights[name] = _weight(name, found.get(name, {}), shapes.get(name), classifier)
        except ValueError as error:
            problems[name] = error
    if problems:
        advice = "Is it the file of another network?"
        if all(name in shapes and not name.startswith("body.") for name in problems):
            modules = list(dict.fromkeys(name.rpartition(".")[0] for name in problems))
            advice = f"To leave there what the network has, skip={modules}."
        lines = [f"it does not fit, and nothing was loaded. {advice}", *(f"{n}: {p}" for n, p in problems.items())]
        raise ValueError("\n  ".join(lines))
    return weights


def _weight(name: str, sources: Mapping[str, Tensor], shape: torch.Size | None, classifier: bool) -> Tensor:
    """What the file has for the network under a name, in the network's shape, if there is such a thing."""
    file = " and ".join(sources)
    if shape is None:
        raise ValueError(f"not in the network, but in the file ({file})")
    if len(sources) != 1:
        raise ValueError(f"more than once in the file ({file})" if sources else "not in the file")
    (original,) = sources.values()
    tensor = _decimated(name, original, shape) if classifier else original
    if [side for side in tensor.shape if side != 1] != [side for side in shape if side != 1]:
        raise ValueError(f"{tuple(original.shape)} in the file ({file}), {tuple(shape)} in the network")
    if not tensor.float().sum().isfinite():  # one that is not makes the sum so
        raise ValueError(f"not finite in the file ({file})")
    return tensor.reshape(shape)


def _decimated(name: str, tensor: Tensor, shape: torch.Size) -> Tensor:
    """VGG's fc6 and fc7 as convolutions with fewer taps and channels (DeepLab v1, sections 3.1 and 3.2).

    The authors' choice of them is not known: a "random" one of channels, whose order means nothing anyway.
    """
    full = CONVOLUTIONS.get(".".join(name.split(".")[-2:]))
    if full is None or tensor.numel() != math.prod(full):
        return tensor
    steps = [max(1, (have - 1) // max(1, want - 1)) for have, want in zip(full, shape, strict=True)]
    return tensor.reshape(full)[tuple(slice(None, None, step) for step in steps)]
