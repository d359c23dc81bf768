"""What a network says of every pixel: of a picture seen once, in several ways or in tiles; or as stored in files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deeplab.crf import CANVAS, network_input
from deeplab.parts import Network, resize
from densecrf import _files

LEAST = 1e-30  # under the logarithm: nothing is impossible


class Scorer(Protocol):
    """Gives the logits ``(L, H, W)`` of a picture ``(H, W, 3)``, uint8 and RGB, that has a name."""

    def __call__(self, name: str, image: NDArray[np.uint8]) -> Tensor:
        """The logits, on the device that the CRF is to run on."""


@dataclass(frozen=True)
class Views:
    """How a network is shown a picture.

    Attributes:
        scales: sizes of the picture, as factors; the soft-max of all is averaged at the size of the picture.
        flip: show every size also from left to right.
        tile: the side of squares that larger pictures are cut into, for networks and memories that cannot take all of
            Cityscapes' 2048 x 1024; None does not cut. Those of DeepLab v2 overlap; their size was not published.
        overlap: by how many pixels neighbouring tiles overlap at least; scores are averaged there.

    Raises:
        ValueError: a scale, tile or overlap that cannot be.
    """

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    tile: int | None = None
    overlap: int = 0

    def __post_init__(self) -> None:
        if not self.scales or min(self.scales) <= 0:
            raise ValueError(f"scales must be positive factors such as 0.5,0.75,1; got {self.scales}")
        if self.overlap < 0 or (self.tile is None and self.overlap):
            raise ValueError(f"the overlap must be at least 0, and needs a tile size; got {self.overlap}")
        if self.tile is not None and self.tile <= self.overlap:
            raise ValueError(f"tiles must be larger than their overlap; got {self.tile} and {self.overlap}")


class NetworkScores:
    """The scores of a network in evaluation mode; a `Scorer`.

    Seen in a single way, these are the network's logits, as `deeplab.Segmenter` has them; otherwise the logarithm of
    an average of probabilities, which the CRF and an argmax take alike.
    """

    def __init__(self, network: Network, views: Views | None = None) -> None:
        self.network = network.eval()
        self.views = views or Views()

    @torch.no_grad()
    def __call__(self, name: str, image: NDArray[np.uint8]) -> Tensor:
        """Ignores the name."""
        device = next(self.network.parameters()).device
        picture = torch.from_numpy(image).to(device, torch.float32).movedim(-1, 0)[None]
        ways = [(scale, flipped) for scale in self.views.scales for flipped in (False, True)[: 1 + self.views.flip]]
        if len(ways) == 1:
            return self._seen(picture, *ways[0])[0]
        total = sum(self._seen(picture, *way).softmax(1)[0] for way in ways)  # one at a time: they are large
        return torch.as_tensor(total / len(ways)).clamp_min(LEAST).log()

    def _seen(self, picture: Tensor, scale: float, flipped: bool) -> Tensor:
        """Scores ``(1, L, H, W)`` of the picture ``(1, 3, H, W)`` at another size, flipped or not."""
        height, width = picture.shape[-2:]
        # Corners stay on corners, as in the networks' own multi-scale: 321 to 161.
        view = resize(picture, (round((height - 1) * scale) + 1, round((width - 1) * scale) + 1))
        scores = self._tiled(view.flip(-1)).flip(-1) if flipped else self._tiled(view)
        return resize(scores, (height, width))

    def _tiled(self, picture: Tensor) -> Tensor:
        """Scores at the size of the picture, averaged where tiles overlap."""
        height, width = picture.shape[-2:]
        size = self.views.tile or max(height, width)
        total: Tensor | None = None
        count = picture.new_zeros(height, width)
        for top in starts(height, size, self.views.overlap):
            for left in starts(width, size, self.views.overlap):
                tile = (..., slice(top, top + size), slice(left, left + size))
                scores = self._whole(picture[tile])
                total = scores.new_zeros(1, scores.shape[1], height, width) if total is None else total
                total[tile] += scores
                count[tile] += 1
        assert total is not None  # there is always a tile
        return total / count

    def _whole(self, picture: Tensor) -> Tensor:
        height, width = picture.shape[-2:]
        canvas = min(CANVAS, self.views.tile or CANVAS)  # smaller tiles are no reason to compute a canvas around them
        return self.network.full_scores(network_input(picture.movedim(1, -1), canvas))[..., :height, :width]


def starts(side: int, tile: int, overlap: int) -> list[int]:
    """Where tiles start along a side: one ends with it, neighbours overlap by as much as asked, or more at the end."""
    last = max(0, side - tile)
    return [*range(0, last, tile - overlap), last]


class StoredScores:
    """Logits in a folder, NAME.npy or NAME.npz with one array in it, of any network; a `Scorer`.

    They are ``(L, H, W)`` at the size of the picture, or smaller: then they are stretched to it, corners on corners.
    """

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        self.folder = folder
        self.device = device

    def require(self, names: Sequence[str]) -> None:
        """Raises a ValueError where pictures have no scores."""
        missing = [name for name in names if self._path(name) is None]
        if missing:
            raise ValueError(
                f"{self.folder} has no scores of {len(missing)} of {len(names)} pictures, such as {missing[0]}.npy; "
                "store float32 logits (classes, height, width) for every picture, with numpy.save"
            )

    def __call__(self, name: str, image: NDArray[np.uint8]) -> Tensor:
        """Stretches them where they are smaller than the picture."""
        path = self._path(name)
        if path is None:
            raise ValueError(f"{self.folder} has no {name}.npy")
        found = _files.read_array(path).values
        height, width = image.shape[:2]
        if found.ndim != 3 or found.size == 0 or found.shape[1] > height or found.shape[2] > width:
            raise ValueError(
                f"{path} is {tuple(found.shape)}; it must be (classes, height, width), and no larger than the "
                f"picture, which is {height} x {width}"
            )
        scores = torch.from_numpy(found.astype(np.float32)).to(self.device)
        return scores if scores.shape[1:] == (height, width) else resize(scores[None], (height, width))[0]

    def _path(self, name: str) -> Path | None:
        paths = [self.folder / f"{name}{suffix}" for suffix in (".npy", ".npz")]
        return next((path for path in paths if path.is_file()), None)


def store(scorer: Scorer, folder: Path, name: str, image: NDArray[np.uint8]) -> None:
    """Writes a picture's scores where `StoredScores` finds them, whole or not at all; what is there already stays."""
    path = folder / f"{name}.npy"
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        np.save(file, scorer(name, image).cpu().numpy())
    os.replace(unfinished, path)
