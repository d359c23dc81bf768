"""How the cost of a call grows with N pixels, L labels and V lattice vertices, one of them at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import contest, floor, peer, timing, workloads
from benchmarks.contest import NAME, PEER, Contestant
from densecrf import Bilateral

HEIGHT, WIDTH, LABELS = 375, 500, 21  # what stays as it is in the sweeps that are not about it
ROUNDS, BUDGET = 5, 6.0
QUICK_BUDGET = 0.0
PATIENCE = 20.0  # seconds that a call of pydensecrf may take


@dataclass(frozen=True)
class Sweep:
    """Workloads that differ in one thing.

    Attributes:
        axis: what grows: "N", "L" or "V".
        title: what that is, and what stays the same.
        workloads: how to make them, the cheapest first.
    """

    axis: str
    title: str
    workloads: tuple[Callable[[], workloads.Workload], ...]


@dataclass(frozen=True)
class Point:
    """One workload of a sweep, measured.

    Attributes:
        name: of the workload.
        sizes: "N", "L" and "V" of it.
        times: what each contestant took, of those that ran.
        note: why one did not, if so.
    """

    name: str
    sizes: dict[str, int]
    times: dict[Contestant, timing.Times]
    note: str = ""


def _smooth(H: int, W: int, L: int, srgb: float) -> Callable[[], workloads.Workload]:
    """Random-smooth probabilities on a picture with the same detail per pixel at every size."""

    def build() -> workloads.Workload:
        picture, image = workloads.tiled(H, W)
        terms = (workloads.NEAR_3, Bilateral(67, srgb, 4))
        name = f"{H}x{W}x{L} srgb {srgb:g}"
        return workloads.Workload(name, f"random-smooth on {picture}", image, workloads.smooth_probs(L, H, W), terms)

    return build


def _sides(megapixels: float) -> tuple[int, int]:
    """(H, W) of a picture of 3:4."""
    H = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    return H, round(H * 4 / 3)


SWEEPS = (
    Sweep(
        "N",
        f"pixels; {LABELS} labels, srgb 3",
        tuple(_smooth(*_sides(megapixels), LABELS, 3) for megapixels in (0.05, 0.2, 0.8, 2, 8)),
    ),
    Sweep(
        "L",
        f"labels; {HEIGHT}x{WIDTH}, srgb 3",
        tuple(_smooth(HEIGHT, WIDTH, L, 3) for L in (2, 4, 8, 16, 21, 32, 48, 66)),
    ),
    Sweep(
        "V",
        f"lattice vertices; {HEIGHT}x{WIDTH}, {LABELS} labels, srgb 30 to 2",
        tuple(_smooth(HEIGHT, WIDTH, LABELS, srgb) for srgb in (30, 13, 8, 5, 3, 2)),
    ),
)


# -------------------------------------------------------------------------------------- measuring


def measure(
    sweep: Sweep,
    other: peer.Peer | None,
    *,
    threads: Sequence[int],
    quick: bool = False,
    progress: Callable[[str], None] = lambda what: None,
) -> list[Point]:
    """Run the workloads of a sweep, as far as memory goes.

    pydensecrf leaves once the next would take it more than `PATIENCE`.
    """
    points: list[Point] = []
    for build in sweep.workloads:
        progress(f"against {sweep.axis}: making a workload")
        try:
            work = build()
            note = _why_not(other, points, work)
            points.append(_point(work, None if note else other, threads, quick, note, progress))
        except MemoryError as error:
            if not points:
                raise
            points[-1] = dataclasses.replace(points[-1], note=f"the next did not fit into memory: {error}")
            break
    return points


def _why_not(other: peer.Peer | None, points: Sequence[Point], work: workloads.Workload) -> str:
    """Why pydensecrf does not run, if so: it is not there, or it would take too long."""
    if other is None:
        return f"{contest.PEER_NAME} is {peer.NOT_INSTALLED}"
    if not points:
        return ""
    last = points[-1]
    if PEER not in last.times:
        return last.note
    larger = work.probs.size / (last.sizes["N"] * last.sizes["L"])
    expected = last.times[PEER].median * larger
    return f"{contest.PEER_NAME} would take about {expected:.0f} s" if expected > PATIENCE else ""


def _point(
    work: workloads.Workload,
    other: peer.Peer | None,
    threads: Sequence[int],
    quick: bool,
    note: str,
    progress: Callable[[str], None],
) -> Point:
    whos = [*([PEER] if other else []), *(Contestant(NAME, count) for count in threads)]
    titles = {str(who): who for who in whos}
    H, W = work.shape
    vertices = floor.of(work).vertices
    times = timing.interleaved(
        {title: who.call(work, other) for title, who in titles.items()},
        rounds=ROUNDS,
        at_least=1,
        budget=QUICK_BUDGET if quick else BUDGET,
        progress=lambda what: progress(f"{work.name}: {what}"),
    )
    sizes = {"N": H * W, "L": work.labels, "V": vertices}
    return Point(work.name, sizes, {titles[title]: taken for title, taken in times.items()}, note)


# --------------------------------------------------------------------------------------- printing


def text(sweep: Sweep, points: Sequence[Point], threads: Sequence[int]) -> str:
    """One sweep as a table: milliseconds, and pydensecrf's time over this library's."""
    whos = [PEER, *(Contestant(NAME, count) for count in threads)]
    heading = f"  {'':<24}{'N':>10}{'L':>5}{'V':>11}" + "".join(f"{_column(who):>14}" for who in whos)
    lines = [
        f"milliseconds against {sweep.axis}, {sweep.title}",
        heading + "".join(f"{f'x, {who.threads} thr.':>12}" for who in whos[1:]),
    ]
    for point in points:
        sizes = f"{point.sizes['N']:>10,}{point.sizes['L']:>5}{point.sizes['V']:>11,}"
        took = "".join(f"{_milliseconds(point.times.get(who)):>14}" for who in whos)
        ratios = "".join(f"{_ratio(point, who):>12}" for who in whos[1:])
        lines.append(f"  {point.name:<24}{sizes}{took}{ratios}".rstrip())
    notes = dict.fromkeys(point.note for point in points if point.note)
    return "\n".join([*lines, *(f"  {note}" for note in notes)])


def _column(who: Contestant) -> str:
    if who == PEER:
        return contest.PEER_NAME
    return f"{who.threads} thread{'s' if who.threads > 1 else ''}"


def _milliseconds(times: timing.Times | None) -> str:
    return "" if times is None else f"{times.median * 1e3:.1f}"


def _ratio(point: Point, who: Contestant) -> str:
    against = point.times.get(PEER)
    return "" if against is None else f"{point.times[who].ratio_to(against):.2f}"


def as_json(sweep: Sweep, points: Sequence[Point]) -> dict[str, Any]:
    """Give every number."""
    return {
        "against": sweep.axis,
        "title": sweep.title,
        "points": [
            {
                "workload": point.name,
                **point.sizes,
                "rows": [
                    {"name": who.name, "threads": who.threads, "seconds": list(times.seconds), "median": times.median}
                    for who, times in point.times.items()
                ],
                "note": point.note,
            }
            for point in points
        ],
    }
