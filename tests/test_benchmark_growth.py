"""The sweeps over pixels, labels and vertices, and their picture."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import densecrf

sys.path.append(str(Path(__file__).resolve().parents[1]))

from benchmarks import crf_speed, growth, peer, plot, workloads
from benchmarks.contest import NAME, PEER, Contestant
from benchmarks.growth import Point, Sweep
from benchmarks.timing import Times

SWEEP = Sweep("L", "labels; 12x17, srgb 3", tuple(growth._smooth(12, 17, L, 3) for L in (2, 4)))


def slow_refine(image: Any, probs: Any, *, terms: Any, iterations: int) -> Any:
    return densecrf.refine(image, probs, terms=terms, iterations=iterations, num_threads=1, label_tolerance=0.0)


TWIN: Any = SimpleNamespace(refine=slow_refine)  # stands in for pydensecrf


def point(L: int, seconds: dict[Contestant, float], **sizes: int) -> Point:
    all_sizes = {"N": 204, "L": L, "V": 300, **sizes}
    return Point(f"12x17x{L}", all_sizes, {who: Times((taken,)) for who, taken in seconds.items()})


def test_growth_prints_a_table_per_sweep_and_writes_json(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(growth, "SWEEPS", (SWEEP,))
    monkeypatch.setattr(peer, "find", lambda: None)
    path = tmp_path / "growth.json"
    assert crf_speed.main(["--growth", "--quick", "--threads", "1", "2", "--json", str(path)]) == 0
    out = capsys.readouterr().out
    assert "milliseconds against L, labels; 12x17, srgb 3" in out
    assert out.count("pydensecrf is not installed (make peers)") == 1
    (written,) = json.loads(path.read_text())["growth"]
    assert [(each["N"], each["L"]) for each in written["points"]] == [(204, 2), (204, 4)]
    assert all([row["threads"] for row in each["rows"]] == [1, 2] for each in written["points"])


def test_all_contestants_are_in_the_table() -> None:
    points = growth.measure(SWEEP, TWIN, threads=[1, 2], quick=True)
    assert set(points[0].times) == {PEER, Contestant(NAME, 1), Contestant(NAME, 2)}
    lines = growth.text(SWEEP, points, [1, 2]).splitlines()
    assert "x, 2 thr." in lines[1]
    assert len(lines[2].split()) == 3 + 3 + 3 + 2  # name, sizes, times, ratios
    assert max(map(len, lines)) <= 120


def test_pydensecrf_leaves_once_it_would_take_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "PATIENCE", 0.0)
    first, second = growth.measure(SWEEP, TWIN, threads=[1], quick=True)
    assert PEER in first.times
    assert PEER not in second.times
    assert "pydensecrf would take about" in second.note


def test_a_sweep_ends_where_memory_does() -> None:
    def too_large() -> workloads.Workload:
        raise MemoryError("would take 900 GB")

    sweep = Sweep("N", "pixels; 2 labels", (SWEEP.workloads[0], too_large, SWEEP.workloads[1]))
    (only,) = growth.measure(sweep, TWIN, threads=[1], quick=True)
    assert only.note == "the next did not fit into memory: would take 900 GB"


def test_sweeps_change_one_thing_and_cover_what_they_are_for() -> None:
    by_axis = {sweep.axis: sweep for sweep in growth.SWEEPS}
    assert list(by_axis) == ["N", "L", "V"]
    assert [growth._sides(megapixels) for megapixels in (0.05, 2)] == [(194, 259), (1225, 1633)]
    assert [build().labels for build in by_axis["L"].workloads[:3]] == [2, 4, 8]
    assert by_axis["N"].workloads[0]().shape == (194, 259)
    assert {build().probs.shape for build in by_axis["V"].workloads[:2]} == {(21, 375, 500)}


def test_larger_pictures_have_the_same_detail() -> None:
    _, image = workloads.tiled(600, 1100)
    _, photograph = workloads.photograph(512, 512)
    np.testing.assert_array_equal(image[:512, :512], photograph)
    np.testing.assert_array_equal(image[:512, 512:1024], photograph[:, ::-1])
    np.testing.assert_array_equal(workloads.tiled(100, 90)[1], photograph[:100, :90])


# ------------------------------------------------------------------------------------------ the plot


def test_plot_has_a_panel_per_sweep_and_a_name_per_line(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    one, two = Contestant(NAME, 1), Contestant(NAME, 2)
    points = [point(2, {PEER: 0.3, one: 0.1, two: 0.06}), point(4, {one: 0.2, two: 0.11}, N=900, V=900)]
    sweeps = [(Sweep(axis, f"{axis}; the rest stays", ()), points) for axis in "NLV"]
    path = plot.draw(sweeps, tmp_path)
    assert path == tmp_path / "growth.png"
    assert path.read_bytes().startswith(b"\x89PNG")


def test_plot_without_matplotlib_names_the_extra_before_measuring(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr(growth, "measure", lambda *arguments, **keywords: pytest.fail("measured first"))
    with pytest.raises(SystemExit, match=r'the extra "bench"'):
        crf_speed.main(["--growth", "--plot", str(tmp_path)])


def test_plot_into_a_file_says_so(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "taken").write_text("")
    with pytest.raises(SystemExit, match="cannot make the folder"):
        plot.require(tmp_path / "taken")
