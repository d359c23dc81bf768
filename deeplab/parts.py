"""What several of the networks share: the base class, bilinear zoom, sums of branches, and Gaussian initialisation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

Conv = TypeVar("Conv", nn.Conv2d, nn.ConvTranspose2d)


@dataclass(frozen=True)
class Variant:
    """How DeepLab's VGG-16 differs from the published one, so that it can be trained without ImageNet.

    Attributes:
        width: channels of all layers but the last, as a factor.
        batch_norm: whether a batch normalisation follows every convolution but the last.
    """

    width: float = 1.0
    batch_norm: bool = False

    def channels(self, published: int) -> int:
        """How many channels a layer has that has this many in the paper."""
        return max(1, round(published * self.width))


PUBLISHED = Variant()


class Network(nn.Module):
    """Pictures ``(B, 3, H, W)`` in, scores ``(B, n_classes, h, w)`` out: logits, from before the soft-max.

    ``network(images)`` gives the scores where the network computes them, for the training loss: every eighth pixel for
    DeepLab, every pixel for FCN and DeconvNet. ``network.full_scores(images)`` gives them at every pixel of the input.
    """

    def full_scores(self, images: Tensor) -> Tensor:
        """Scores ``(B, n_classes, H, W)``, made of the coarse ones as the authors' test networks do it."""
        height, width = images.shape[-2:]
        return self.upsample(self(images), (height, width))

    def upsample(self, scores: Tensor, size: tuple[int, int]) -> Tensor:
        """The output of ``forward`` at the size (H, W) of its input; here it has that size already."""
        return scores


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, corners on corners: the `Interp` layer of DeepLab's Caffe."""
    return functional.interpolate(x, size, mode="bilinear", align_corners=True)


def zoom(x: Tensor, factor: int) -> Tensor:
    """`Interp` with a zoom factor: values land on every ``factor``-th pixel, those between are interpolated."""
    height, width = x.shape[-2:]
    return resize(x, ((height - 1) * factor + 1, (width - 1) * factor + 1))


def upsample_by_8(scores: Tensor, size: tuple[int, int], origin: int) -> Tensor:
    """Scores that lie on the pixels origin, origin + 8, ... as scores ``(B, n_classes, *size)`` on all of them.

    For pictures of 8k + 1 pixels this is the authors' zoom by 8 and nothing else. For others it leaves every score on
    its pixel, which stretching to ``size`` would not; pixels beyond the outermost scores get the nearest one's.
    """
    height, width = size
    start = 8 - origin
    wide = zoom(functional.pad(scores, (1, 1, 1, 1), mode="replicate"), 8)
    return wide[..., start : start + height, start : start + width]


class Sum(nn.ModuleList):
    """Branches that look at the same input and whose scores are added up."""

    def forward(self, x: Tensor) -> Tensor:
        """Gives the sum of what every branch says about x."""
        scores: list[Tensor] = [branch(x) for branch in self]
        return reduce(torch.add, scores)


def gaussian(layer: Conv, std: float = 0.01) -> Conv:
    """The layer, with weights drawn from N(0, std^2) and a bias of zero, as in all the papers' new layers."""
    nn.init.normal_(layer.weight, std=std)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
