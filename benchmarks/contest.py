"""Who runs a workload, in turns in one process, and the rows of the table that come of it."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import densecrf
from benchmarks import peer, timing, workloads

Marginals = NDArray[np.float32]  # [L, H, W]; [B, L, H, W] for a batch

NAME = "densecrf"
PEER_NAME = "pydensecrf"
PAPERS_NAME = "DeepLab papers"
PAPERS_SECONDS = 0.5  # Chen et al., ICLR 2015: about 0.5 s per image, the CRF alone
PAPERS_PIXELS = 375 * 500  # of a PASCAL VOC picture; pictures far larger are not compared


@dataclass(frozen=True)
class Contestant:
    """A library and how it is run.

    Attributes:
        name: `NAME` or `PEER_NAME`.
        threads: how many it runs on.
        tolerance: ``label_tolerance``; 0 for none.
    """

    name: str
    threads: int = 1
    tolerance: float = 0.0

    @property
    def title(self) -> str:
        """What the tables call it, the number of threads aside."""
        return f"{self.name}, tol {self.tolerance:g}" if self.tolerance else self.name

    def __str__(self) -> str:
        return f"{self.title}, {self.threads} thread{'s' if self.threads > 1 else ''}"

    def call(self, work: workloads.Workload, other: peer.Peer | None) -> Callable[[], Marginals]:
        """Give what is timed: from label-major probabilities to label-major marginals."""
        if self.name == NAME:
            return functools.partial(
                densecrf.refine,
                work.image,
                work.probs,
                terms=work.terms,
                iterations=work.iterations,
                num_threads=self.threads,
                label_tolerance=self.tolerance,
            )
        if other is None:
            raise ValueError(f"{PEER_NAME} is {peer.NOT_INSTALLED}")
        return functools.partial(other.refine, work.image, work.probs, terms=work.terms, iterations=work.iterations)


PEER = Contestant(PEER_NAME)


@dataclass(frozen=True)
class Difference:
    """How far marginals are from pydensecrf's.

    Attributes:
        max_abs: the largest difference of a marginal.
        permille: the 99.9th percentile of the differences.
        equal: the share of pixels whose most likely label is pydensecrf's.
    """

    max_abs: float
    permille: float
    equal: float


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        who: who ran; None for the papers.
        times: what it took; None for what was not run here.
        ratios: pydensecrf's time over this one's, round by round; empty where it did not run.
        difference: from pydensecrf's marginals.
    """

    who: Contestant | None
    times: timing.Times | None = None
    ratios: tuple[float, ...] = ()
    difference: Difference | None = None

    @property
    def ratio(self) -> float | None:
        """The middle of the ratios."""
        return statistics.median(self.ratios) if self.ratios else None


def contestants(work: workloads.Workload, threads: Sequence[int]) -> list[Contestant]:
    """Give this library's ways of running a workload."""
    return [Contestant(NAME, count, tolerance) for tolerance in work.tolerances for count in threads]


def measure(
    work: workloads.Workload,
    other: peer.Peer | None,
    *,
    threads: Sequence[int],
    rounds: int,
    at_least: int = 3,
    budget: float = float("inf"),
    progress: Callable[[str], None] = lambda what: None,
) -> list[Row]:
    """Run one workload on both libraries, in turns; the untimed first calls give the differences.

    pydensecrf knows no batches, and takes no part in them.
    """
    compared = other is not None and work.pictures is None
    everybody = [*([PEER] if compared else []), *contestants(work, threads)]
    titles = {str(who): who for who in everybody}
    expected: list[Marginals] = []
    differences: dict[Contestant, Difference] = {}

    def compare(title: str, marginals: Marginals) -> None:
        if titles[title] == PEER:
            expected.append(marginals)
        elif expected:
            differences[titles[title]] = difference(marginals, expected[0])

    taken = timing.interleaved(
        {title: who.call(work, other) for title, who in titles.items()},
        rounds=rounds,
        at_least=at_least,
        budget=budget,
        progress=progress,
        answer=compare,
    )
    return _rows(work, {titles[title]: times for title, times in taken.items()}, differences)


def _rows(
    work: workloads.Workload,
    taken: Mapping[Contestant, timing.Times],
    differences: Mapping[Contestant, Difference],
) -> list[Row]:
    """This library first, then pydensecrf, then the papers."""
    against = taken.get(PEER)
    rows = [
        Row(who, times, times.ratios_to(against) if against else (), differences.get(who))
        for who, times in taken.items()
        if who != PEER
    ]
    if work.pictures is not None:
        return rows
    rows.append(Row(PEER, against, against.ratios_to(against) if against else ()))
    if work.probs[0].size < 2 * PAPERS_PIXELS:
        papers = timing.Times((PAPERS_SECONDS,))
        ratios = tuple(seconds / PAPERS_SECONDS for seconds in against.seconds) if against else ()
        rows.append(Row(None, papers, ratios))
    return rows


def difference(mine: Marginals, theirs: Marginals) -> Difference:
    """Compare marginals [L, H, W]."""
    distances = np.abs(mine - theirs)
    equal = float((mine.argmax(axis=0) == theirs.argmax(axis=0)).mean())
    return Difference(float(distances.max()), float(np.percentile(distances, 99.9)), equal)
