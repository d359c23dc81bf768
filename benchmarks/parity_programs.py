"""Programs for pydensecrf and for the drop-in alike: the configurations that parity.py compares."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks import peer

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("DENSECRF_DATA", ROOT.parent / "shared" / "data"))

MOST = 1e-4  # of a marginal's absolute difference, and of the relative one of a divergence
STEPS = 5
NUDGES = 4

Image: TypeAlias = NDArray[np.uint8]  # [H, W, 3]
Probs: TypeAlias = NDArray[np.float32]  # [L, H, W]
Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Library:
    """pydensecrf, or what stands in for it: its three modules."""

    densecrf: Any
    utils: Any
    eigen: Any


@dataclass(frozen=True)
class Scene:
    """A picture [H, W, 3] and a network's probabilities for it [L, H, W]."""

    name: str
    image: Image
    probs: Probs

    @property
    def labels(self) -> int:
        """L."""
        return len(self.probs)


@dataclass(frozen=True)
class Answer:
    """Marginals [L, N], and divergences where they were asked for."""

    marginals: Floats
    divergences: NDArray[np.float64]


@dataclass(frozen=True)
class Configuration:
    """A program for pydensecrf.

    Attributes:
        name: what it tries.
        run: from modules and a scene to an answer.
        picture: one of `workloads.SAMPLES`, which it runs on unless told otherwise.
        two: whether it asks for two labels, the background and the rest.
    """

    name: str
    run: Callable[[Library, Scene], Answer]
    picture: str
    two: bool = False

    def on(self, library: Library, scene: Scene) -> Answer:
        """Run it."""
        if self.two:
            background = scene.probs[0]
            scene = Scene(scene.name, scene.image, np.stack([background, 1 - background]))
        return self.run(library, scene)


def drop_in() -> Library:
    """Give the modules of densecrf.pydensecrf."""
    return _library("densecrf.pydensecrf")


def original() -> Library | None:
    """Give pydensecrf's own modules, if it can be found."""
    return None if peer.find() is None else _library("pydensecrf")


def _library(package: str) -> Library:
    return Library(*(importlib.import_module(f"{package}.{module}") for module in ("densecrf", "utils", "eigen")))


# ------------------------------------------------------------------------------ programs for pydensecrf


def picture(
    add: Callable[[Any, Any, Scene], None], iterations: int = 10, unary: str = "energy"
) -> Callable[[Library, Scene], Answer]:
    """A `DenseCRF2D` to which ``add(dcrf, crf, scene)`` adds the pairwise terms."""

    def run(library: Library, scene: Scene) -> Answer:
        H, W = scene.image.shape[:2]
        crf = library.densecrf.DenseCRF2D(W, H, scene.labels)
        energies = _energies(library, scene)
        if unary == "const":
            crf.setUnary(library.densecrf.ConstUnary(energies))
        elif unary == "logistic":
            mixing = np.eye(scene.labels, dtype=np.float32) + np.float32(0.05)
            crf.setUnary(library.densecrf.LogisticUnary(mixing, energies))
        elif unary == "labels":
            seen = scene.probs.argmax(axis=0) + 1
            seen[scene.probs.max(axis=0) < 0.7] = 0  # which stands for no opinion
            crf.setUnaryEnergy(library.utils.unary_from_labels(seen, scene.labels, 0.7))
        else:
            crf.setUnaryEnergy(energies)
        add(library.densecrf, crf, scene)
        return _infer(crf, iterations)

    return run


def points(
    features: Callable[[Library, Scene], Sequence[tuple[Floats, Any]]],
    scenes: Callable[[Scene], tuple[NDArray[np.uint8], Floats]] = lambda scene: (scene.image, scene.probs),
) -> Callable[[Library, Scene], Answer]:
    """A `DenseCRF` with terms of features [D, N], each with its compatibility.

    ``scenes`` makes of a scene the points, [..., 3] and [L, ...], which ``features`` sees in the scene's place.
    """

    def run(library: Library, scene: Scene) -> Answer:
        seen = Scene(scene.name, *scenes(scene))
        crf = library.densecrf.DenseCRF(seen.probs[0].size, seen.labels)
        crf.setUnaryEnergy(_energies(library, seen))
        for feats, compat in features(library, seen):
            crf.addPairwiseEnergy(np.ascontiguousarray(feats), compat)
        return _infer(crf, 10)

    return run


def steps(add: Callable[[Any, Any, Scene], None]) -> Callable[[Library, Scene], Answer]:
    """Inference step by step, with the divergence before each and after the last."""

    def run(library: Library, scene: Scene) -> Answer:
        H, W = scene.image.shape[:2]
        crf = library.densecrf.DenseCRF2D(W, H, scene.labels)
        crf.setUnaryEnergy(_energies(library, scene))
        add(library.densecrf, crf, scene)
        Q, tmp1, tmp2 = crf.startInference()
        divergences = [crf.klDivergence(Q)]
        for _ in range(STEPS):
            crf.stepInference(Q, tmp1, tmp2)
            divergences.append(crf.klDivergence(Q))
        return Answer(np.array(Q), np.array(divergences))

    return run


def _infer(crf: Any, iterations: int) -> Answer:
    return Answer(np.array(crf.inference(iterations)), np.empty(0))


def _energies(library: Library, scene: Scene) -> Floats:
    return np.ascontiguousarray(library.utils.unary_from_softmax(scene.probs))


# ---- pairwise terms


def potts(
    near: tuple[Any, Any], alike: tuple[Any, Any, Any], normalization: int = 3, kernel: int = 1
) -> Callable[[Any, Any, Scene], None]:
    """A smoothness and an appearance term: (sxy, compat) and (sxy, srgb, compat)."""

    def add(dcrf: Any, crf: Any, scene: Scene) -> None:
        how = {"kernel": dcrf.KernelType(kernel), "normalization": dcrf.NormalizationType(normalization)}
        crf.addPairwiseGaussian(sxy=near[0], compat=near[1], **how)
        crf.addPairwiseBilateral(sxy=alike[0], srgb=alike[1], rgbim=scene.image, compat=alike[2], **how)

    return add


def compatible(make: Callable[[int], Floats], normalization: int = 3) -> Callable[[Any, Any, Scene], None]:
    """Terms whose compatibility is an array that depends on the number of labels."""

    def add(dcrf: Any, crf: Any, scene: Scene) -> None:
        array = make(scene.labels)
        potts((3, array), (60, 7, array), normalization)(dcrf, crf, scene)

    return add


def per_label(labels: int) -> Floats:
    """Attraction of -(2 .. 5), one number per label."""
    return np.linspace(-2, -5, labels).astype(np.float32)


def per_pair(labels: int) -> Floats:
    """Attraction of equal labels, and other numbers for all pairs; not symmetric."""
    pairs = np.random.default_rng(0).uniform(-1, 1, (labels, labels)) - 4 * np.eye(labels)
    return pairs.astype(np.float32)


def _pictures_and_upside_down(dcrf: Any, crf: Any, scene: Scene) -> None:
    crf.addPairwiseBilateral(60, 7, scene.image, 3)
    crf.addPairwiseBilateral((30, 9), (10, 20, 30), np.ascontiguousarray(scene.image[::-1]), 2)


def _mixed(dcrf: Any, crf: Any, scene: Scene) -> None:
    crf.addPairwiseGaussian(3, 3, normalization=dcrf.NORMALIZE_AFTER)
    crf.addPairwiseBilateral(60, 7, scene.image, per_label(scene.labels), kernel=dcrf.CONST_KERNEL)
    grey = scene.image.mean(axis=2, dtype=np.float32)
    y, x = np.indices(grey.shape, np.float32)
    crf.addPairwiseEnergy(np.stack([y / 9, x / 20, grey / 15]).reshape(3, -1), 1, dcrf.FULL_KERNEL, 1)


# ---- features


def _axis_order(library: Library, scene: Scene) -> Sequence[tuple[Floats, Any]]:
    near = library.utils.create_pairwise_gaussian((3, 3), scene.image.shape[:2])
    return [(near, 3), (library.utils.create_pairwise_bilateral((80, 80), (13, 13, 13), scene.image, 2), 10)]


def _picture_order(library: Library, scene: Scene) -> Sequence[tuple[Floats, Any]]:
    y, x = np.indices(scene.image.shape[:2], np.float32)
    colours = np.moveaxis(scene.image, -1, 0).astype(np.float32) / 13
    near, alike = np.stack([x / 3, y / 3]), np.stack([x / 80, y / 80, *colours])
    return [(near.reshape(2, -1), 3), (alike.reshape(5, -1), 10)]


def _channels_first(library: Library, scene: Scene) -> Sequence[tuple[Floats, Any]]:
    planes = np.moveaxis(scene.image, -1, 0)
    return [(library.utils.create_pairwise_bilateral((60, 40), (7, 9, 11), planes, chdim=0), 5)]


def _grey(library: Library, scene: Scene) -> Sequence[tuple[Floats, Any]]:
    grey = scene.image.mean(axis=2)
    return [(library.utils.create_pairwise_bilateral((40, 40), 6, grey), per_label(scene.labels))]


def _five_channels(library: Library, scene: Scene) -> Sequence[tuple[Floats, Any]]:
    colours = scene.image.astype(np.float32)
    channels = np.concatenate([colours, np.diff(colours, axis=2)], axis=2)
    return [(library.utils.create_pairwise_bilateral((60, 60), [9, 9, 9, 5, 5], channels, 2), 5)]


def _colours_alone(library: Library, scene: Scene) -> Sequence[tuple[Floats, Any]]:
    colours: Floats = scene.image.reshape(-1, 3).T.astype(np.float32)
    return [(colours / np.float32(8), 3)]


def _any_grid(library: Library, scene: Scene) -> Sequence[tuple[Floats, Any]]:
    shape = scene.probs.shape[1:]
    near = library.utils.create_pairwise_gaussian((2.0,) * len(shape), shape)
    sigmas = (20.0,) * len(shape)
    return [(near, 2), (library.utils.create_pairwise_bilateral(sigmas, 8, scene.image, len(shape)), 4)]


def _middle_row(scene: Scene) -> tuple[NDArray[np.uint8], Floats]:
    """A signal: the middle row of a picture, shortened to a multiple of four."""
    row, width = scene.image.shape[0] // 2, scene.image.shape[1] // 4 * 4
    return scene.image[row, :width], scene.probs[:, row, :width]


def _pan(scene: Scene) -> tuple[NDArray[np.uint8], Floats]:
    """A volume: four views of half the picture's size, each some pixels further."""
    h, w, far = scene.image.shape[0] // 2, scene.image.shape[1] // 2, scene.image.shape[1] // 64
    views = [(slice(i * far, i * far + h), slice(2 * i * far, 2 * i * far + w)) for i in range(4)]
    probs = np.stack([scene.probs[(slice(None), *view)] for view in views], axis=1)
    return np.stack([scene.image[view] for view in views]), probs


DEMO = potts((3, 3), (80, 13, 10))
DEEPLAB_V2 = potts((1, 3), (67, 3, 4))
NORMAL = ((2, 3), (30, 6, 4))

CONFIGURATIONS = (
    Configuration("README, 5 iterations", picture(DEMO, 5), "astronaut"),
    Configuration("README, two labels", picture(DEMO), "chelsea", two=True),
    Configuration("DeepLab v2", picture(DEEPLAB_V2), "chelsea"),
    Configuration("IRN", picture(potts((3, 3), (50, 5, 10))), "motorcycle"),
    Configuration("DeepLab v1, NORMALIZE_AFTER", picture(potts((3, 3), (50, 10, 5), 2)), "astronaut"),
    Configuration("CRF-RNN, NORMALIZE_AFTER", picture(potts((3, 3), (160, 3, 5), 2)), "motorcycle"),
    Configuration("0 iterations", picture(DEMO, 0), "astronaut"),
    Configuration("-1 iterations", picture(DEMO, -1), "chelsea"),
    Configuration("1 iteration", picture(DEMO, 1), "motorcycle"),
    Configuration("NO_NORMALIZATION", picture(potts((2, 0.2), (30, 6, 0.05), 0)), "motorcycle"),
    Configuration("NORMALIZE_BEFORE", picture(potts(*NORMAL, 1)), "astronaut"),
    Configuration("NORMALIZE_AFTER", picture(potts(*NORMAL, 2)), "motorcycle"),
    Configuration("NORMALIZE_SYMMETRIC", picture(potts(*NORMAL, 3)), "astronaut"),
    Configuration("CONST_KERNEL", picture(potts(*NORMAL, 3, 0)), "motorcycle"),
    Configuration("FULL_KERNEL", picture(potts(*NORMAL, 3, 2)), "motorcycle"),
    Configuration("(sx, sy), (sr, sg, sb)", picture(potts(((6, 1.5), 3), ((20, 70), (5, 9.5, 20), 4))), "motorcycle"),
    Configuration("negative number", picture(potts((3, -0.5), (60, 7, -0.5))), "astronaut"),
    Configuration("vector", picture(compatible(per_label)), "motorcycle"),
    Configuration("vector, NORMALIZE_BEFORE", picture(compatible(per_label, 1)), "astronaut"),
    Configuration("matrix", picture(compatible(per_pair)), "motorcycle"),
    Configuration("matrix, NORMALIZE_AFTER", picture(compatible(per_pair, 2)), "astronaut"),
    Configuration("unlike terms in one model", picture(_mixed), "motorcycle"),
    Configuration("two pictures in one model", picture(_pictures_and_upside_down), "astronaut"),
    Configuration("setUnary(ConstUnary)", picture(DEMO, 5, "const"), "astronaut"),
    Configuration("setUnary(LogisticUnary)", picture(DEMO, 5, "logistic"), "astronaut"),
    Configuration("unary_from_labels", picture(DEMO, 5, "labels"), "motorcycle"),
    Configuration("step by step, KL", steps(DEEPLAB_V2), "motorcycle"),
    Configuration("step by step, KL, matrix", steps(compatible(per_pair)), "astronaut"),
    Configuration("features (y, x, r, g, b)", points(_axis_order), "astronaut"),
    Configuration("features (x, y, r, g, b)", points(_picture_order), "astronaut"),
    Configuration("channels first", points(_channels_first), "astronaut"),
    Configuration("grey, chdim=-1, vector", points(_grey), "motorcycle"),
    Configuration("five channels", points(_five_channels), "astronaut"),
    Configuration("colours alone, 3-D", points(_colours_alone), "motorcycle"),
    Configuration("1-D signal, 4-D features", points(_any_grid, _middle_row), "motorcycle"),
    Configuration("volume, 6-D features", points(_any_grid, _pan), "motorcycle"),
)
# What else runs on the pictures that are not shipped.
ELSEWHERE = (
    Configuration("DeepLab v2", picture(DEEPLAB_V2), ""),
    Configuration("IRN", picture(potts((3, 3), (50, 5, 10))), ""),
)
TEXTONBOOST = Configuration(
    "Krähenbühl & Koltun's for MSRC-21", picture(potts((1, 7.467846), (35.865959, 11.209644, 4.028773))), ""
)
