"""``densecrf refine``: one picture."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from densecrf import _files
from densecrf._files import Kind, Reading
from densecrf._parameters import Parameters
from densecrf._text import printable
from densecrf.cli import say
from densecrf.cli.options import CrfOptions, FileOptions, Json, LabelOptions, MachineOptions

HELP = """\
Refine what a network says of one picture.

PROBS is an .npy, .npz or .pt file with probabilities (labels, height, width), or smaller ones, which are stretched to \
the picture; a PNG with a palette: labels, 255 where there is no opinion; or a grey PNG: a mask.

OUT is a .png: labels with PASCAL VOC's palette, or a grey mask where PROBS is a mask; an .npz or .npy: marginals, \
float32; or a .jpg, or a .png with --overlay: the labels' colours over the picture.
"""

EXAMPLES = """\
Examples:

  densecrf refine cat.jpg cat.npz -o cat.png

  densecrf refine cat.jpg logits.npy --logits --preset deeplab-v1 -o cat.npz

  densecrf refine cat.jpg labels.png --confidence 0.9 --w1 10 --sigma-beta 13 -o better.png

  densecrf refine cat.jpg cat.npz --preset found/preset.toml --overlay -o seen.png
"""


@dataclass(frozen=True)
class Job:
    """One picture and what is to be made of it."""

    image: Path
    probs: Path
    out: Path
    kind: Kind | None  # None: as the name of the file says
    half: bool

    def check(self) -> None:
        """Raises a ValueError before any work is done where the result would have no place."""
        if self.out.resolve() in (self.image.resolve(), self.probs.resolve()):
            raise ValueError(f"{self.out} is what is to be read; write to another file")
        _files.kind_for(self.out, overlay=self.kind == "overlay")


@dataclass(frozen=True)
class Outcome:
    """What became of it."""

    kind: Kind
    grid: tuple[int, int]  # size of the scores in the file
    before: NDArray[np.intp]  # labels [H, W]
    after: NDArray[np.intp]
    seconds: float  # of the CRF


def command(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="The picture as the network saw it.")],
    probs: Annotated[Path, typer.Argument(metavar="PROBS", help="What the network says of it.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="The file to write.")],
    crf: CrfOptions,
    files: FileOptions,
    labels: LabelOptions,
    machine: MachineOptions,
    overlay: Annotated[bool, typer.Option("--overlay", help="Draw the labels over the picture.")] = False,
    half: Annotated[bool, typer.Option("--float16", help="Marginals in half the bytes.")] = False,
    as_json: Json = False,
) -> None:
    """Refines one picture and says what changed."""
    job = Job(image, probs, out, "overlay" if overlay else None, half)
    with say.errors_of("refine"):
        job.check()
        machine.require()
        parameters = crf.parameters()
        outcome = _refined(job, parameters, files.reading(**vars(labels)), machine)
    result = _result(job, outcome, parameters, machine)
    if as_json:
        say.as_json(result)
    else:
        _print(result)


def _refined(job: Job, parameters: Parameters, reading: Reading, machine: MachineOptions) -> Outcome:
    image = _files.read_image(job.image)
    size = image.shape[0], image.shape[1]
    scores = _files.read_scores(job.probs, size, reading)
    kind = _files.kind_for(job.out, overlay=job.kind == "overlay", mask=scores.is_mask)
    probs = _files.stretch(scores.values, size)
    start = time.perf_counter()
    marginals = parameters.refine(
        image, probs, from_logits=reading.logits, num_threads=machine.threads, device=machine.device
    )
    seconds = time.perf_counter() - start
    _files.write_result(job.out, image, marginals.astype(np.float16) if job.half else marginals, kind)
    grid = scores.values.shape[1], scores.values.shape[2]
    return Outcome(kind, grid, probs.argmax(axis=0), marginals.argmax(axis=0), seconds)


def _result(job: Job, outcome: Outcome, parameters: Parameters, machine: MachineOptions) -> dict[str, Any]:
    changed = int(np.count_nonzero(outcome.before != outcome.after))
    height, width = outcome.after.shape
    return {
        "image": str(job.image),
        "probs": str(job.probs),
        "out": str(job.out),
        "kind": outcome.kind,
        "height": height,
        "width": width,
        "probs_height": outcome.grid[0],
        "probs_width": outcome.grid[1],
        "labels": np.unique(outcome.after).tolist(),
        "changed_pixels": changed,
        "changed": changed / outcome.after.size,
        "seconds": outcome.seconds,
        "device": machine.device,
        "parameters": asdict(parameters),
    }


def _print(result: dict[str, Any]) -> None:
    height, width = result["height"], result["width"]
    grid = result["probs_height"], result["probs_width"]
    stretched = "" if grid == (height, width) else f", scores stretched from {grid[0]} x {grid[1]}"
    print(f"size     {height} x {width}{stretched}")
    print(f"labels   {', '.join(map(str, result['labels']))}")
    print(f"changed  {result['changed_pixels']} pixels ({result['changed']:.1%})")
    print(f"time     {1000 * result['seconds']:.0f} ms")
    print(f"written  {printable(result['out'])} ({result['kind']})")
