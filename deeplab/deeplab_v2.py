"""DeepLab v2: Chen, Papandreou, Kokkinos, Murphy & Yuille, TPAMI 2018 (arXiv 1606.00915): ASPP, ResNet, max fusion.

Input as for DeepLab v1: BGR, 0 to 255, minus (104.008, 116.669, 122.675), padded with zeros at the bottom and the right
to 321 for training and 513 for tests.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor, nn

from deeplab.deeplab_v1 import DeepLab
from deeplab.parts import PUBLISHED, Network, Variant, resize
from deeplab.resnet import ResNet101
from deeplab.vgg import VGG16, aligned_pools

ASPP_S = (2, 4, 8, 12)
ASPP_L = (6, 12, 18, 24)


def vgg16(n_classes: int, head: Callable[..., nn.Module], variant: Variant = PUBLISHED) -> DeepLab:
    """VGG-16 without the pool5a of v1; whether the paper's LargeFOV still had it was not found. 321 to 41."""
    return DeepLab(VGG16(aligned_pools(), dilation=2, variant=variant), head(n_classes, variant=variant))


def resnet101(n_classes: int, head: Callable[[int], nn.Module]) -> DeepLab:
    """ResNet-101 with output stride 8; 321 to 41. The heads other than ASPP follow the paper's text (section 4.1.2)."""
    return DeepLab(ResNet101(), head(n_classes))


class MultiScale(Network):
    """A network on the picture at scales 1, 0.75 and 0.5; the largest score wins (DeepLab v2, section 4.1.2, "MSC").

    The authors' training loss has four terms: the fused scores, those of scale 1, those of 0.75 resized to the size of
    the former, and those of 0.5 as they are. `scales` gives what it takes, `fuse` the first.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """The fused scores, where the network alone would give its own."""
        return self.fuse(self.scales(images))

    def scales(self, images: Tensor) -> list[Tensor]:
        """Scores at scales 1, 0.75 and 0.5, each at its own size: 41, 31 and 21 for a picture of 321."""
        height, width = images.shape[-2:]
        smaller = [resize(images, ((height - 1) * n // d + 1, (width - 1) * n // d + 1)) for n, d in ((3, 4), (1, 2))]
        return [self.network(x) for x in (images, *smaller)]

    def fuse(self, scores: list[Tensor]) -> Tensor:
        """The maximum over scales, at the size of the first."""
        height, width = scores[0].shape[-2:]
        return reduce(torch.maximum, [scores[0], *(resize(x, (height, width)) for x in scores[1:])])

    def upsample(self, scores: Tensor, size: tuple[int, int]) -> Tensor:
        """As the network does it."""
        return self.network.upsample(scores, size)
