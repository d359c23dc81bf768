"""How far lattices are from the exact answer: this library and pydensecrf against `densecrf.reference`.

Run it as `python benchmarks/accuracy.py`; it prints a table in Markdown. Pieces of the shipped pictures with a real
network's probabilities, small enough to sum over all pairs of pixels.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).resolve().parents[1]))  # this file is run as a script

import densecrf
from benchmarks import peer, workloads
from densecrf import presets

HEIGHT, WIDTH = 56, 72
PIECES = (("astronaut", 60, 150), ("astronaut", 200, 60), ("motorcycle", 100, 240), ("motorcycle", 200, 330))
PRESETS = ("deeplab-v2", "deeplab-v2-vgg", "densecrf", "irn")

Marginals = NDArray[np.float32]  # [L, H, W]
Piece = tuple[workloads.Image, workloads.Probs]


def main() -> int:
    """Print the table."""
    other = peer.find()
    if other is None:
        print("pydensecrf: not installed (make peers)", file=sys.stderr)
    print("| preset | iterations | by | mean TV | 99th percentile | equal labels |\n|---|---|---|---|---|---|")
    for name in PRESETS:
        for iterations in (1, 10):
            for line in compare(name, iterations, other):
                print(line, flush=True)
    return 0


def compare(name: str, iterations: int, other: peer.Peer | None) -> list[str]:
    """Lines of the table for one preset: nobody, this library, pydensecrf."""
    terms = presets[name].terms
    pieces = [piece(*where) for where in PIECES]
    exact = [densecrf.reference.refine(*one, terms=terms, iterations=iterations) for one in pieces]
    answers: dict[str, Callable[[Piece], Marginals]] = {
        "network alone": lambda one: one[1],
        "densecrf": lambda one: densecrf.refine(*one, terms=terms, iterations=iterations),
    }
    if other is not None:
        answers["pydensecrf"] = lambda one: other.refine(*one, terms=terms, iterations=iterations)
    return [
        f"| {name} | {iterations} | {by} | {_figures(exact, [answer(one) for one in pieces])} |"
        for by, answer in answers.items()
    ]


def piece(name: str, top: int, left: int) -> Piece:
    """A piece of a picture and of what the network says about it."""
    image, probs = workloads.sample(name)
    window = (slice(top, top + HEIGHT), slice(left, left + WIDTH))
    return np.ascontiguousarray(image[window]), np.ascontiguousarray(probs[:, window[0], window[1]])


def _figures(exact: Sequence[Marginals], found: Sequence[Marginals]) -> str:
    distances = np.stack([np.abs(a - b).sum(axis=0) / 2 for a, b in zip(exact, found, strict=True)])
    equal = np.mean([(a.argmax(axis=0) == b.argmax(axis=0)).mean() for a, b in zip(exact, found, strict=True)])
    return f"{distances.mean():.4f} | {np.percentile(distances, 99):.3f} | {equal:.2%}"


if __name__ == "__main__":
    sys.exit(main())
