"""python -m deeplab search: what it finds, that it goes on where it was stopped, and what it leaves behind."""

import importlib
import json
import time
from importlib.util import find_spec

import numpy as np
import pytest

toys = pytest.importorskip("deeplab_toys")  # needs torch

from deeplab import evaluate, search  # noqa: E402
from deeplab.commands import span  # noqa: E402
from deeplab.search import best_of  # noqa: E402
from densecrf._parameters import Parameters, resolve  # noqa: E402

network = toys.network

GRID = ["--w1", "1:3", "--sigma-alpha", "5,20", "--sigma-beta", "10:20:50", "--rounds", "1", "--iterations", "3"]
PLANTED = Parameters(2, 20, 30, iterations=3)


@pytest.fixture
def data(tmp_path):
    """Pictures whose labels are what the CRF makes of the scores with parameters that are on the grid."""
    root = tmp_path / "set"
    data = toys.make(root)
    for sample in data:
        labels = toys.refined(sample.image, toys.stored(root, sample.name), PLANTED.preset()).argmax(0)
        toys.Image.fromarray(labels.astype(np.uint8)).save(root / "labels" / f"{sample.name}.png")
    return data


@pytest.fixture
def measured(monkeypatch):
    """The settings that are measured, in the order in which that ends."""
    settings = []
    mean_iou = search.mean_iou

    def kept(data, scorer, parameters):
        value = mean_iou(data, scorer, parameters)
        settings.append((parameters.w1, parameters.sigma_alpha, parameters.sigma_beta))
        return value

    monkeypatch.setattr(search, "mean_iou", kept)
    return settings


def arguments(tmp_path, *more):
    named = ["--scores", str(tmp_path / "set" / "scores")] if "toy" not in more else []
    return ["--data", "folder", "--root", str(tmp_path / "set"), "--out", str(tmp_path / "crf"), *named, *GRID, *more]


# ---- the search by itself ---------------------------------------------------------------------------------------


def planted(*optimum):
    """Settings that are better the closer they are, in units of the grid's steps; keeps what it was asked for."""

    def measured(settings):
        measured.asked.append(list(settings))
        scale = np.array([1, 10, 1])
        return {setting: -float((np.abs(np.subtract(setting, optimum)) / scale).sum()) for setting in settings}

    measured.asked = []
    return measured


def test_the_rounds_close_in_on_an_optimum_between_the_points_of_the_grid():
    function = planted(4.25, 67.5, 3.75)
    found = search.search((span("3:6"), span("30:10:100"), span("3:6")), 2, function)
    assert best_of(found) == (4.25, 67.5, 3.75)
    assert len(function.asked[0]) == 4 * 8 * 4
    assert len(function.asked[1]) == len(function.asked[2]) == 26  # the neighbours, without the best one itself


def test_a_setting_with_one_value_stays_and_nothing_below_zero_is_tried():
    found = search.search(((4.0,), (1.0, 5.0), (3.0,)), 3, planted(4, 0, 3))
    assert {(w1, beta) for w1, _, beta in found} == {(4.0, 3.0)}
    assert min(alpha for _, alpha, _ in found) == 0.5  # 1 - 2 and 1 - 1 are not


def test_of_equals_the_first_in_the_order_of_the_loops_wins():
    calls = []

    def equal(settings):
        calls.append(settings)
        return dict.fromkeys(settings, 0.5)

    assert best_of(search.search(((3, 4), (50, 60), (5, 6)), 2, equal)) == (3, 50, 5)
    assert calls[0][:4] == [(3, 50, 5), (3, 50, 6), (3, 60, 5), (3, 60, 6)]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("3:6", (3, 4, 5, 6)),
        ("30:10:100", (30, 40, 50, 60, 70, 80, 90, 100)),
        ("5,10", (5, 10)),
        ("4", (4,)),
        ("0:0.1:0.3", (0, 0.1, 0.2, 0.3)),
    ],
)
def test_ranges_are_written_as_in_the_papers(text, values):
    assert span(text) == pytest.approx(values)


# ---- on pictures ------------------------------------------------------------------------------------------------


def test_planted_parameters_are_found_and_evaluate_takes_them(data, tmp_path, capsys):
    assert search.main(arguments(tmp_path)) == 0
    file = tmp_path / "crf" / "preset.toml"
    assert resolve(file).terms == PLANTED.preset().terms
    said = capsys.readouterr().out
    assert "w1 2, sigma_alpha 20, sigma_beta 30: mean IoU 100.00 %" in said
    assert "sigma_alpha is at the border of its range" in said
    assert "w1 is at" not in said
    assert f"--preset {file}" in said
    found = evaluate.evaluate(data, search.StoredScores(tmp_path / "set" / "scores"), resolve(file).preset())
    assert found.confusions[1].mean_iou == 1


@pytest.mark.parametrize("workers", [1, 3])
def test_every_setting_is_noted_with_its_mean_iou(workers, data, tmp_path):
    search.main(arguments(tmp_path, "--workers", str(workers), "--rounds", "0"))
    lines = (tmp_path / "crf" / "settings.csv").read_text().splitlines()
    assert lines[0] == "w1,sigma_alpha,sigma_beta,mean_iou"
    found = {tuple(map(float, line.split(",")[:3])): float(line.split(",")[3]) for line in lines[1:]}
    assert len(found) == 3 * 2 * 3
    for w1, alpha, beta in ((1, 5, 10), (3, 20, 50)):
        preset = Parameters(w1, alpha, beta, iterations=3).preset()
        pairs = []
        for sample in data:
            scores = toys.stored(tmp_path / "set", sample.name)
            pairs.append((sample.labels, toys.refined(sample.image, scores, preset).argmax(0)))
        assert found[w1, alpha, beta] == pytest.approx(toys.mean_iou(pairs), abs=1e-12)


def noted(path):
    """The settings in a settings.csv."""
    return [tuple(map(float, line.split(",")[:3])) for line in path.read_text().splitlines()[1:]]


def test_a_search_that_was_stopped_goes_on_without_repeating(data, tmp_path, measured, monkeypatch):
    file = tmp_path / "crf" / "settings.csv"
    mean_iou, calls = search.mean_iou, []

    def stopped(*arguments):
        calls.append(arguments)
        if len(calls) == 8:
            raise KeyboardInterrupt
        time.sleep(0.05)  # what it did not cancel, it would now wait for
        return mean_iou(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(search, "mean_iou", stopped)
        with pytest.raises(KeyboardInterrupt):
            search.main(arguments(tmp_path, "--workers", "1"))
    assert len(calls) < 18
    *before, torn = noted(file)
    assert before == measured[: len(before)]
    file.write_text(file.read_text()[:-1])  # killed while the last line was written
    measured.clear()
    assert search.main(arguments(tmp_path)) == 0
    assert torn in measured
    assert not set(before) & set(measured)
    assert sorted(noted(file)) == sorted(before + measured)
    measured.clear()
    again = file.read_text()
    assert search.main(arguments(tmp_path)) == 0
    assert measured == []
    assert file.read_text() == again


def test_a_wider_range_goes_on_in_the_same_folder_and_other_pictures_do_not(data, tmp_path, measured, capsys):
    assert search.main(arguments(tmp_path, "--rounds", "0")) == 0
    measured.clear()
    assert search.main(arguments(tmp_path, "--rounds", "0", "--w1", "1:4")) == 0
    assert {w1 for w1, _, _ in measured} == {4}
    assert search.main(arguments(tmp_path, "--limit", "2")) == 2
    assert "is of a search with another limit, pictures; choose another --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("search.json", b'{"data": "fol', "does not say what was searched there"),
        ("search.json", b"[1]", "does not say what was searched there"),
        ("settings.csv", b"w1\nnonsense\n", "not the settings of a search"),
        ("settings.csv", b"w1\n\xff,1,1,1\n", "not the settings of a search"),
    ],
)
def test_notes_that_are_damaged_are_named(data, tmp_path, measured, capsys, name, content, words):
    assert search.main(arguments(tmp_path, "--rounds", "0")) == 0
    (file,) = tmp_path.rglob(name)
    file.write_bytes(content)
    assert search.main(arguments(tmp_path, "--rounds", "0")) == 2
    assert words in capsys.readouterr().err


def test_a_file_of_settings_that_was_torn_in_its_first_line_loses_none_that_come_after(tmp_path):
    path = tmp_path / "settings.csv"
    path.write_text("w1,sig")
    search.Journal(path).add((1.0, 2.0, 3.0), 0.5)
    assert search.Journal(path).found == {(1.0, 2.0, 3.0): 0.5}


def test_pictures_are_drawn_by_the_seed(tmp_path):
    toys.make(tmp_path / "set", count=12)
    drawn = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        options = ("--limit", "4", "--seed", str(seed), "--out", str(tmp_path / name), "--rounds", "0", "--w1", "1")
        assert search.main(arguments(tmp_path, *options)) == 0
        drawn.append(json.loads((tmp_path / name / "search.json").read_text())["pictures"].split())
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) == 4


def test_a_network_runs_once_for_a_picture(data, tmp_path, network):
    made, named = network(tmp_path)
    for _ in range(2):
        assert search.main(arguments(tmp_path, *named, "--rounds", "0")) == 0
    assert made.calls == len(data)
    assert sorted(path.name for path in (tmp_path / "crf" / "scores").iterdir()) == ["toy0.npy", "toy1.npy", "toy2.npy"]


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs matplotlib")
def test_the_surface_is_drawn(data, tmp_path):
    search.main(arguments(tmp_path))
    assert not importlib.import_module("matplotlib.pyplot").get_fignums()  # nothing holds it
    with toys.Image.open(tmp_path / "crf" / "surface.png") as image:
        assert min(image.size) > 300
        assert len(np.unique(np.asarray(image.convert("L")))) > 10


# ---- what is refused --------------------------------------------------------------------------------------------

WRONG = [
    (["--w1", "6:3"], "must be first:last, first:step:last or a,b,c; got '6:3'"),
    (["--sigma-alpha", "ten"], "argument --sigma-alpha: must be first:last, first:step:last or a,b,c; got 'ten'"),
    (["--sigma-beta", "0:5"], "sigma_beta is a standard deviation and must be positive"),
    (["--w1", "nan"], "w1 must be finite"),
    (["--limit", "0"], "must be at least 1, got 0"),
    (["--normalization", "before"], "invalid choice: 'before'"),
    (["--scores", "nowhere"], "nowhere has no scores of 3 of 3 pictures"),
]


@pytest.mark.parametrize(("more", "words"), WRONG, ids=[" ".join(more) for more, _ in WRONG])
def test_what_is_wrong_is_said_within_a_second_and_leaves_no_folder(more, words, data, tmp_path, capsys):
    start = time.perf_counter()
    try:
        status = search.main(arguments(tmp_path, *more))
    except SystemExit as exit:
        status = exit.code
    assert status == 2
    assert time.perf_counter() - start < 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "crf").exists()


def test_help_reads_like_a_manual(capsys):
    with pytest.raises(SystemExit, match="0"):
        search.main(["--help"])
    said = capsys.readouterr().out
    assert "examples:" in said
    assert all(name in said for name in ("preset.toml", "settings.csv", "--sigma-alpha", "30:10:100", "--seed"))
