"""Pictures with a network's probabilities and with the truth, of real data sets, for what measures quality.

None of them is shipped: PASCAL VOC 2012, MSRC-21 and CamVid are looked for in `$DENSECRF_DATA` and ../shared/data.
CamVid's probabilities come from networks that were trained here (`benchmarks/camvid`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import workloads
from benchmarks.workloads import DATA, MissingError, Probs
from deeplab import commands, weights
from deeplab.data import Borders, open_data
from deeplab.scores import NetworkScores, Scorer
from densecrf.data import VOC_LABELS

Bytes = NDArray[np.uint8]

MSRC_LABELS = (
    "building", "grass", "tree", "cow", "sheep", "sky", "aeroplane", "water", "face", "car", "bicycle", "flower",
    "sign", "bird", "book", "chair", "road", "cat", "dog", "body", "boat",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Labelled:
    """One picture.

    Attributes:
        name: of its file.
        image: uint8 [H, W, 3].
        probs: float32 [L, H, W], what a network says.
        truth: uint8 [H, W], 255 where nobody knows.
    """

    name: str
    image: Bytes
    probs: Probs
    truth: Bytes


@dataclass(frozen=True, eq=False)
class Collection:
    """Pictures that are measured together.

    Attributes:
        name: what tables call it.
        about: which pictures, and which network.
        classes: names of the labels.
        borders: what the bands are around, see `deeplab.metrics.trimap`.
        names: of the pictures.
        read: gives the picture of a name.
    """

    name: str
    about: str
    classes: Sequence[str]
    borders: Borders
    names: Sequence[str]
    read: Callable[[str], Labelled]

    def __iter__(self) -> Iterator[Labelled]:
        return map(self.read, self.names)

    def __len__(self) -> int:
        return len(self.names)


def voc() -> Collection:
    """Five pictures of PASCAL VOC 2012's val, with the logits of a DeepLabv3 on MobileNetV2."""
    about = f"PASCAL VOC 2012, {len(workloads.VOC)} pictures, DeepLabv3-MobileNetV2 (output stride 16)"
    return Collection("VOC", about, VOC_LABELS, "void", workloads.VOC, _voc)


def _voc(name: str) -> Labelled:
    image, probs = workloads.voc(name)
    return Labelled(name, image, probs, _labels(DATA / "voc" / f"{name}.png"))


def msrc() -> Collection:
    """Two pictures of MSRC-21, with the probabilities of TextonBoost that Krähenbühl & Koltun used."""
    names = sorted(path.name.removesuffix("_probs.npz") for path in (DATA / "msrc").glob("*_probs.npz"))
    if not names:
        raise MissingError(f"there is no {DATA / 'msrc'}; DENSECRF_DATA names the folder that msrc/ lies in")
    about = f"MSRC-21, {len(names)} pictures, TextonBoost"
    return Collection("MSRC", about, MSRC_LABELS, "either", names, _msrc)


def _msrc(name: str) -> Labelled:
    folder = DATA / "msrc"
    with np.load(folder / f"{name}_probs.npz") as file:
        probs = (file["probs"] / 1000).astype(np.float32)
    with Image.open(folder / f"{name}.png") as picture:
        return Labelled(name, np.array(picture.convert("RGB")), probs, _labels(folder / f"{name}_label.png"))


def camvid(recipe: Path, trained: Path, split: str = "val", limit: int | None = None) -> Collection:
    """CamVid, with the probabilities of a network that was trained with a recipe."""
    if not (DATA / "camvid").is_dir():
        raise MissingError(f"there is no {DATA / 'camvid'}; DENSECRF_DATA names the folder that camvid/ lies in")
    if not trained.is_file():
        raise MissingError(f"there is no {trained}; make train, or python -m deeplab train {recipe}")
    data = open_data("camvid", DATA / "camvid", split).subset(slice(limit))
    scorer = camvid_scorer(recipe, trained)

    def read(name: str) -> Labelled:
        (sample,) = data.subset([name])
        return Labelled(name, sample.image, scorer(name, sample.image).softmax(0).numpy(), sample.labels)

    about = f"CamVid {split}, {len(data)} pictures, {recipe.stem} trained here"
    return Collection("CamVid", about, data.class_names, data.borders, data.names, read)


def camvid_scorer(recipe: Path, trained: Path) -> Scorer:
    """A trained network."""
    network = commands.built(str(recipe), 11)
    weights.load(network, trained)
    return NetworkScores(network)


def _labels(path: Path) -> Bytes:
    """The indices of a palette's colours."""
    with Image.open(path) as file:
        return np.array(file)
