"""How fast `densecrf.refine` is on a GPU: full calls on tensors that lie there, lattices built every time.

    python benchmarks/gpu_speed.py [--quick] [--json FILE]

Times are of the wall clock, from the call until the device is done. Beside each: the floor, what the iterations must
move at the speed of a copy on this device, and how far from the CPU's the answer is.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import densecrf
from benchmarks import floor, machine, workloads
from densecrf import Bilateral, Gaussian

COPIED = 4 << 30  # bytes; far beyond the L2 cache
SETS = 4  # of inputs, taken in turns, so that none is left in the cache
LANES = 4  # labels are held in fours
_CORNER = 2 * (4 + 4)  # a row and a weight for slicing, a point and a weight for splatting


@dataclasses.dataclass(frozen=True)
class Case:
    """One line of the table.

    Attributes:
        name: of the line.
        image: uint8 [B, H, W, 3].
        probs: float32 [B, L, H, W].
        terms: pairwise terms.
        tolerance: of labels.
        goal_ms: milliseconds a picture that were aimed at on an H200.
    """

    name: str
    image: Any
    probs: Any
    terms: tuple[Gaussian | Bilateral, ...]
    tolerance: float
    goal_ms: float


def cases(quick: bool) -> Iterator[Case]:
    """What is measured."""
    near, alike = Gaussian(3, 3), Bilateral(67, 3, 4)
    _, image = workloads.photograph(375, 500)
    probs = workloads.smooth_probs(21, 375, 500)
    yield Case("375x500x21", image[None], probs[None], (near, alike), 0.0, 1.5)
    two = workloads.smooth_probs(2, 375, 500)
    yield Case("375x500x2", image[None], two[None], (near, Bilateral(80, 13, 10)), 0.0, 0.6)
    pictures = 4 if quick else 32
    many = np.stack([workloads.smooth_probs(21, 375, 500, seed=1 + i % 4) for i in range(pictures)])
    yield Case(f"{pictures} x 375x500x21", np.stack([image] * pictures), many, (near, alike), 0.0, 1000 / 700)
    real_image, real_probs = windows(pictures)
    for tolerance, goal in ((0.0, 1000 / 700), (workloads.TOLERANCE, 1.0)):
        label = f"{pictures} x 375x500x21 real, tolerance {tolerance:g}"
        yield Case(label, real_image, real_probs, (workloads.NEAR_1, alike), tolerance, goal)
    if not quick:
        _, large = workloads.photograph(1024, 2048)
        scores = workloads.smooth_probs(19, 1024, 2048)
        yield Case("1024x2048x19", large[None], scores[None], (near, alike), 0.0, 12.0)


def windows(count: int) -> tuple[Any, Any]:
    """Windows of 375x500 of the astronaut, and of a real network's output on it."""
    image, probs = workloads.sample("astronaut")
    corners = [(i * 137 // max(1, count - 1), i % 13) for i in range(count)]
    images = np.stack([image[y : y + 375, x : x + 500] for y, x in corners])
    return images, np.stack([probs[:, y : y + 375, x : x + 500] for y, x in corners])


def measure(torch: Any, case: Case, rounds: int, bandwidth: float) -> dict[str, Any]:
    """One line: milliseconds a picture, the floor, memory, and the error against the CPU."""
    inputs = [(torch.tensor(case.image, device="cuda"), torch.tensor(case.probs, device="cuda")) for _ in range(SETS)]

    def call(i: int) -> Any:
        image, probs = inputs[i % SETS]
        result = densecrf.refine(image, probs, terms=case.terms, label_tolerance=case.tolerance, channel_axis=-1)
        torch.cuda.synchronize()
        return result

    for i in range(3):
        result = call(i)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    seconds = []
    for i in range(rounds):
        begin = time.perf_counter()
        call(i)
        seconds.append(time.perf_counter() - begin)
    pictures = len(case.image)
    expected = densecrf.refine(case.image[0], case.probs[0], terms=case.terms, label_tolerance=case.tolerance)
    first = result[0].cpu().numpy()
    return {
        "name": case.name,
        "ms": 1e3 * float(np.median(seconds)) / pictures,
        "ms_min": 1e3 * min(seconds) / pictures,
        "ms_max": 1e3 * max(seconds) / pictures,
        "goal_ms": case.goal_ms,
        "floor_ms": 1e3 * moved(case) / bandwidth,
        "mib": (torch.cuda.max_memory_allocated() - before) / pictures / 2**20,
        "max_abs": float(np.abs(first - expected).max()),
        "equal_labels": float((first.argmax(0) == expected.argmax(0)).mean()),
    }


def moved(case: Case) -> int:
    """Bytes that ten iterations on the first picture move at least: scores, marginals out and in, corners, rows."""
    labels, height, width = (int(size) for size in case.probs.shape[1:])
    row = -(-labels // LANES) * LANES * 4
    work = workloads.Workload(case.name, "", case.image[0], case.probs[0], case.terms)
    vertices = floor.vertices_of(case.image[0], work)
    per_point = 4 * labels + 2 * row + floor.corners(work) * _CORNER
    return work.iterations * (height * width * per_point + 4 * vertices * row)


def copy_bandwidth(torch: Any) -> float:
    """Bytes read and written in a second by a copy on the device; the best of several."""
    source = torch.ones(COPIED, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    best = float("inf")
    for _ in range(10):
        begin.record()
        target.copy_(source)
        end.record()
        end.synchronize()
        best = min(best, begin.elapsed_time(end) / 1e3)
    return 2 * COPIED / best


def line(row: dict[str, Any]) -> str:
    """A row of the table."""
    return (
        f"{row['name']:<42}{row['ms']:>9.3f}{row['ms_min']:>9.3f} ..{row['ms_max']:>8.3f}{1e3 / row['ms']:>11.0f}"
        f"{row['goal_ms']:>8.2f}{row['floor_ms']:>9.3f}{row['mib']:>9.1f}{row['max_abs']:>10.1e}"
        f"{row['equal_labels']:>12.4%}"
    )


def main() -> int:
    """Runs the benchmark; 1 where there is nothing to run it on."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small batches, no large picture, few rounds")
    parser.add_argument("--json", type=Path, help="write the figures to a file, too")
    options = parser.parse_args()
    try:
        import torch
    except ModuleNotFoundError:
        print("This takes PyTorch with CUDA: pip install torch", file=sys.stderr)
        return 1
    if not torch.cuda.is_available():
        print(f"No GPU to measure on. densecrf says: {densecrf.build_info()['cuda']}", file=sys.stderr)
        return 1
    bandwidth = copy_bandwidth(torch)
    about = {**machine.about(), "gpu": torch.cuda.get_device_name(), "copy": f"{bandwidth / 1e12:.2f} TB/s"}
    for what, value in about.items():
        print(f"{what:<10}{value}")
    print(
        f"\n{'a picture':<42}{'ms':>9}{'min ..':>12}{'max':>8}{'pictures/s':>11}{'goal':>8}{'floor':>9}{'MiB':>9}"
        f"{'max abs':>10}{'equal labels':>13}"
    )
    rows = []
    for case in cases(options.quick):
        rows.append(measure(torch, case, 5 if options.quick else 30, bandwidth))
        print(line(rows[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"about": about, "rows": rows}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
