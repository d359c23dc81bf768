"""``densecrf demo``: a real network's coarse labels of two photographs, refined, timed and drawn.

scikit-image (the photographs) and Pillow (the drawing) are imported when they are used.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

import densecrf
from densecrf import data
from densecrf._text import printable

if TYPE_CHECKING:
    from PIL import Image

Bytes: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]
Labels: TypeAlias = NDArray[np.intp]
Result = TypeVar("Result")

# The default preset leaves specks beside the astronaut's flag and helmet. These terms, chosen by looking,
# leave next to none: heavier smoothness, broader colour. On five labelled VOC pictures both did about alike.
TERMS = (densecrf.Gaussian(sxy=2, weight=5), densecrf.Bilateral(sxy=49, srgb=5, weight=4))

EXAMPLES = ("astronaut", "motorcycle")
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
    for name in EXAMPLES:
        print(f"{name}: refining and drawing ...", file=sys.stderr, flush=True)
        image, probs = data.example(name)
        outcome = refine_example(name, image, probs)
        paths.append(out / f"{name}.png")
        draw(image, outcome).save(paths[-1], optimize=True)
        outcomes.append(outcome)
    print(table(outcomes))
    print(f"\nms: one call of densecrf.refine, median of {REPEATS}. DeepLab took {DEEPLAB_SECONDS} s per image.")
    print("Terms:", *TERMS, sep="\n  ")
    print("Drawn (photograph | network's labels | refined labels):", *map(printable, paths), sep="\n  ")


def refine_example(name: str, image: Bytes, probs: Floats) -> Outcome:
    """Refine the network's probabilities ``[21, H, W]`` of this photograph ``[H, W, 3]``."""
    refined, seconds = timed(lambda: densecrf.refine(image, probs, terms=TERMS))
    return Outcome(name, probs.argmax(axis=0), refined.argmax(axis=0), seconds)


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
