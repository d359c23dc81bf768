"""The networks of the DeepLab papers and of those they compare with, in plain PyTorch, layer by layer.

>>> import deeplab, torch
>>> network = deeplab.build("deeplab-v2-resnet101-aspp").eval()
>>> images = torch.zeros(1, 3, 321, 321)  # BGR, 0 to 255, the mean subtracted
>>> network(images).shape  # where the network computes them
torch.Size([1, 21, 41, 41])
>>> network.full_scores(images).shape  # at every pixel
torch.Size([1, 21, 321, 321])
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from deeplab import deeplab_v1, deeplab_v2, heads, weights
from deeplab.crf import Segmenter, save_labels
from deeplab.deconvnet import DeconvNet
from deeplab.deeplab_v2 import ASPP_L, ASPP_S, MultiScale
from deeplab.fcn import FCN
from deeplab.heads import field_of_view
from deeplab.parts import PUBLISHED, Network, Variant
from densecrf import _check

__all__ = ["MultiScale", "Network", "Segmenter", "build", "field_of_view", "names", "save_labels", "weights"]

_NETWORKS: dict[str, Callable[..., Network]] = {
    "fcn32s": partial(FCN, stride=32),
    "fcn16s": partial(FCN, stride=16),
    "fcn8s": partial(FCN, stride=8),
    "deconvnet": DeconvNet,
    "deeplab-v1": partial(deeplab_v1.deeplab, kernel=4, rate=4),
    "deeplab-v1-7x7": partial(deeplab_v1.deeplab, kernel=7, rate=4),
    "deeplab-v1-4x4-r8": partial(deeplab_v1.deeplab, kernel=4, rate=8),
    "deeplab-v1-largefov": deeplab_v1.large_fov,
    "deeplab-v1-msc": deeplab_v1.msc,
    "deeplab-v1-msc-largefov": deeplab_v1.msc_large_fov,
    "deeplab-v2-vgg16-largefov": partial(deeplab_v2.vgg16, head=heads.vgg_large_fov),
    "deeplab-v2-vgg16-aspp-s": partial(deeplab_v2.vgg16, head=partial(heads.vgg_aspp, rates=ASPP_S)),
    "deeplab-v2-vgg16-aspp-l": partial(deeplab_v2.vgg16, head=partial(heads.vgg_aspp, rates=ASPP_L)),
    "deeplab-v2-resnet101": partial(deeplab_v2.resnet101, head=heads.resnet_plain),
    "deeplab-v2-resnet101-largefov": partial(deeplab_v2.resnet101, head=heads.resnet_large_fov),
    "deeplab-v2-resnet101-aspp": partial(deeplab_v2.resnet101, head=partial(heads.resnet_aspp, rates=ASPP_L)),
}

# What there is in other widths: DeepLab on VGG-16, but for MSc, whose branches look at layers of a fixed width.
_RESIZABLE = [name for name in _NETWORKS if name.startswith("deeplab") and "-msc" not in name and "resnet" not in name]


def names() -> list[str]:
    """What `build` knows, in the order of the papers."""
    return list(_NETWORKS)


def build(name: str, n_classes: int = 21, *, width: float = 1.0, batch_norm: bool = False) -> Network:
    """A network as its paper has it, with new layers initialised as there and all others as torch does it.

    The papers start from VGG-16 or ResNet-101 trained on ImageNet. A network is in training mode at first, as ever in
    torch: dropout is on until ``eval()``. ``with torch.device("meta")`` builds one without memory for its weights.

    Args:
        name: one of `names`.
        n_classes: channels of the scores, the background included: 21 for PASCAL VOC.
        width: channels of all other layers, as a factor, for DeepLab on VGG-16: 0.25 is a sixteenth of the arithmetic.
        batch_norm: whether batch normalisation follows the convolutions of DeepLab on VGG-16, which is to be trained
            from scratch then: the published ones start from ImageNet and have none.

    Returns:
        A module from ``(B, 3, H, W)`` to scores; see `Network`.

    Raises:
        TypeError, ValueError: there is no network of that name, or not in that width or with batch normalisation;
            n_classes is no integer from 1 up.
    """
    function = "deeplab.build"
    if not isinstance(name, str) or name not in _NETWORKS:
        raise ValueError(f"{function}: no network {_check.shown(name)}; there are {', '.join(_NETWORKS)}")
    n_classes = _check.integer(function, "n_classes", n_classes, -(2**31))
    if n_classes < 1:
        raise ValueError(f"{function}: n_classes must be at least 1, got {n_classes}")
    variant = Variant(_check.finite(function, "width", width), _check.flag(function, "batch_norm", batch_norm))
    if variant == PUBLISHED:
        return _NETWORKS[name](n_classes)
    if name not in _RESIZABLE:
        raise ValueError(
            f"{function}: {name!r} has its published width and normalisation only; for others there are "
            f"{', '.join(_RESIZABLE)}"
        )
    if not 0 < variant.width <= 16:
        raise ValueError(f"{function}: width must be above 0 and at most 16, got {variant.width:g}")
    return _NETWORKS[name](n_classes, variant=variant)
