"""Sections about collections of labelled pictures: quality by preset and iteration, agreement, distance from exact."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

import densecrf
from benchmarks import peer, quality
from benchmarks.accuracy import HEIGHT, WIDTH
from benchmarks.labelled import Collection, Labelled
from benchmarks.quality import NETWORK, Quality, Way
from benchmarks.results import plots
from benchmarks.results.page import Page, change, percent
from benchmarks.workloads import MissingError, Probs
from densecrf import Bilateral, Gaussian, Preset, presets

# Found by Krähenbühl & Koltun for TextonBoost's unaries, and published with their code.
TEXTONBOOST = Preset(
    (Gaussian(1, 7.467846), Bilateral(35.865959, 11.209644, 4.028773)), 10, "Krähenbühl & Koltun, for TextonBoost"
)
DEFAULT = "deeplab-v2"
BAND = 2  # pixels to each side of a border
MOST = 20  # iterations
SHOWN = (0, 1, 2, 3, 5, 10, 20)
REPEATS = 3  # of what is timed
FEW = 3  # pictures of a large collection, where all would take long

HEAD = ("parameters", "pixel accuracy", "mean IoU", f"mean IoU within {BAND} px", "pixels changed", "s per picture")


def section(page: Page, collection: Collection, ways: Mapping[str, Way]) -> Mapping[str, Quality]:
    """Measures a collection, and adds a table of what each way makes of it."""
    page.text(f"**{collection.about}.**")
    found = quality.measure(collection, ways)
    alone = found[NETWORK]
    rows = []
    for name, one in found.items():
        near, near_alone = (q.bands[BAND].mean_iou_of_present for q in (one, alone))
        cells = [
            _with_gain(one.whole.pixel_accuracy, alone.whole.pixel_accuracy),
            _with_gain(one.whole.mean_iou_of_present, alone.whole.mean_iou_of_present),
            _with_gain(near, near_alone),
        ]
        rest = [percent(one.changed) + " %", f"{one.seconds:.3f}"] if name != NETWORK else ["", ""]
        rows.append([name, *cells, *rest])
    page.table(HEAD, rows)
    return found


def _with_gain(value: float, before: float) -> str:
    return percent(value) if value == before else f"{percent(value)} ({change(before, value)})"


def iterations(page: Page, collections: Mapping[Collection, Preset]) -> None:
    """What every iteration brings."""
    page.heading("How many iterations")
    paths = {one.name: quality.by_iteration(one, preset, MOST) for one, preset in collections.items()}
    plots.iterations(page.picture("iterations.png", "Gains and moving labels by the number of iterations"), paths)
    head = ("", *(str(n) for n in SHOWN))
    rows = []
    for name, steps in paths.items():
        rows.append([f"{name}: pixel accuracy", *(percent(steps[n].pixel_accuracy) for n in SHOWN)])
        rows.append([f"{name}: mean IoU within {BAND} px", *(percent(steps[n].band_iou) for n in SHOWN)])
        rows.append([f"{name}: labels moved, %", "", *(f"{100 * steps[n].moved:.3f}" for n in SHOWN[1:])])
    page.table(head, rows)


def agreement(page: Page, pictures: Sequence[Labelled], preset: Preset) -> None:
    """How far the answers are from pydensecrf's, and how long both take."""
    page.heading("Against pydensecrf")
    other = peer.find()
    if other is None:
        raise MissingError("pydensecrf is not installed (make peers)")
    page.text(
        f"Marginals after {preset.iterations} iterations of the preset `{DEFAULT}`, with the defaults of `refine` and "
        f"all cores; pydensecrf has one thread. Times are medians of {REPEATS} calls, in turns."
    )
    rows = []
    for one in pictures:
        how: dict[str, Any] = {"terms": preset.terms, "iterations": preset.iterations}
        calls = [partial(refine, one.image, one.probs, **how) for refine in (densecrf.refine, other.refine)]
        (ours, mine), (theirs, its) = _timed(calls)
        found = quality.agreement(one.name, ours, theirs)
        row = (one.name, f"{found.max_abs:.1e}", f"{found.equal:.4%}", *(f"{1e3 * t:.0f}" for t in (mine, its)))
        rows.append([*row, f"{its / mine:.1f}"])
    page.table(("picture", "max abs difference", "equal labels", "densecrf, ms", "pydensecrf, ms", "ratio"), rows)


def _timed(calls: Sequence[Callable[[], Probs]]) -> list[tuple[Probs, float]]:
    """What every call gives, and its median time, one after the other in every round."""
    seconds: list[list[float]] = [[] for _ in calls]
    answers = [call() for call in calls]
    for _, (call, taken) in itertools.product(range(REPEATS), zip(calls, seconds, strict=True)):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return list(zip(answers, map(statistics.median, seconds), strict=True))


def exact(page: Page, pictures: Sequence[Labelled], preset: Preset) -> None:
    """How far the answers are from the exact sum over all pairs of pixels, on crops."""
    page.heading("Against the exact answer")
    page.text(
        f"""`densecrf.reference` sums over all pairs of pixels in float64, which only small pictures allow: from each,
        the crop of {HEIGHT} x {WIDTH} pixels where the network's labels change most. Preset `{DEFAULT}`; total
        variation is half the sum over labels of absolute differences, in the mean of all pixels."""
    )
    crops = [quality.busiest_crop(one, HEIGHT, WIDTH) for one in pictures]
    right = [densecrf.reference.refine(one.image, one.probs, terms=preset.terms) for one in crops]
    answers = {NETWORK: [one.probs for one in crops], "densecrf": [quality.refined(preset)(one) for one in crops]}
    if other := peer.find():
        answers["pydensecrf"] = [other.refine(one.image, one.probs, terms=preset.terms) for one in crops]
    rows = []
    for name, found in answers.items():
        far = quality.distance(right, found)
        rows.append([name, f"{far.variation:.4f}", f"{far.equal:.2%}", f"{_accuracy(crops, found):.2%}"])
    rows.append(["exact", "0", "100%", f"{_accuracy(crops, right):.2%}"])
    page.table((f"{len(crops)} crops", "mean total variation", "equal labels", "pixel accuracy"), rows)


def _accuracy(crops: Sequence[Labelled], found: Sequence[Probs]) -> float:
    """The share of labelled pixels that are right."""
    right = [(p.argmax(0) == one.truth)[one.truth != 255] for one, p in zip(crops, found, strict=True)]
    return float(np.concatenate(right).mean())


def some(collections: Sequence[Collection]) -> list[Labelled]:
    """All pictures of small collections, and the first few of others."""
    return [one for each in collections for one in itertools.islice(each, None if len(each) < 2 * FEW else FEW)]


def default() -> Preset:
    """The parameters that `refine` has by default."""
    return presets[DEFAULT]
