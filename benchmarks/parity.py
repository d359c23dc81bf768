"""How far the drop-in `densecrf.pydensecrf` is from pydensecrf, configuration by configuration, on real pictures.

Run it as `python benchmarks/parity.py`, after `make peers`. Both libraries run the same lines, written for
pydensecrf. The pictures are scikit-image's and, where `$DENSECRF_DATA` or ../shared/data has them, some of PASCAL VOC
2012 and of MSRC-21; the probabilities are real networks'. Beyond the bound it tells, as "last bit", how far
pydensecrf's own answer moves when its energies move by a last bit. The exit status tells whether all stay within
the bounds.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))  # this file is run as a script

from benchmarks import peer, workloads
from benchmarks.parity_programs import (
    CONFIGURATIONS,
    DATA,
    ELSEWHERE,
    MOST,
    NUDGES,
    TEXTONBOOST,
    Answer,
    Configuration,
    Floats,
    Image,
    Library,
    Probs,
    Scene,
    drop_in,
    original,
)

# ------------------------------------------------------------------------------------------- scenes


def sample(name: str) -> Scene:
    """One of `workloads.SAMPLES`."""
    return Scene(name, *workloads.sample(name))


def elsewhere() -> Iterator[tuple[Scene, Sequence[Configuration]]]:
    """Pictures that are not shipped, and what runs on them."""
    for path in sorted((DATA / "voc").glob("*_logits.npz")):
        name = path.name.removesuffix("_logits.npz")
        with np.load(path) as file:
            scores = (file["logits"].astype(np.float64) - int(file["zero_point"])) * float(file["scale"])
        image = _read(path.with_name(f"{name}.jpg"))
        rows, columns = (np.arange(size) / workloads.STRIDE for size in image.shape[:2])
        yield Scene(f"VOC {name}", image, workloads.probabilities(scores, rows, columns)), ELSEWHERE
    for path in sorted((DATA / "msrc").glob("*_probs.npz")):
        name = path.name.removesuffix("_probs.npz")
        with np.load(path) as file:
            probs = (file["probs"] / 1000).astype(np.float32)
        yield Scene(f"MSRC {name}", _read(path.with_name(f"{name}.png")), probs), (TEXTONBOOST,)


def _read(path: Path) -> Image:
    reader: Any = importlib.import_module("PIL.Image")
    with reader.open(path) as file:
        return np.array(file.convert("RGB"))


# ------------------------------------------------------------------------------------------ the table


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        configuration: its name.
        scene: its name and size.
        max_abs: the largest difference of a marginal.
        equal: the share of points with the same most likely label.
        divergence: the largest relative difference of a divergence; None where there are none.
        moved: how far pydensecrf's own marginals move when its energies move by a last bit; None where nobody asked.
    """

    configuration: str
    scene: str
    max_abs: float
    equal: float
    divergence: float | None
    moved: float | None = None

    @property
    def within(self) -> bool:
        """Whether this is parity: as near as asked, or nearer than pydensecrf is to itself."""
        return self.max_abs <= max(MOST, self.moved or 0) and self.equal == 1 and (self.divergence or 0) <= MOST


def compare(mine: Library, theirs: Library, configuration: Configuration, scene: Scene) -> Row:
    """Run a configuration on both."""
    a, b = configuration.on(mine, scene), configuration.on(theirs, scene)
    H, W = scene.image.shape[:2]
    max_abs = float(np.abs(a.marginals - b.marginals).max())
    return Row(
        configuration.name,
        f"{scene.name}, {H}x{W}",
        max_abs,
        float((a.marginals.argmax(axis=0) == b.marginals.argmax(axis=0)).mean()),
        float(np.abs(a.divergences / b.divergences - 1).max()) if b.divergences.size else None,
        None if max_abs <= MOST else moved_by_a_last_bit(theirs, configuration, scene, b),
    )


def moved_by_a_last_bit(library: Library, configuration: Configuration, scene: Scene, answer: Answer) -> float:
    """How far marginals move when every energy moves by one unit in its last place, up or down; the most of `NUDGES`.

    Mean field is bistable where two labels tie, so no other implementation can be expected to be nearer.
    """
    nudged = (_nudged(library, seed) for seed in range(NUDGES))
    return max(float(np.abs(configuration.on(one, scene).marginals - answer.marginals).max()) for one in nudged)


def _nudged(library: Library, seed: int) -> Library:
    """The library, its energies a last bit off."""

    def unary_from_softmax(probs: Probs) -> Floats:
        energies = np.ascontiguousarray(library.utils.unary_from_softmax(probs))
        up = np.random.default_rng(seed).random(energies.shape) < 0.5
        moved: Floats = np.nextafter(energies, np.where(up, np.float32(np.inf), np.float32(-np.inf)))
        return moved

    utils = types.SimpleNamespace(**{**vars(library.utils), "unary_from_softmax": unary_from_softmax})
    return Library(library.densecrf, utils, library.eigen)


def rows(mine: Library, theirs: Library, only: str, every: bool) -> Iterator[Row]:
    """Compare all; ``only`` those whose name holds these words; on ``every`` shipped picture, or on one."""
    for name in workloads.SAMPLES:
        scene = sample(name)
        for configuration in CONFIGURATIONS:
            if only in configuration.name and (every or configuration.picture == name):
                yield compare(mine, theirs, configuration, scene)
    for scene, configurations in elsewhere():
        for configuration in configurations:
            if only in configuration.name:
                yield compare(mine, theirs, configuration, scene)


HEAD = ("configuration", "picture", "max abs diff", "equal labels", "KL, relative", "last bit")


def _cells(row: Row) -> tuple[str, ...]:
    divergence = "" if row.divergence is None else f"{row.divergence:.0e}"
    moved = "" if row.moved is None else f"{row.moved:.1e}"
    return row.configuration, row.scene, f"{row.max_abs:.1e}", f"{row.equal:.4%}", divergence, moved


def _line(cells: Sequence[str], markdown: bool) -> str:
    if markdown:
        return f"| {' | '.join(cells)} |"
    return f"{cells[0]:<36}{cells[1]:<28}{cells[2]:>14}{cells[3]:>14}{cells[4]:>14}{cells[5]:>10}".rstrip()


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table as it comes; 1 if something is beyond the bounds, 2 if pydensecrf is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markdown", action="store_true", help="as a table for the docs")
    parser.add_argument("--every", action="store_true", help="every configuration on every shipped picture")
    parser.add_argument("--only", default="", metavar="WORDS", help="only configurations whose name holds WORDS")
    options = parser.parse_args(arguments)
    theirs = original()
    if theirs is None:
        print(f"pydensecrf: {peer.NOT_INSTALLED}")
        return 2
    print(_line(HEAD, options.markdown))
    if options.markdown:
        print("|" + "---|" * len(HEAD))
    beyond = 0
    for row in rows(drop_in(), theirs, options.only, options.every):
        print(_line(_cells(row), options.markdown), flush=True)
        beyond += not row.within
    return 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
