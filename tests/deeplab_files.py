"""Files of weights in the formats that deeplab.weights reads, written after the formats' descriptions."""

import itertools
import struct

import numpy as np
import torch

import deeplab
from deeplab import weights

# ---- .caffemodel ----------------------------------------------------------------------------------------------


def varint(value):
    rest, low = value >> 7, value & 0x7F
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def message(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def integer(number, value):
    return varint(number << 3) + varint(value)


def blob(values, *, legacy=False, packed=True, double=False):
    """A BlobProto."""
    values = np.asarray(values)
    if legacy:  # always four axes, the missing ones in front
        sides = (1,) * (4 - values.ndim) + values.shape
        shape = b"".join(integer(number, side) for number, side in enumerate(sides, 1))
    else:
        shape = message(7, message(1, b"".join(map(varint, values.shape))))
    number, code, wire = (8, "<f8", 1) if double else (5, "<f4", 5)
    data = values.astype(code).tobytes()
    if packed:
        return shape + message(number, data)
    size = np.dtype(code).itemsize
    return shape + b"".join(varint(number << 3 | wire) + data[i : i + size] for i in range(0, len(data), size))


def layer(name, *blobs, old=False):
    """A V1LayerParameter or a LayerParameter in a NetParameter, with a field or two that nobody reads."""
    if old:
        parts = [message(2, b"data"), message(4, name.encode()), integer(5, 4), *(message(6, x) for x in blobs)]
        return message(2, b"".join(parts) + varint(7 << 3 | 5) + struct.pack("<f", 1))
    parts = [message(1, name.encode()), message(2, b"Convolution"), *(message(7, x) for x in blobs)]
    return message(100, b"".join(parts))


def caffemodel(path, layers, *, old=False):
    """Writes arrays by the layer's name, as before or after 2015."""
    with path.open("wb") as file:
        file.write(message(1, b"a network"))
        file.write(layer("data", old=old))
        for name, blobs in layers.items():
            file.write(layer(name, *(blob(x, legacy=old) for x in blobs), old=old))
    return path


# ---- names: the modules of a file in the order in which the network here has them -----------------------------

PLACES = ("1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "4_1", "4_2", "4_3", "5_1", "5_2", "5_3")
MIRRORED = ("5_1", "5_2", "5_3", "4_1", "4_2", "4_3", "3_1", "3_2", "3_3", "2_1", "2_2", "1_1", "1_2")
CONVS = [f"conv{i}" for i in PLACES]
TORCHVISION_CONVS = [f"features.{i}" for i in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)]


def _deconvnet():
    for i in PLACES:
        yield from (f"conv{i}", f"bn{i}")
    yield from ("fc6", "bnfc6", "fc7", "bnfc7", "fc6-deconv", "fc6-deconv-bn")
    for i in MIRRORED:
        yield from (f"deconv{i}", f"debn{i}")
    yield "seg-score-voc"


def _torchvision_resnet():
    yield from ("conv1", "bn1")
    for stage, blocks in enumerate((3, 4, 23, 3), 1):
        for block in range(blocks):
            for i in (1, 2, 3):
                yield from (f"layer{stage}.{block}.conv{i}", f"layer{stage}.{block}.bn{i}")
            if block == 0:
                yield from (f"layer{stage}.0.downsample.0", f"layer{stage}.0.downsample.1")


def _kazuto_resnet():
    yield from ("layer1.conv1.conv", "layer1.conv1.bn")
    for layer, blocks in {2: 3, 3: 4, 4: 23, 5: 3}.items():
        for block in range(1, blocks + 1):
            for unit in ("reduce", "conv3x3", "increase", *(["shortcut"] if block == 1 else [])):
                yield from (f"layer{layer}.block{block}.{unit}.conv", f"layer{layer}.block{block}.{unit}.bn")


def _caffe_resnet():
    yield from ("conv1", "bn_conv1")
    fourth = [f"4b{i}" for i in range(1, 23)]
    for block in ["2a", "2b", "2c", "3a", "3b1", "3b2", "3b3", "4a", *fourth, "5a", "5b", "5c"]:
        for branch in ("2a", "2b", "2c", *(["1"] if block[1:] == "a" else [])):
            yield from (f"res{block}_branch{branch}", f"bn{block}_branch{branch}")


SCALES = ("data", "pool1", "pool2", "pool3", "pool4")
MSC = [f"{scale}_{layer}" for scale in SCALES for layer in ("conv", "fc", "ms")]
TORCHVISION_RESNET = list(_torchvision_resnet())
KAZUTO_RESNET = list(_kazuto_resnet())
CAFFE_RESNET = list(_caffe_resnet())
LARGE_FOV = [*CONVS, "fc6", "fc7", "fc8_voc12"]
ASPP = [*CONVS, *(f"{layer}_{i}" for i, layer in itertools.product((1, 2, 3, 4), ("fc6", "fc7", "fc8_voc12")))]
FCN = [*CONVS, "fc6", "fc7", "score_fr"]
DECONVNET = list(_deconvnet())


# ---- files of networks too large for tests: every tensor is one number everywhere and takes no memory ----------


def meta(name, n_classes=3):
    with torch.device("meta"):
        return deeplab.build(name, n_classes)


def modules(network):
    """Names and shapes of the tensors of every module: all that a file has to supply."""
    found = {}
    for name, tensor in network.state_dict().items():
        module, _, parameter = name.rpartition(".")
        if parameter != "num_batches_tracked":
            found.setdefault(module, {})[parameter] = tensor.shape
    return found


def marked(shape, mark):
    return torch.tensor([float(mark)]).as_strided(tuple(shape), (0,) * len(shape))


def marked_blob(shape, mark):
    return np.lib.stride_tricks.as_strided(np.float32([mark]), tuple(shape), (0,) * len(shape))


def placed(monkeypatch, network, path, **options):
    """What weights.load would put into a network, and what it returns."""
    state = {}
    with monkeypatch.context() as patch:
        patch.setattr(torch.nn.Module, "load_state_dict", lambda module, weights, strict: state.update(weights))
        left = weights.load(network, path, **options)
    return state, left
