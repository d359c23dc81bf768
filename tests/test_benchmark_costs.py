"""What the benchmark counts beside times of calls: stages, memory, and the floor."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from densecrf import Bilateral, Gaussian

sys.path.append(str(Path(__file__).resolve().parents[1]))

from benchmarks import contest, floor, machine, memory, stages, workloads

ROOT = Path(__file__).resolve().parents[1]
TERMS = (Gaussian(3, 3), Bilateral(67, 13, 4))
STAGES = {"features", "vertices", "neighbours", "normalise", "read", "slice", "softmax", "splat", "blur", "write"}


def smooth(H: int, W: int, L: int) -> workloads.Workload:
    picture, image = workloads.photograph(H, W)
    return workloads.Workload("smooth", f"random-smooth on {picture}", image, workloads.smooth_probs(L, H, W), TERMS)


# ------------------------------------------------------------------------------------------- stages


def test_stages_and_the_rest_add_up_to_the_call() -> None:
    seconds = stages.measure(smooth(60, 80, 5), 0.0)
    assert set(seconds) == {*STAGES, stages.REST}
    assert all(taken >= 0 for taken in seconds.values())
    assert min(seconds[stage] for stage in ("features", "slice", "splat", "blur")) > 0


def test_rest_is_what_the_stages_leave() -> None:
    assert stages.with_rest({"slice": 1.0, "blur": 2.0}, 3.5) == {"slice": 1.0, "blur": 2.0, stages.REST: 0.5}


# ------------------------------------------------------------------------------------------- memory

linux = pytest.mark.skipif(not memory.STATUS.exists(), reason="peaks of memory are read from Linux's /proc")


@linux
def test_peak_counts_what_a_call_takes_and_gives_back() -> None:
    program = f"""
import sys
sys.path.append({str(ROOT)!r})
import numpy as np
from benchmarks import memory
print(memory._peak_of(lambda: [np.ones(40 << 20, np.uint8).sum() for _ in range(2)]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 39 < float(done.stdout) < 60


@linux
def test_peak_of_this_library_covers_its_answer() -> None:
    work = smooth(200, 300, 21)
    who = contest.Contestant(contest.NAME)
    peak = memory.peaks(work, [who])[who]
    assert peak.why == ""
    assert peak.mib is not None
    assert work.probs.nbytes / 2**20 < peak.mib < 200


@linux
def test_a_call_that_fails_has_no_peak_and_says_why() -> None:
    work = smooth(12, 17, 3)
    work.probs[0, 0, 0] = np.nan
    who = contest.Contestant(contest.NAME)
    peak = memory.peaks(work, [who])[who]
    assert peak.mib is None
    assert "ValueError" in peak.why


def test_without_peaks_to_read_there_is_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "STATUS", tmp_path / "status")
    who = contest.Contestant(contest.NAME)
    assert "only Linux" in memory.peaks(smooth(12, 17, 3), [who])[who].why


# ------------------------------------------------------------------------------------------ the floor


def test_floor_counts_unaries_corners_and_rows() -> None:
    assert floor.moved(points=10, labels=21, corners=9, vertices=4) == 10 * (24 * 4 + 9 * 8) + 4 * 4 * 24 * 4
    assert floor.moved(points=10, labels=19, corners=9, vertices=0) == 10 * (20 * 4 + 9 * 8)
    assert floor.moved(points=10, labels=2, corners=9, vertices=0) == 10 * (1 * 4 + 9 * 8)  # their difference


def test_floor_of_a_workload_is_all_its_iterations() -> None:
    found = floor.of(smooth(12, 17, 3))
    assert found.iteration == floor.moved(12 * 17, 3, 3 + 6, found.vertices)
    assert found.bytes == 10 * found.iteration
    assert found.seconds({1: 1e9, 2: 2e9}) == {1: found.bytes / 1e9, 2: found.bytes / 2e9}


def test_floor_of_a_batch_is_that_of_its_pictures() -> None:
    one = smooth(12, 17, 3)
    batch = workloads.Workload("batch", "", np.stack([one.image] * 3), np.stack([one.probs] * 3), TERMS)
    assert floor.of(batch).bytes == 3 * floor.of(one).bytes


def test_bandwidth_counts_reading_and_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "COPIED", 1 << 20)
    assert 1e7 < machine.bandwidth(2) < 1e13
