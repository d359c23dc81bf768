"""``densecrf compare``: two results of one picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from densecrf import _files
from densecrf._confusion import Confusion
from densecrf._files import FileError, Reading
from densecrf._text import printable
from densecrf.cli import say
from densecrf.cli.options import FileOptions, Json

HELP = """\
Compare two results of one picture.

A and B are labels (PNG with a palette, integers in .npy or .npz), masks or marginals (.npy, .npz, .pt). Says which \
share of the pixels has the same label, the intersection over union of every label, and the largest difference of \
marginals. Pixels of label 255 in any of the files are left out.
"""

EXAMPLES = """\
Examples:

  densecrf compare before.png after.png

  densecrf compare cpu.npz gpu.npz --json

  densecrf compare before.png after.png --truth annotated.png -o differences.png
"""

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Trio:
    """What is compared: labels [H, W] of A and B, of the truth if there is one, and which pixels count."""

    a: Labels
    b: Labels
    truth: Labels | None
    known: NDArray[np.bool_]

    def confusion(self, one: Labels, other: Labels) -> Confusion:
        """Of the pixels that count."""
        confusion = Confusion(1 + max(int(labels.max()) for labels in (one, other)))
        confusion.add(one[self.known], other[self.known])
        return confusion


def command(
    a: Annotated[Path, typer.Argument(metavar="A", help="A result.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another of the same picture.")],
    files: FileOptions,
    truth: Annotated[
        Path | None, typer.Option(metavar="T", help="What the labels should be: also say how good both are.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="PNG", help="Draw A, B and where they differ.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compares two files and says how much they differ."""
    with say.errors_of("compare"):
        trio, difference = _read(a, b, truth, files.reading())
        result = {"a": str(a), "b": str(b), **_measured(trio), "max_abs_difference": difference}
        if out is not None:
            _draw(out, trio)
            result["out"] = str(out)
    if as_json:
        say.as_json(result)
    else:
        _print(result)


def _read(a: Path, b: Path, truth: Path | None, reading: Reading) -> tuple[Trio, float | None]:
    """The labels, and the largest difference of marginals if both files hold them."""
    labels_a, scores_a = _files.read_labels(a, reading)
    labels_b, scores_b = _files.read_labels(b, reading)
    wanted = None if truth is None else _files.read_labels(truth, reading)[0]
    for path, labels in ((b, labels_b), (truth, wanted)):
        if path is not None and labels is not None and labels.shape != labels_a.shape:
            raise FileError(path, f"{_size(labels)}, but {a} is {_size(labels_a)}")
    known = np.ones(labels_a.shape, np.bool_)
    for labels in (labels_a, labels_b, wanted):
        known &= True if labels is None else labels != _files.UNSURE
    difference = None
    if scores_a is not None and scores_b is not None and scores_a.shape == scores_b.shape:
        difference = float(np.abs(scores_a - scores_b).max())
    return Trio(labels_a, labels_b, wanted, known), difference


def _size(labels: Labels) -> str:
    return f"{labels.shape[0]} x {labels.shape[1]}"


def _measured(trio: Trio) -> dict[str, Any]:
    both = trio.confusion(trio.a, trio.b)
    result: dict[str, Any] = {
        "height": trio.a.shape[0],
        "width": trio.a.shape[1],
        "left_out": int(trio.known.size - np.count_nonzero(trio.known)),
        "equal": _number(both.pixel_accuracy),
        "mean_iou": _number(both.mean_iou),
        "iou": _by_label(both),
    }
    if trio.truth is not None:
        sides = {"a": trio.confusion(trio.truth, trio.a), "b": trio.confusion(trio.truth, trio.b)}
        result["truth"] = {
            side: {
                "pixel_accuracy": _number(confusion.pixel_accuracy),
                "mean_iou": _number(confusion.mean_iou),
                "iou": _by_label(confusion),
            }
            for side, confusion in sides.items()
        }
    return result


def _by_label(confusion: Confusion) -> dict[str, float]:
    return {str(label): float(iou) for label, iou in enumerate(confusion.iou) if not math.isnan(iou)}


def _number(value: float) -> float | None:
    """JSON has no NaN; there is one where no pixel counts."""
    return None if math.isnan(value) else value


# ---- said and drawn ---------------------------------------------------------------------------------------------


def _print(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    print(f"size        {result['height']} x {result['width']}, {result['left_out']} pixels left out")
    print(f"equal       {_percent(result['equal'])} of the labels")
    if result["max_abs_difference"] is not None:
        print(f"difference  {result['max_abs_difference']:.3g} at most between marginals")
    sides = {"A and B": result, **{f"{side.upper()} and truth": of for side, of in result.get("truth", {}).items()}}
    table = Table("label", *(f"IoU of {side}" for side in sides), box=None)
    for label in sorted({label for of in sides.values() for label in of["iou"]}, key=int):
        table.add_row(label, *(_percent(of["iou"].get(label)) for of in sides.values()))
    table.add_row("mean", *(_percent(of["mean_iou"]) for of in sides.values()))
    if "truth" in result:
        shares = (result["equal"], *(of["pixel_accuracy"] for of in result["truth"].values()))
        table.add_row("pixels", *(_percent(share) for share in shares))
    Console(highlight=False).print(table)
    if "out" in result:
        print(f"written     {printable(result['out'])}")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"


PANEL = 200  # pixels that a panel is wide at least
EQUAL, UNKNOWN = (225, 225, 225), (255, 255, 255)
DIFFER, ONLY_A, ONLY_B = (200, 30, 30), (230, 140, 0), (0, 130, 60)


def _draw(path: Path, trio: Trio) -> None:
    """A, B and where they differ, side by side."""
    _files.require_suffix(path, "overlay")
    _files.require_pillow(path)
    from densecrf import _overlay

    colours = _overlay.palette()
    third, legend = _differences(trio)
    panels = {"A": colours[trio.a.astype(np.uint8)], "B": colours[trio.b.astype(np.uint8)], "differences": third}
    times = -(-PANEL // third.shape[1])  # small pictures larger, for the captions' sake
    figure = _overlay.figure(
        [(name, panel.repeat(times, axis=0).repeat(times, axis=1)) for name, panel in panels.items()],
        [(name, np.array(colour, np.uint8)) for name, colour in legend],
    )
    _files.write_picture(path, figure)


def _differences(trio: Trio) -> tuple[NDArray[np.uint8], list[tuple[str, tuple[int, int, int]]]]:
    """The picture ``[H, W, 3]`` of the differences, and what its colours mean."""
    picture = np.empty((*trio.a.shape, 3), np.uint8)
    picture[:] = EQUAL
    picture[trio.a != trio.b] = DIFFER
    legend = [("differ", DIFFER)]
    if trio.truth is not None:
        right_a, right_b = trio.a == trio.truth, trio.b == trio.truth
        picture[right_a & ~right_b] = ONLY_A
        picture[right_b & ~right_a] = ONLY_B
        legend = [("only A right", ONLY_A), ("only B right", ONLY_B), ("both wrong", DIFFER)]
    picture[~trio.known] = UNKNOWN
    return picture, legend
