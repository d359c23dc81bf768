"""From a sample of a data set to what a network is trained with: scaled, mirrored, padded and cut out.

Everything that is drawn depends on the seed and on the place in the run alone: the n-th picture of a run is the same
in a run that was resumed there, with more processes, or with more readers.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from deeplab.config import Config, Input
from deeplab.crf import MEAN
from deeplab.data import VOID, DataSet, Sample

ORDER, AUGMENTATION, DROPOUT = range(3)  # one stream of random numbers each


class Stream(Dataset[tuple[Tensor, Tensor]]):
    """The pictures of a run, one after another: every epoch has all of them, in an order of its own."""

    def __init__(self, data: DataSet, config: Config) -> None:
        self.data = data
        self.input = config.input
        self.seed = config.run.seed

    def __getitem__(self, n: int) -> tuple[Tensor, Tensor]:
        epoch, place = divmod(n, len(self.data))
        order = random(self.seed, ORDER, epoch).permutation(len(self.data))
        return augmented(self.data[int(order[place])], self.input, random(self.seed, AUGMENTATION, n))


def places(config: Config, iteration: int, rank: int, n_processes: int) -> Iterator[list[int]]:
    """Where in the run the pictures of a process lie, a list for every pass, from an iteration to the end."""
    size = config.solver.batch // config.solver.accumulate  # pictures of a pass
    share = size // n_processes
    for i in range(iteration * config.solver.accumulate, config.solver.iterations * config.solver.accumulate):
        start = i * size + rank * share
        yield list(range(start, start + share))


def random(*key: int) -> np.random.Generator:
    """Random numbers that depend on some numbers."""
    return np.random.default_rng(key)


def augmented(sample: Sample, how: Input, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A picture ``(3, h, w)``, BGR minus the mean, and its labels ``(h, w)``, int64, after one draw of everything.

    The picture is padded with the mean and the labels with `VOID`, below and to the right, then cut out anywhere
    (image_data_layer of DeepLab's Caffe).
    """
    image = network_image(sample.image)
    labels = torch.from_numpy(sample.labels.astype(np.int64))
    image, labels = scaled(image, labels, float(rng.choice(how.scales)))
    if how.mirror and rng.random() < 0.5:
        image, labels = image.flip(-1), labels.flip(-1)
    return cut(image, labels, how.crop, rng) if how.crop else (image, labels)


def network_image(image: NDArray[np.uint8]) -> Tensor:
    """A picture ``(H, W, 3)``, RGB, as ``(3, H, W)``, BGR minus the mean."""
    bgr = image[..., ::-1].astype(np.float32) - np.array(MEAN, np.float32)
    return torch.from_numpy(bgr).movedim(-1, 0)


def scaled(image: Tensor, labels: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Both at another size: the picture bilinear, each label that of the nearest pixel."""
    if scale == 1:
        return image, labels
    size = [max(1, round(side * scale)) for side in labels.shape]
    nearest = functional.interpolate(labels[None, None].float(), size, mode="nearest-exact")
    return functional.interpolate(image[None], size, mode="bilinear")[0], nearest[0, 0].long()


def cut(image: Tensor, labels: Tensor, side: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A square of both, where both are padded if they are smaller."""
    below, right = (max(0, side - have) for have in labels.shape)
    image = functional.pad(image, (0, right, 0, below))
    labels = functional.pad(labels, (0, right, 0, below), value=VOID)
    top, left = (int(rng.integers(have - side + 1)) for have in labels.shape)
    here = (..., slice(top, top + side), slice(left, left + side))
    return image[here].contiguous(), labels[here].contiguous()
