"""The benchmark runs, and what it times is the same on every machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from densecrf import Bilateral, Gaussian

sys.path.append(str(Path(__file__).resolve().parents[1]))

from benchmarks import crf_speed, peer, timing, workloads

TERMS = (Gaussian(1, 3), Bilateral(67, 3, 4))


def tiny(name: str) -> workloads.Workload:
    picture, image = workloads.photograph(12, 17)
    return workloads.Workload(name, f"random-smooth on {picture}", image, workloads.smooth_probs(3, 12, 17), TERMS)


@pytest.fixture
def only_tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workloads, "NAMES", ("tiny",))
    monkeypatch.setitem(workloads._BUILDERS, "tiny", tiny)


@pytest.mark.usefixtures("only_tiny")
def test_prints_machine_and_table_and_writes_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "speed.json"
    assert crf_speed.main(["--quick", "--threads", "1", "2", "--json", str(path)]) == 0
    out, err = capsys.readouterr()
    for words in (
        "machine",
        "cores",
        "NumPy",
        "tiny: 12x17, 3 labels",
        "Gaussian(sxy=",
        "500.0",
        "pydensecrf",
    ):
        assert words in out
    assert "round 3/3" in err
    written = json.loads(path.read_text())
    assert [row["threads"] for row in written["results"][0]["rows"][:2]] == [1, 2]
    assert all(len(row["seconds"]) == 3 for row in written["results"][0]["rows"][:2])


@pytest.mark.usefixtures("only_tiny")
def test_says_so_where_pydensecrf_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peer, "find", lambda: None)
    crf_speed.main(["--quick", "--threads", "1"])
    assert "pydensecrf: not installed (make peers)" in capsys.readouterr().out


def test_lists_workloads(capsys: pytest.CaptureFixture[str]) -> None:
    crf_speed.main(["--list"])
    assert capsys.readouterr().out.splitlines() == list(workloads.NAMES)


def test_timing_takes_turns_after_one_untimed_call() -> None:
    order: list[str] = []
    answers: list[str] = []
    times = timing.interleaved(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")},
        rounds=5,
        at_least=2,
        budget=0.0,
        answer=lambda name, result: answers.append(name),
    )
    assert order == ["a", "b"] * 3
    assert answers == ["a", "b"]
    assert {name: len(taken.seconds) for name, taken in times.items()} == {"a": 2, "b": 2}


def test_ratio_is_taken_round_by_round() -> None:
    mine, theirs = timing.Times((1.0, 10.0, 1.0)), timing.Times((3.0, 30.0, 5.0))
    assert mine.ratio_to(theirs) == 3.0
    assert (theirs.median, theirs.low, theirs.high) == (5.0, 3.0, 30.0)


def test_workloads_are_deterministic_and_valid() -> None:
    first, second = (workloads.workload("375x500x2 srgb 13") for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.probs, second.probs)
    assert first.image.shape == (375, 500, 3)
    assert first.image.dtype == np.uint8
    assert first.probs.shape == (2, 375, 500)
    assert first.probs.dtype == np.float32
    np.testing.assert_allclose(first.probs.sum(axis=0), 1, atol=1e-5)


def test_random_probabilities_are_the_same_on_every_machine() -> None:
    probs = workloads.smooth_probs(3, 12, 17)
    steps = probs * 2**20
    np.testing.assert_array_equal(steps, np.rint(steps))
    assert int(steps.astype(np.int64)[0].sum()) == 124838201
    assert workloads._texture(12, 17).sum() == 103278


def test_samples_have_the_sizes_their_pictures_have() -> None:
    sizes = {"chelsea": (300, 451), "astronaut": (512, 512), "motorcycle": (337, 500)}
    for name in workloads.SAMPLES:
        image, probs = workloads.sample(name)
        assert image.shape == (*sizes[name], 3)
        assert probs.shape == (21, *sizes[name])


def test_interpolation_hits_the_scores_and_their_middles() -> None:
    scores = np.log(np.array([[[1.0, 4.0], [1.0, 1.0]], [[1.0, 1.0], [3.0, 1.0]]]))
    probs = workloads.probabilities(scores, np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.5, 1.0]))
    expected = {(0, 0): 1 / 2, (0, 1): 2 / 3, (0, 2): 4 / 5, (2, 0): 1 / 4, (2, 1): 1 / (1 + 3**0.5)}
    for (row, column), value in expected.items():
        assert probs[0, row, column] == pytest.approx(value, abs=1e-6)
