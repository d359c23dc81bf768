"""How good labels are before and after the CRF: of whole pictures, in bands around borders, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

import densecrf
from benchmarks.labelled import Bytes, Collection, Labelled
from benchmarks.workloads import Probs
from deeplab import commands
from deeplab.metrics import Confusion, trimap_confusions
from densecrf import Preset, presets

WIDTHS = range(1, 41)  # of the bands, in pixels to each side; those of the papers
NETWORK = "network alone"

Way: TypeAlias = Callable[[Labelled], Probs]


@dataclass(frozen=True)
class Quality:
    """How good the labels of one way are, over all pictures of a collection.

    Attributes:
        whole: all pixels that have a label.
        bands: by their width, the pixels near borders.
        seconds: a picture took, in the mean.
        changed: the share of all pixels that have another label than the network gave them.
    """

    whole: Confusion
    bands: Mapping[int, Confusion]
    seconds: float
    changed: float

    def band_curve(self) -> list[float]:
        """The mean IoU by the width of the band."""
        return [self.bands[width].mean_iou_of_present for width in WIDTHS]


def by_preset(names: Sequence[str] = tuple(presets)) -> dict[str, Way]:
    """What the presets of some names make of the probabilities; first what the network says."""
    return {NETWORK: lambda one: one.probs} | {name: refined(presets[name]) for name in names}


def refined(preset: Preset) -> Way:
    """What one preset makes of the probabilities."""

    def way(one: Labelled) -> Probs:
        marginals: Probs = densecrf.refine(one.image, one.probs, terms=preset.terms, iterations=preset.iterations)
        return marginals

    return way


def measure(collection: Collection, ways: Mapping[str, Way]) -> dict[str, Quality]:
    """Measures every way on every picture; each picture is read, and its network run, once."""
    answers: dict[str, list[tuple[Bytes, Bytes]]] = {name: [] for name in ways}
    seconds = dict.fromkeys(ways, 0.0)
    changed = dict.fromkeys(ways, 0)
    pixels = 0
    for one in commands.progress(collection, len(collection), collection.name):
        before = one.probs.argmax(0)
        pixels += before.size
        for name, way in ways.items():
            started = time.perf_counter()
            labels = way(one).argmax(0).astype(np.uint8)
            seconds[name] += time.perf_counter() - started
            answers[name].append((one.truth, labels))
            changed[name] += int((labels != before).sum())
    return {
        name: Quality(
            _whole(pairs, len(collection.classes)),
            trimap_confusions(pairs, len(collection.classes), WIDTHS, collection.borders),
            seconds[name] / len(collection),
            changed[name] / pixels,
        )
        for name, pairs in answers.items()
    }


def _whole(pairs: Sequence[tuple[Bytes, Bytes]], n_classes: int) -> Confusion:
    confusion = Confusion(n_classes)
    for truth, labels in pairs:
        confusion.add(truth, labels)
    return confusion


# ---- iteration by iteration -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """What is known after some iterations: of whole pictures, and within two pixels of borders."""

    iterations: int
    pixel_accuracy: float
    mean_iou: float
    band_iou: float
    moved: float  # the share of pixels whose label this iteration changed


def by_iteration(collection: Collection, preset: Preset, most: int) -> list[Step]:
    """Quality after 0, 1, ... iterations."""
    paths = [(one.truth, list(iterates(one, preset, most))) for one in collection]
    n_classes = len(collection.classes)
    steps = []
    for n in range(most + 1):
        pairs = [(truth, path[n]) for truth, path in paths]
        whole = _whole(pairs, n_classes)
        band = trimap_confusions(pairs, n_classes, (2,), collection.borders)[2]
        moved = np.concatenate([(path[n] != path[max(n - 1, 0)]).ravel() for _, path in paths]).mean()
        steps.append(Step(n, whole.pixel_accuracy, whole.mean_iou_of_present, band.mean_iou_of_present, float(moved)))
    return steps


def iterates(one: Labelled, preset: Preset, most: int) -> Iterator[Bytes]:
    """The labels [H, W] after 0, 1, ... iterations."""
    for marginals in beliefs(one.image, one.probs, preset, most):
        yield marginals.argmax(0).astype(np.uint8)


def beliefs(image: Bytes, probs: Probs, preset: Preset, most: int) -> Iterator[NDArray[np.float32]]:
    """The marginals [L, H, W] after 0, 1, ... iterations."""
    crf = densecrf.DenseCRF(image, len(probs), terms=preset.terms)
    field = crf.start(densecrf.unary_from_probs(probs))
    yield field.marginals
    for _ in range(most):
        yield field.step()


# ---- against others ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Agreement:
    """Two marginals of one picture: the largest difference, and the share of pixels with the same label."""

    name: str
    max_abs: float
    equal: float


def agreement(name: str, a: Probs, b: Probs) -> Agreement:
    """How far two answers are from each other."""
    return Agreement(name, float(np.abs(a - b).max()), float((a.argmax(0) == b.argmax(0)).mean()))


@dataclass(frozen=True)
class Distance:
    """From the exact answer, over some crops: mean total variation per pixel, and the share of equal labels."""

    variation: float
    equal: float


def distance(exact: Sequence[Probs], found: Sequence[Probs]) -> Distance:
    """Of answers [L, H, W] from exact ones."""
    variation = np.mean([np.abs(a - b).sum(axis=0).mean() / 2 for a, b in zip(exact, found, strict=True)])
    equal = np.mean([(a.argmax(0) == b.argmax(0)).mean() for a, b in zip(exact, found, strict=True)])
    return Distance(float(variation), float(equal))


def busiest_crop(one: Labelled, height: int, width: int) -> Labelled:
    """The crop, of all that start at multiples of 8, in which the network's labels change most."""
    labels = one.probs.argmax(0)
    meet = np.zeros(labels.shape, np.int64)
    meet[:, 1:] += labels[:, 1:] != labels[:, :-1]
    meet[1:] += labels[1:] != labels[:-1]
    sums = np.pad(meet.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    counts = (sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width])[
        ::8, ::8
    ]
    top, left = (8 * int(i) for i in np.unravel_index(counts.argmax(), counts.shape))
    here = (slice(top, top + height), slice(left, left + width))
    return Labelled(
        one.name,
        np.ascontiguousarray(one.image[here]),
        np.ascontiguousarray(one.probs[(slice(None), *here)]),
        one.truth[here],
    )
