"""From pictures to labels: a network, its scores at every pixel, and the fully connected CRF behind it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import densecrf.torch
from deeplab.parts import Network
from densecrf._features import resolve_terms
from densecrf._files import write_labels

# Of ImageNet's pictures: blue, green, red, 0 to 255; what the released networks of all papers subtract.
MEAN = (104.008, 116.669, 122.675)

# What the authors test on: pictures of PASCAL VOC, at most 500 x 500, lie top left on a canvas of the mean
# (v2's test.prototxt). Larger ones get the next size of 8 k + 1, which the networks' strides divide without rest.
CANVAS = 513


class Segmenter(nn.Module):
    """A network and the fully connected CRF as its last layer, without gradient, as in DeepLab's papers.

    The CRF sees the picture itself, not what the network is fed: neither padding, nor pictures minus their mean.

    Args:
        network: from ``(B, 3, H, W)``, BGR minus `MEAN`, to scores.
        preset: the CRF's parameters, a name of ``densecrf.presets``: "deeplab-v2" for ResNet-101, "deeplab-v2-vgg",
            "deeplab-v1", "deeplab-v1-msc", "deeplab-v1-coco", "edeconvnet". These are of PASCAL VOC; those of
            PASCAL-Context, Person-Part and Cityscapes were not published.
        normalization: of the kernels; None as the preset has it: "after" is what DeepLab's own program does,
            "symmetric" what pydensecrf does.
        iterations: of mean field; the papers run 10.
        canvas: pictures lie top left on a canvas of the mean, at least so large; 513 is what the authors test on.
            Smaller ones take less time and change what the network sees near the right and lower border.
    """

    def __init__(
        self,
        network: Network,
        *,
        preset: str = "deeplab-v2",
        normalization: Literal["after", "symmetric"] | None = None,
        iterations: int = 10,
        canvas: int = CANVAS,
    ) -> None:
        super().__init__()
        self.network = network
        self.canvas = canvas
        terms = resolve_terms("deeplab.Segmenter", None, preset)
        if normalization is not None:
            terms = [dataclasses.replace(term, normalization=normalization) for term in terms]
        self.crf = densecrf.torch.DenseCRF(terms=terms, iterations=iterations)

    @torch.no_grad()
    def scores(self, pictures: Any) -> Tensor:
        """What the network says of pictures ``(B, H, W, 3)``: logits ``(B, n_classes, H, W)``, without the CRF."""
        tensor = self._on_device(pictures)
        height, width = tensor.shape[1:3]
        return self.network.full_scores(network_input(tensor, self.canvas))[..., :height, :width]

    @torch.no_grad()
    def forward(self, pictures: Any) -> Tensor:
        """Marginals ``(B, n_classes, H, W)`` of pictures ``(B, H, W, 3)``: uint8, RGB; NumPy or torch."""
        tensor = self._on_device(pictures)
        marginals: Tensor = self.crf(tensor.movedim(-1, 1), self.scores(tensor))
        return marginals

    def labels(self, pictures: Any) -> Tensor:
        """The likeliest label of every pixel: ``(B, H, W)``, int64."""
        marginals: Tensor = self(pictures)
        return marginals.argmax(dim=1)

    def _on_device(self, pictures: Any) -> Tensor:
        tensor = pictures if isinstance(pictures, Tensor) else torch.from_numpy(np.array(pictures))
        if tensor.ndim != 4 or tensor.shape[-1] != 3 or tensor.dtype != torch.uint8:
            raise ValueError(
                f"deeplab.Segmenter: pictures must be uint8 of shape (B, H, W, 3), "
                f"got {tensor.dtype} of shape {tuple(tensor.shape)}; for one picture, pictures[None]"
            )
        return tensor.to(next(self.network.parameters()).device)


def network_input(pictures: Tensor, canvas: int = CANVAS) -> Tensor:
    """Pictures ``(B, H, W, 3)``, RGB, as the networks take them: ``(B, 3, h, w)`` float32, BGR minus the mean, padded.

    h and w are the canvas, or for larger pictures the next number of the form 8 k + 1. What is padded, to the right and
    below, is the mean itself.
    """
    bgr = pictures.flip(-1).to(torch.float32) - torch.tensor(MEAN, device=pictures.device)
    height, width = pictures.shape[1:3]
    size = [max(canvas, -(-(side - 1) // 8) * 8 + 1) for side in (height, width)]
    return functional.pad(bgr.movedim(-1, 1), (0, size[1] - width, 0, size[0] - height))


def save_labels(path: str | Path, labels: Any) -> None:
    """Writes labels ``(H, W)``, 0 to 255, as a PNG with PASCAL VOC's palette, whole or not at all; needs Pillow."""
    values = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    write_labels(path, values)
