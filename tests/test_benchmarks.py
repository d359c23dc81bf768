"""The benchmark runs, and what it times is the same on every machine."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import densecrf
from densecrf import Bilateral, Gaussian

sys.path.append(str(Path(__file__).resolve().parents[1]))

from benchmarks import contest, crf_speed, machine, peer, report, timing, workloads

TERMS = (Gaussian(1, 3), Bilateral(67, 3, 4))


def tiny(name: str) -> workloads.Workload:
    picture, image = workloads.photograph(12, 17)
    probs = workloads.smooth_probs(3, 12, 17)
    return workloads.Workload(name, f"random-smooth on {picture}", image, probs, TERMS, tolerances=(0.0, 1e-3))


def tiny_batch(name: str) -> workloads.Workload:
    return workloads._batch(5, 12, 17, 3, TERMS)(name)


def lost(name: str) -> workloads.Workload:
    raise workloads.MissingError("there is no such picture")


class Twin:
    """Stands in for pydensecrf: this library, on one thread, a hundredth off in one place."""

    def refine(self, image: Any, probs: Any, *, terms: Any, iterations: int) -> NDArray[np.float32]:
        marginals: NDArray[np.float32] = densecrf.refine(
            image, probs, terms=terms, iterations=iterations, num_threads=1, label_tolerance=0.0
        )
        marginals[0, 0, 0] += 0.01
        return marginals


Only = Callable[[Callable[[str], workloads.Workload]], None]


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Only:
    """Makes one workload, "tiny", the only one."""

    def install(build: Callable[[str], workloads.Workload]) -> None:
        monkeypatch.setattr(workloads, "NAMES", ("tiny",))
        monkeypatch.setitem(workloads._BUILDERS, "tiny", build)
        monkeypatch.setattr(machine, "COPIED", 1 << 20)
        monkeypatch.setattr(peer, "find", lambda: None)

    return install


# -------------------------------------------------------------------------------------- the program


def test_prints_machine_and_table_and_writes_json(
    only: Only, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    only(tiny)
    path = tmp_path / "speed.json"
    assert crf_speed.main(["--quick", "--threads", "2", "1", "--json", str(path)]) == 0
    out, err = capsys.readouterr()
    for words in (
        "machine",
        "cores",
        "NumPy",
        "tiny: 12x17, 3 labels",
        "Gaussian(sxy=",
        "500.0",
        "densecrf, tol 0.001",
        "pydensecrf: not installed (make peers)",
        "floor: 1 thread",
        "milliseconds per stage, 1 thread: features",
        "milliseconds per stage, 1 thread, tol 0.001: features",
    ):
        assert words in out
    assert max(len(line) for line in out.splitlines() if not line.startswith(("machine", "densecrf "))) <= 120
    assert "round 3/3" in err
    (written,) = json.loads(path.read_text())["results"]
    rows = written["rows"][:4]
    assert [(row["threads"], row["label_tolerance"]) for row in rows] == [(1, 0), (2, 0), (1, 1e-3), (2, 1e-3)]
    assert all(len(row["seconds"]) == 3 for row in rows)
    assert [stages["label_tolerance"] for stages in written["stages"]] == [0, 1e-3]
    assert written["floor"]["bytes_per_iteration"] > 0
    assert set(written["floor"]["seconds"]) == {"1", "2"}


def test_says_what_a_workload_lacks_and_goes_on(only: Only, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    only(lost)
    path = tmp_path / "speed.json"
    assert crf_speed.main(["--threads", "1", "--json", str(path)]) == 0
    assert "tiny: skipped, there is no such picture" in capsys.readouterr().out
    assert json.loads(path.read_text())["results"] == [{"workload": "tiny", "skipped": "there is no such picture"}]


def test_a_batch_tells_what_threads_gain(only: Only, capsys: pytest.CaptureFixture[str]) -> None:
    only(tiny_batch)
    crf_speed.main(["--quick", "--threads", "1", "2"])
    out = capsys.readouterr().out
    assert "tiny: 5 pictures, 12x17, 3 labels" in out
    assert "times as fast as one" in out
    assert "not installed" not in out


def test_lists_workloads(capsys: pytest.CaptureFixture[str]) -> None:
    crf_speed.main(["--list"])
    assert capsys.readouterr().out.splitlines() == list(workloads.NAMES)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--plot", "here"], "add --growth"),
        (["--growth", "--workload", workloads.NAMES[0]], "drop --workload"),
        (["--threads", "0"], "counted from 1"),
    ],
)
def test_options_that_do_not_go_together_say_what_to_change(
    arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        crf_speed.main(arguments)
    assert hint in capsys.readouterr().err


def test_quick_leaves_out_only_workloads_that_there_are() -> None:
    assert set(workloads.SLOW) < set(workloads.NAMES)


# -------------------------------------------------------------------------------- rows of the table


def test_rows_tell_how_far_marginals_are_from_the_others() -> None:
    rows = contest.measure(tiny("tiny"), Twin(), threads=[1, 2], rounds=2)  # type: ignore[arg-type]
    assert [str(row.who) for row in rows[:5]] == [
        "densecrf, 1 thread",
        "densecrf, 2 threads",
        "densecrf, tol 0.001, 1 thread",
        "densecrf, tol 0.001, 2 threads",
        "pydensecrf, 1 thread",
    ]
    assert all(len(row.ratios) == 2 for row in rows)
    assert rows[4].ratios == (1.0, 1.0)
    for row in rows[:2]:
        assert row.difference is not None
        assert row.difference.max_abs == pytest.approx(0.01, abs=1e-6)
        assert row.difference.permille < row.difference.max_abs
    assert rows[4].difference is None


def test_difference_counts_pixels_and_ranks_distances() -> None:
    theirs = np.zeros((2, 20, 50), np.float32)
    theirs[0] = 1
    mine = theirs.copy()
    mine[:, 0, 0] = 0.25, 0.75
    found = contest.difference(mine, theirs)
    assert (found.max_abs, found.equal) == (0.75, 0.999)
    assert 0 <= found.permille < 0.75


def test_a_stage_and_its_number_stay_on_one_line() -> None:
    told = report._stages(0.0, {f"stage {i}": i / 1000 for i in range(40)})
    assert max(map(len, told.splitlines())) <= report.WIDTH
    assert all(line.endswith((",", "39")) for line in told.splitlines())
    assert "stage 39 39" in told


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
    assert mine.ratios_to(theirs) == (3.0, 3.0, 5.0)
    assert mine.ratio_to(theirs) == 3.0
    assert (theirs.median, theirs.low, theirs.high) == (5.0, 3.0, 30.0)


# ------------------------------------------------------------------------------------- the workloads


def test_workloads_are_deterministic_and_valid() -> None:
    first, second = (workloads.workload("375x500x2 srgb 13") for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.probs, second.probs)
    assert first.image.shape == (375, 500, 3)
    assert first.image.dtype == np.uint8
    assert first.probs.shape == (2, 375, 500)
    assert first.probs.dtype == np.float32
    np.testing.assert_allclose(first.probs.sum(axis=0), 1, atol=1e-5)


def test_pictures_of_a_batch_differ() -> None:
    work = workloads._batch(16, 24, 32, 3, TERMS)("batch")
    assert work.image.shape == (16, 24, 32, 3)
    assert work.probs.shape == (16, 3, 24, 32)
    assert (work.pictures, work.labels, work.shape) == (16, 3, (24, 32))
    for i in range(16):
        for j in range(i):
            assert not np.array_equal(work.image[i], work.image[j])
            assert not np.array_equal(work.probs[i], work.probs[j])


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


def test_a_picture_that_is_not_there_names_its_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(workloads, "DATA", tmp_path)
    with pytest.raises(workloads.MissingError, match=r"2007_000129_logits\.npz; DENSECRF_DATA names the folder"):
        workloads.workload("real VOC 2007_000129")


def test_a_stored_picture_is_read_with_its_network_output(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    folder = tmp_path / "voc"
    folder.mkdir()
    pillow.fromarray(np.full((20, 30, 3), 77, np.uint8)).save(folder / "2007_000129.jpg")
    logits = np.full((21, 33, 33), 10, np.uint8)
    logits[3] = 30
    np.savez(folder / "2007_000129_logits.npz", logits=logits, scale=np.float32(0.5), zero_point=np.int64(5))
    monkeypatch.setattr(workloads, "DATA", tmp_path)
    work = workloads.workload("real VOC 2007_000129")
    assert work.tolerances == (0.0, 1e-3)
    np.testing.assert_array_equal(work.image, 77)
    np.testing.assert_allclose(work.probs[3], np.exp(10) / (np.exp(10) + 20), atol=1e-6)


def test_pictures_without_scikit_image_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    importlib.import_module("densecrf.data")
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(workloads.MissingError, match="pip install scikit-image"):
        workloads.workload("real astronaut")


def test_interpolation_hits_the_scores_and_their_middles() -> None:
    scores = np.log(np.array([[[1.0, 4.0], [1.0, 1.0]], [[1.0, 1.0], [3.0, 1.0]]]))
    probs = workloads.probabilities(scores, np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.5, 1.0]))
    expected = {(0, 0): 1 / 2, (0, 1): 2 / 3, (0, 2): 4 / 5, (2, 0): 1 / 4, (2, 1): 1 / (1 + 3**0.5)}
    for (row, column), value in expected.items():
        assert probs[0, row, column] == pytest.approx(value, abs=1e-6)
