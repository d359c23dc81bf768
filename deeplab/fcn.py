"""Fully convolutional networks: Long, Shelhamer & Darrell, CVPR 2015 (arXiv 1411.4038), on VGG-16.

Input: BGR, 0 to 255, minus (104.00699, 116.66877, 122.67892), of any size. Scores come at that size: transposed
convolutions and crops are part of the network. The crops' offsets are those of the authors' release; they hold for
every size because conv1_1 pads the picture by 100.

The score layers start at zero: 16s is meant to be trained from 32s, and 8s from 16s.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from deeplab.heads import vgg_head
from deeplab.parts import Network, gaussian
from deeplab.vgg import VGG16, classic_pools

# Skips and the offset of the last crop, for every stride.
TAILS = {32: (0, 19), 16: (1, 27), 8: (2, 31)}


class FCN(Network):
    """FCN-32s, 16s or 8s, by ``stride``: ``(B, 3, H, W)`` to ``(B, n_classes, H, W)``.

    The scores of stride 32 are zoomed by 2 and those of pool4 added; for 8s that again, with pool3; the rest is zoomed
    at once. In the authors' names: ``skips`` are score_pool4 and score_pool3, ``zooms`` upscore2 and upscore_pool4,
    ``upscore`` is upscore, upscore16 or upscore8, and fc8 of ``head`` is score_fr.
    """

    def __init__(self, n_classes: int, stride: int) -> None:
        super().__init__()
        n_skips, self.offset = TAILS[stride]
        self.body = VGG16(classic_pools(), border=100)
        self.head = vgg_head(n_classes, kernel=7, rate=1, width=4096, padding=0)
        nn.init.zeros_(self.head.get_parameter("fc8.weight"))
        skips = [gaussian(nn.Conv2d(channels, n_classes, 1), std=0.0) for channels in (512, 256)]
        self.skips = nn.ModuleList(skips[:n_skips])
        self.zooms = nn.ModuleList(bilinear(n_classes, 2) for _ in self.skips)
        self.upscore = bilinear(n_classes, stride).requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """Gives scores at the size of the pictures."""
        *_, pool3, pool4, pool5 = self.body.pooled(images)
        scores: Tensor = self.head(pool5)
        for zoom, skip, pooled, offset in zip(self.zooms, self.skips, (pool4, pool3), (5, 9), strict=False):
            scores = zoom(scores)
            scores = scores + crop(skip(pooled), scores, offset)
        return crop(self.upscore(scores), images, self.offset)


def crop(x: Tensor, like: Tensor, offset: int) -> Tensor:
    """The part of x that has the height and width of ``like`` and starts at (offset, offset)."""
    height, width = like.shape[-2:]
    return x[..., offset : offset + height, offset : offset + width]


def bilinear(n_classes: int, factor: int) -> nn.ConvTranspose2d:
    """Zoom by a factor of 2, 8, 16 or 32, each class by itself, as a transposed convolution that can be trained.

    The paper learns all but the last of a network; the authors' release keeps all of them as they are, which
    ``layer.requires_grad_(False)`` does.
    """
    layer = nn.ConvTranspose2d(n_classes, n_classes, 2 * factor, stride=factor, bias=False)
    slope = 1 - (torch.arange(2 * factor) - (factor - 0.5)).abs() / factor  # [2 * factor], a tent
    with torch.no_grad():
        layer.weight.copy_(torch.eye(n_classes)[:, :, None, None] * torch.outer(slope, slope))
    return layer
