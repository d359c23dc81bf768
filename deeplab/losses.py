"""What is minimised: the cross entropy of scores and labels, where the network computes scores."""

from __future__ import annotations

import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn import functional

from deeplab.data import VOID
from deeplab.deeplab_v2 import MultiScale
from deeplab.parts import Network, resize

STEPS = (1, 8, 16)  # from score to score: FCN and DeconvNet, DeepLab, DeepLab at scale 0.5


class TrainingLoss(nn.Module):
    """The loss of a network for pictures ``(B, 3, H, W)`` and their labels ``(B, H, W)``.

    Where several processes train, it is that of their pictures together, such that the mean of their gradients is the
    gradient of one process that has all pictures.

    Args:
        network: a `MultiScale` gives DeepLab v2's four terms.
        mean: over all pixels that have a label; otherwise the sum.
    """

    def __init__(self, network: Network, mean: bool) -> None:
        super().__init__()
        self.network = network
        self.mean = mean
        inner = network.network if isinstance(network, MultiScale) else network
        self.origin = int(getattr(inner, "origin", 0))  # of DeepLab's scores

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Gives the sum of the terms."""
        terms = [self.term(scores.float(), labels) for scores in outputs(self.network, images)]
        return torch.stack(terms).sum()

    def check(self, images: Tensor) -> None:
        """Raises the ValueError of `labels_at` if the network's scores for such pictures do not lie on pixels."""
        for scores in outputs(self.network, images):
            labels_at(images[:, 0], scores, self.origin)

    def term(self, scores: Tensor, labels: Tensor) -> Tensor:
        """The cross entropy of one map of scores."""
        labels = labels_at(labels, scores, self.origin)
        total = functional.cross_entropy(scores, labels, ignore_index=VOID, reduction="sum")
        n_processes = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
        count = (labels != VOID).sum()
        if n_processes > 1:
            torch.distributed.all_reduce(count)
        return total * n_processes / (count.clamp(min=1) if self.mean else 1)


def outputs(network: Network, images: Tensor) -> list[Tensor]:
    """The maps of scores that have a loss each: one, or DeepLab v2's four (train.prototxt of its ResNet-101).

    Those are the maximum over scales, scale 1, scale 0.75 at the size of scale 1, and scale 0.5 at its own.
    """
    if not isinstance(network, MultiScale):
        return [network(images)]
    large, middle, small = scales = network.scales(images)
    height, width = large.shape[-2:]
    return [network.fuse(scales), large, resize(middle, (height, width)), small]


def labels_at(labels: Tensor, scores: Tensor, origin: int = 0) -> Tensor:
    """The labels ``(B, H, W)`` of the pixels that scores ``(B, C, h, w)`` lie on, every eighth for example.

    The authors' `Interp` layer with a shrink factor: for sizes of 8k + 1 it takes single pixels and mixes none.

    Args:
        labels: of pictures.
        scores: of the network, for these pictures.
        origin: the row and column of the first score.

    Raises:
        ValueError: scores do not lie on pixels.
    """
    size = scores.shape[2:]
    for step in STEPS:
        taken = labels[:, origin::step, origin::step]
        if taken.shape[1:] == size:
            return taken
    raise ValueError(
        f"input.crop: {tuple(size)} scores for pictures of {tuple(labels.shape[1:])} do not lie on every eighth pixel; "
        f"DeepLab needs 8k + 1 pixels, DeepLab v1 before LargeFOV 8k + 2"
    )
