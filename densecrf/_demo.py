"""``densecrf demo``: a real network's coarse labels of two photographs, refined, timed and drawn.

scikit-image (the photographs) and Pillow (the drawing) are asked for only here, and imported only when used.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

import densecrf
from densecrf import data

if TYPE_CHECKING:
    from PIL import Image

Bytes: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]
Labels: TypeAlias = NDArray[np.intp]
Result = TypeVar("Result")

# The default preset leaves specks beside the astronaut's flag and helmet. These terms, chosen by looking,
# leave next to none: heavier smoothness, broader colour. On five labelled VOC pictures both did about alike.
TERMS = (densecrf.Gaussian(sxy=2, weight=5), densecrf.Bilateral(sxy=49, srgb=5, weight=4))

REPEATS = 5  # timed calls per picture, after one that warms up
DEEPLAB_SECONDS = 0.5  # per image, the CRF alone: Chen et al., ICLR 2015


@dataclass(frozen=True)
class Outcome:
    """One picture's refinement."""

    name: str
    before: Labels  # [H, W], the network's labels
    after: Labels  # [H, W], the refined ones
    seconds: float  # for one call of refine


def missing_packages() -> list[str]:
    """Name those of the demo's packages that are not installed, as pip calls them."""
    needed = {"skimage": "scikit-image", "PIL": "pillow"}
    return [package for module, package in needed.items() if find_spec(module) is None]


def run(out: Path) -> None:
    """Refine and draw each picture into the folder ``out``, then print the table.

    Raises:
        OSError: the folder cannot be made or written to.
    """
    out.mkdir(parents=True, exist_ok=True)
    outcomes, paths = [], []
    for name, load in PHOTOGRAPHS.items():
        print(f"{name}: refining and drawing ...", file=sys.stderr, flush=True)
        image = load()
        outcome = refine_example(name, image)
        paths.append(out / f"{name}.png")
        draw(image, outcome).save(paths[-1], optimize=True)
        outcomes.append(outcome)
    print(table(outcomes))
    print(f"\nms: one call of densecrf.refine, median of {REPEATS}. DeepLab took {DEEPLAB_SECONDS} s per image.")
    print("Terms:", *TERMS, sep="\n  ")
    print("Drawn (photograph | network's labels | refined labels):", *paths, sep="\n  ")


def refine_example(name: str, image: Bytes) -> Outcome:
    """Refine the network's stored answer for this photograph ``[H, W, 3]``."""
    probs = softmax(upsample(data.logits(name), image.shape[:2]))  # [21, H, W]
    refined, seconds = timed(lambda: densecrf.refine(image, probs, terms=TERMS))
    return Outcome(name, probs.argmax(axis=0), refined.argmax(axis=0), seconds)


def load_astronaut() -> Bytes:
    """Load NASA's portrait of Eileen Collins. ``[512, 512, 3]``."""
    skimage: Any = import_module("skimage")
    return np.asarray(skimage.data.astronaut())


def load_motorcycle() -> Bytes:
    """Load the left picture of the stereo pair, in the size the network saw. ``[337, 500, 3]``."""
    skimage: Any = import_module("skimage")
    left, _, _ = skimage.data.stereo_motorcycle()
    return np.asarray(skimage.transform.resize(left, (337, 500)) * 255).astype(np.uint8)


PHOTOGRAPHS: dict[str, Callable[[], Bytes]] = {"astronaut": load_astronaut, "motorcycle": load_motorcycle}


def upsample(scores: Floats, size: tuple[int, ...]) -> Floats:
    """Interpolate bilinearly, with corners aligned: pixel (y, x) samples ``scores`` at (y, x) / 16.

    Args:
        scores: ``[L, h, w]``.
        size: ``(H, W)`` of the picture.

    Returns:
        ``[L, H, W]``.
    """
    top, down = _neighbours(size[0], scores.shape[1])
    left, across = _neighbours(size[1], scores.shape[2])
    down = down[:, None]
    one = np.float32(1)
    rows = scores[:, top] * (one - down) + scores[:, top + 1] * down  # [L, H, w]
    upsampled: Floats = rows[:, :, left] * (one - across) + rows[:, :, left + 1] * across
    return upsampled


def _neighbours(pixels: int, scores: int) -> tuple[Labels, Floats]:
    """Find, along one axis, the score before each pixel and how far on to the next it lies. ``[pixels]``."""
    place = np.arange(pixels, dtype=np.float32) / np.float32(data.STRIDE)
    before = np.minimum(place.astype(np.intp), scores - 2)
    return before, place - before.astype(np.float32)


def softmax(scores: Floats) -> Floats:
    """Turn scores into probabilities, over the first axis. ``[L, H, W]``."""
    powers: Floats = np.exp(scores - scores.max(axis=0))
    probs: Floats = powers / powers.sum(axis=0)
    return probs


def timed(call: Callable[[], Result]) -> tuple[Result, float]:
    """Return what the call returns, and its median time in seconds."""
    result = call()  # the first call starts threads and touches memory for the first time
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return result, statistics.median(seconds)


def draw(image: Bytes, outcome: Outcome) -> Image.Image:
    """Draw photograph | network's labels | refined labels, with a legend of what either of them sees."""
    from densecrf import _overlay

    colours = _overlay.palette(len(data.VOC_LABELS))
    seen = np.union1d(outcome.before, outcome.after)
    panels = [
        ("photograph", image),
        ("network's labels", _overlay.overlay(image, outcome.before)),
        ("refined labels", _overlay.overlay(image, outcome.after)),
    ]
    return _overlay.figure(panels, [(data.VOC_LABELS[label], colours[label]) for label in seen if label > 0])


def table(outcomes: Iterable[Outcome]) -> str:
    """Lay out the outcomes as aligned text, one line for each."""
    head = ("picture", "size", "labels present", "pixels changed", "ms", f"vs {DEEPLAB_SECONDS} s")
    rows = [head, *(_row(outcome) for outcome in outcomes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(_aligned(row, widths) for row in rows)


def _row(outcome: Outcome) -> tuple[str, ...]:
    height, width = outcome.after.shape
    changed = np.count_nonzero(outcome.before != outcome.after)
    ratio = DEEPLAB_SECONDS / outcome.seconds
    return (
        outcome.name,
        f"{height}x{width}",
        ", ".join(data.VOC_LABELS[label] for label in np.unique(outcome.after)),
        f"{changed} ({changed / outcome.after.size:.1%})",
        f"{1000 * outcome.seconds:.1f}",
        f"{ratio:.0f}x" if ratio >= 10 else f"{ratio:.1f}x",
    )


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    """Set words to the left, numbers to the right."""
    cells = [
        cell.ljust(width) if column < 3 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells)
