"""Real pictures with sharp, network-like scores, and parameter sets drawn at random: what drift is measured on.

Pictures are sampled down to some 8,000 pixels, every other one after its middle half was cut out. Scores are a real
network's where there are any; else made up from the annotation, or from how bright the picture is: labels on a grid
of one score per 16 pixels, bilinear between them, a sharp soft-max with exact zeros.

PASCAL VOC, MSRC-21 and CamVid are looked for in `$DENSECRF_DATA` and ../shared/data; scikit-image's pictures come in
its wheel.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from inputs import NORMALIZATIONS, softmax
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage import data as skimage_data

import densecrf
from benchmarks import workloads
from densecrf import Bilateral, DenseCRF, Gaussian, unary_from_probs
from densecrf import data as network

SIZES = ((80, 104), (76, 112), (96, 84), (88, 96), (72, 120))
LARGE = (160, 200)  # enough points for the core to cut the picture in two
PIXELS = 10000  # of a picture, or nearly
LABEL_COUNTS = (2, 3, 4, 5, 8, 9, 11, 16, 17, 21)
SHARPNESS = (10.0, 16.0, 24.0)  # by how much a made-up score leads
QUANTUM = 2.0**-20  # probabilities are multiples of this, so the small ones are 0

NETWORK = ("chelsea", "astronaut", "motorcycle")  # a network's scores come with the package
BRIGHT = ("coffee", "rocket", "retina", "hubble_deep_field", "immunohistochemistry", "camera", "coins")
MSRC = ("1_27_s", "2_14_s")
CAMVID = 33


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture [H, W, 3] or [H, W], uint8, and probabilities [L, H, W], float32."""

    name: str
    source: str
    image: NDArray[np.uint8]
    probs: NDArray[np.float32]

    @property
    def channel_axis(self) -> int | None:
        """As the library wants to be told."""
        return -1 if self.image.ndim == 3 else None


# ---- pictures -------------------------------------------------------------------------------------------------

Scores = Callable[[NDArray, NDArray], NDArray]  # rows [H], columns [W] -> probabilities [L, H, W]


def pictures() -> tuple[list[Scene], list[str]]:
    """Fifty scenes where everything is there, and what is missing."""
    scenes: list[Scene] = []
    missing = []
    for source, read in (("scikit-image", _skimage), ("VOC", _voc), ("MSRC", _msrc), ("CamVid", _camvid)):
        try:
            scenes += [
                _scene(f"{source} {name}", source, len(scenes) + i, *rest) for i, (name, *rest) in enumerate(read())
            ]
        except FileNotFoundError as error:
            missing.append(f"{source}: {error}")
    return scenes, missing


def with_network(name: str, number: int = 0) -> Scene:
    """One of the pictures for which the package has a network's scores."""
    return _scene(name, "scikit-image", number, network.photograph(name), _coarse(network.logits(name)))


def _scene(name: str, source: str, number: int, image: NDArray, scores: Scores) -> Scene:
    """The whole picture if its number is even, else its middle half."""
    size = LARGE if number % 20 == 0 and number else SIZES[number % len(SIZES)]
    part = 0.5 if number % 2 else 1.0
    rows, columns = (
        (whole - 1) / 2 * (1 + part * np.linspace(-1, 1, wanted))
        for whole, wanted in zip(image.shape, size, strict=False)
    )
    planes = [_sampled(plane, rows, columns) for plane in np.moveaxis(np.atleast_3d(image), -1, 0)]
    sampled = np.rint(np.stack(planes, axis=-1)).astype(np.uint8)
    probs = np.rint(scores(rows, columns) / QUANTUM) * QUANTUM
    return Scene(name, source, sampled if image.ndim == 3 else sampled[..., 0], probs.astype(np.float32))


def _sampled(plane: NDArray, rows: NDArray, columns: NDArray) -> NDArray:
    """Bilinear."""
    places = np.meshgrid(rows, columns, indexing="ij")
    return ndimage.map_coordinates(plane.astype(np.float64), places, order=1, mode="nearest")


def _coarse(scores: NDArray) -> Scores:
    """Logits [L, h, w] of output stride 16."""
    stride = network.STRIDE
    return lambda rows, columns: softmax(np.stack([_sampled(one, rows / stride, columns / stride) for one in scores]))


def _made_up(owner: NDArray[np.integer], number: int) -> Scores:
    """Scores of a network that finds segments [H, W] again, on its own grid."""
    labels = LABEL_COUNTS[number % len(LABEL_COUNTS)]
    seen = owner[:: network.STRIDE, :: network.STRIDE] % labels
    return _coarse(SHARPNESS[number % len(SHARPNESS)] * (seen == np.arange(labels)[:, np.newaxis, np.newaxis]))


def _skimage() -> Iterator[tuple[str, NDArray, Scores]]:
    for name in NETWORK:
        yield name, network.photograph(name), _coarse(network.logits(name))
    for number, name in enumerate(BRIGHT):
        image = getattr(skimage_data, name)()
        brightness = ndimage.gaussian_filter(np.atleast_3d(image).mean(axis=-1), 8)
        yield name, image, _made_up((brightness / 12).astype(np.int64), number)


def _voc() -> Iterator[tuple[str, NDArray, Scores]]:
    for name in workloads.VOC:
        with np.load(workloads.DATA / "voc" / f"{name}_logits.npz") as file:
            logits = (file["logits"].astype(np.float64) - int(file["zero_point"])) * float(file["scale"])
        yield name, _read(f"voc/{name}.jpg"), _coarse(logits)


def _msrc() -> Iterator[tuple[str, NDArray, Scores]]:
    for name in MSRC:
        with np.load(workloads.DATA / "msrc" / f"{name}_probs.npz") as file:
            probs = file["probs"] / 1000  # with exact zeros of its own; sums are off 1 by up to 0.002
        yield name, _read(f"msrc/{name}.png"), _nearest(probs)


def _nearest(probs: NDArray) -> Scores:
    return lambda rows, columns: probs[:, np.rint(rows).astype(int)][:, :, np.rint(columns).astype(int)]


def _camvid() -> Iterator[tuple[str, NDArray, Scores]]:
    folder = workloads.DATA / "camvid" / "train"
    names = sorted(path.stem for path in folder.glob("*.jpg"))
    if not names:
        raise FileNotFoundError(f"there are no pictures in {folder}")
    for number, name in enumerate(names[:: len(names) // CAMVID][:CAMVID]):
        yield name, _read(f"camvid/train/{name}.jpg"), _made_up(_indices(f"camvid/trainannot/{name}.png"), number)


def _read(path: str) -> NDArray[np.uint8]:
    with Image.open(workloads.DATA / path) as file:
        return np.array(file.convert("RGB"))


def _indices(path: str) -> NDArray[np.int64]:
    with Image.open(workloads.DATA / path) as file:
        return np.array(file).astype(np.int64)


# ---- parameter sets -------------------------------------------------------------------------------------------

Weights = Callable[[int, random.Random], object]


def _one_number(labels: int, rng: random.Random) -> float:
    return 1.0


def _one_per_label(labels: int, rng: random.Random) -> list[float]:
    return [rng.uniform(0.3, 1) for _ in range(labels)]


def _matrix(labels: int, rng: random.Random) -> list[list[float]]:
    """Every label attracts itself, and pushes the others away."""
    return [[1.0 if a == b else -rng.uniform(0, 0.3) for b in range(labels)] for a in range(labels)]


WEIGHTS: dict[str, Weights] = {"number": _one_number, "vector": _one_per_label, "matrix": _matrix}


@dataclass(frozen=True)
class TermPlan:
    """A term without its labels; srgb is None for a Gaussian, and weight is what its messages amount to."""

    sxy: tuple[float, float]
    srgb: float | None
    weight: float
    normalization: str
    compatibility: str
    seed: int

    def term(self, labels: int) -> Gaussian | Bilateral:
        """The term for so many labels."""
        share = np.array(WEIGHTS[self.compatibility](labels, random.Random(self.seed)))
        weight = (self.weight / self._size() * share).tolist()
        if self.srgb is None:
            return Gaussian(self.sxy, weight, self.normalization)
        return Bilateral(self.sxy, self.srgb, weight, self.normalization)

    def _size(self) -> float:
        """What a kernel adds up to at most that is not normalised, so that its messages are as large as the others'."""
        return min(2 * math.pi * self.sxy[0] * self.sxy[1], PIXELS) if self.normalization == "none" else 1.0


@dataclass(frozen=True)
class Setting:
    """One parameter set."""

    number: int
    plans: tuple[TermPlan, ...]
    iterations: int
    damping: float
    clip: float

    def terms(self, labels: int) -> list[Gaussian | Bilateral]:
        """The pairwise terms for so many labels."""
        return [plan.term(labels) for plan in self.plans]


def draw_settings(count: int, seed: int = 2011) -> list[Setting]:
    """The same ones on every machine, and the first of them the same for every count."""
    rng = random.Random(seed)
    return [_setting(number, rng) for number in range(count)]


def _setting(number: int, rng: random.Random) -> Setting:
    plans = tuple(_plan(rng) for _ in range(rng.choice((1, 2, 2, 3))))
    damping = rng.uniform(0.1, 0.7) if rng.random() < 0.2 else 0.0
    clip = rng.choice((1e-5, 1e-5, 1e-5, 1e-8, 1e-3, 0.02))
    return Setting(number, plans, rng.randint(1, 20), damping, clip)


def _plan(rng: random.Random) -> TermPlan:
    sx = _between(0.5, 200, rng)
    sy = _between(0.5, 200, rng) if rng.random() < 0.15 else sx
    srgb = rng.uniform(0.5, 60) if rng.random() < 0.55 else None
    normalization = rng.choice((*NORMALIZATIONS, "symmetric", "after"))
    weight = _between(0.1, 30, rng)
    compatibility = rng.choice(("number",) * 8 + ("vector", "matrix"))
    return TermPlan((sx, sy), srgb, weight, normalization, compatibility, rng.randrange(1 << 30))


def _between(least: float, most: float, rng: random.Random) -> float:
    """On a logarithmic scale."""
    return least * (most / least) ** rng.random()


# ---- answers --------------------------------------------------------------------------------------------------


def energies(scene: Scene, setting: Setting) -> NDArray[np.float32]:
    """What core and reference are both given, [L, H, W]."""
    return unary_from_probs(scene.probs, setting.clip)


def by_refine(setting: Setting) -> bool:
    """Whether `refine` can be asked, which knows no damping and clips at 1e-5; else a model is."""
    return setting.clip == 1e-5 and setting.damping == 0


def answer(scene: Scene, setting: Setting, label_tolerance: float = 0.0, put: Callable = np.asarray) -> NDArray:
    """The library's marginals; `put` moves arrays to where it is to work."""
    terms = setting.terms(len(scene.probs))
    if by_refine(setting):
        return densecrf.refine(
            put(scene.image),
            put(scene.probs),
            terms=terms,
            iterations=setting.iterations,
            label_tolerance=label_tolerance,
            channel_axis=scene.channel_axis,
        )
    crf = DenseCRF(put(scene.image), len(scene.probs), terms, channel_axis=scene.channel_axis)
    options = {"damping": setting.damping, "label_tolerance": label_tolerance}
    return crf.infer(put(energies(scene, setting)), setting.iterations, **options)


# ---- what every instruction set and the CUDA twin are asked ---------------------------------------------------


def some() -> Iterator[tuple[str, Scene, Setting]]:
    """Every fifth picture with the first twenty parameter sets: a name, the picture, the set."""
    scenes, _ = pictures()
    for scene in scenes[::5]:
        for setting in draw_settings(20):
            yield f"{scene.name}, {setting.number}", scene, setting


def isa_answers() -> dict[str, NDArray[np.float32]]:
    """For instruction_sets.py."""
    return {name: answer(scene, setting) for name, scene, setting in some()}
