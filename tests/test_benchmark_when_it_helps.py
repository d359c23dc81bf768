"""docs/when_it_helps.md: its examples run, its tables are measured, and it knows every finding."""

import contextlib
import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT))

pytest.importorskip("torch")  # deeplab.metrics
pytest.importorskip("PIL")

from benchmarks import help_findings, help_plots, labelled, when_it_helps  # noqa: E402
from benchmarks.labelled import Collection, Labelled  # noqa: E402
from densecrf import diagnose  # noqa: E402

PAGE = ROOT / "docs" / "when_it_helps.md"
SWEEP = when_it_helps.Sweep("weights", "weights times", [when_it_helps._weights(factor) for factor in (0.01, 1)])


def off_by_three(name):
    """Two halves of a picture, void between them, and a network whose border is three pixels off."""
    truth = np.repeat(np.arange(60) >= 30, 80).reshape(60, 80).T[:80].astype(np.uint8)
    image = np.repeat(truth[..., np.newaxis] * np.uint8(150) + np.uint8(40), 3, axis=2)
    logit = np.broadcast_to((np.arange(60) - 32.5) / 4, truth.shape)
    foreground = 1 / (1 + np.exp(-logit))
    drawn = truth.copy()
    drawn[:, 29:31] = 255
    return Labelled(name, image, np.stack([1 - foreground, foreground]).astype(np.float32), drawn)


@pytest.fixture
def collections():
    return [Collection("VOC", "made up", ("left", "right"), "void", ("a", "b"), off_by_three)]


@pytest.fixture
def little_is_enough(monkeypatch):
    monkeypatch.setattr(when_it_helps, "ENOUGH", 10)


def test_a_table_has_the_network_and_every_setting(collections, little_is_enough):
    lines = when_it_helps.table(SWEEP, when_it_helps.measured(collections, SWEEP)).splitlines()
    assert lines[0] == "| weights times | VOC: pixels right | VOC: band |"
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| network alone", "| 0.01", "| 1"]
    assert lines[2].split(" | ")[1:] == lines[3].split(" | ")[1:]
    assert lines[4].endswith("| 100.0 | 100.0 |")


def test_a_band_of_too_few_pixels_is_not_scored(collections):
    lines = when_it_helps.table(SWEEP, when_it_helps.measured(collections, SWEEP)).splitlines()
    assert lines[0] == "| weights times | VOC: pixels right |"


def test_gains_are_points_over_the_network(collections, little_is_enough):
    gains = when_it_helps.gains(SWEEP, when_it_helps.measured(collections, SWEEP))
    assert gains.values == [0.01, 1]
    assert gains.lines["accuracy"]["VOC"][0] == 0
    assert gains.lines["accuracy"]["VOC"][1] == pytest.approx(100 * 2 / 58)  # the third pixel of three is void
    assert gains.lines["band"]["VOC"][1] > 30


def test_tables_go_between_their_markers_and_nowhere_else():
    text = "before\n<!-- measured: a -->\nold\n<!-- end -->\nbetween\n<!-- measured: b -->\n<!-- end -->\nafter\n"
    expected = text.replace("old", "new").replace("b -->\n", "b -->\nother\n")
    assert when_it_helps.filled(text, {"a": "new", "b": "other"}) == expected
    assert when_it_helps.filled(expected, {"a": "new", "b": "other"}) == expected
    with pytest.raises(SystemExit, match="measured: c"):
        when_it_helps.filled(text, {"c": "new"})


def test_figures_are_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    gains = help_plots.Gains([1, 2, 4], {"accuracy": {"VOC": [0, 1, -1]}, "band": {"VOC": [0, 2, 1]}})
    help_plots._curves(tmp_path / "curves.png", dict.fromkeys(("weights", "iterations"), gains))
    assert (tmp_path / "curves.png").stat().st_size > 10_000


def test_findings_are_summed_up():
    one = off_by_three("a")
    found = 2 * [help_findings.seen(diagnose(one.image, one.probs, preset="densecrf"))]
    assert help_findings.counts(found) == "In 2 diagnoses: note `grey-picture` 2 times; nothing else."
    assert len(help_findings.table(found).splitlines()) == 2 + len(help_findings.MEASURES)


# ---- the page -----------------------------------------------------------------------------------------------


def test_what_the_page_shows_runs_and_prints_what_stands_below_it():
    pytest.importorskip("skimage")
    blocks = re.findall(r"^```python\n(.*?)^```\n```\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) == 3
    names: dict = {}
    for code, expected in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code, names)
        assert printed.getvalue() == expected


def test_the_page_explains_every_finding_and_no_other():
    sources = "".join(path.read_text() for path in (ROOT / "densecrf" / "_diagnose").glob("of_*.py"))
    codes = set(re.findall(r'"([a-z]+(?:-[a-z]+)+|saturated|undecided|vanished|swallowed|oscillates)"', sources))
    listed = PAGE.read_text(encoding="utf-8").partition("## The findings")[2].partition("<!-- measured")[0]
    assert codes == {code for code in re.findall(r"^\| (.*?) \|", listed, re.M) for code in re.findall("`(.*?)`", code)}
    assert len(codes) > 20


def test_every_table_and_figure_of_the_page_is_there():
    text = PAGE.read_text(encoding="utf-8")
    tables = re.findall(r"<!-- measured: (\w+) -->\n(.*?)<!-- end -->", text, re.S)
    assert {name for name, _ in tables} >= {sweep.name for sweep in when_it_helps.sweeps()}
    assert [name for name, lines in tables if not lines.strip()] == []
    figures = re.findall(r"\]\((when_it_helps/.*?)\)", text)
    assert len(figures) == 4
    assert all((PAGE.parent / figure).stat().st_size < 150_000 for figure in figures)


def test_without_the_pictures_it_says_what_is_missing(monkeypatch, tmp_path):
    def lost():
        raise when_it_helps.MissingError("there is no such folder")

    monkeypatch.setattr(labelled, "msrc", lost)
    with pytest.raises(SystemExit, match="there is no such folder"):
        when_it_helps.main(["--docs", str(tmp_path)])
