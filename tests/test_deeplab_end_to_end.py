"""A LargeFOV of a few channels: trained, evaluated before and after the CRF, searched for parameters, and used."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
image = pytest.importorskip("PIL.Image")
pytest.importorskip("deeplab")

import deeplab_training  # noqa: E402  # needs torch

from deeplab import __main__  # noqa: E402

CAMVID = Path(os.environ.get("DENSECRF_DATA", Path(__file__).parents[2] / "shared" / "data")) / "camvid"
CONFIG = """
network = "deeplab-v1-largefov"
width = 0.0625
batch_norm = true
[data]
kind = "{kind}"
root = "{root}"
split = "{split}"
[input]
crop = 65
scales = [{scale}]
[solver]
iterations = {iterations}
batch = 4
base_lr = 0.007
policy = "poly"
[run]
workers = 0
"""


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def run(*arguments):
    assert __main__.main([str(one) for one in arguments]) == 0


def losses_of(folder):
    with open(folder / "log.csv", newline="") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def results_of(folder):
    with open(folder / "results.csv", newline="") as file:
        return {row["measure"]: (float(row["before"]), float(row["after"])) for row in csv.DictReader(file)}


def trained(tmp_path, kind, root, split, scale, iterations):
    """Trains for some dozens of steps; the loss falls."""
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(kind=kind, root=root, split=split, scale=scale, iterations=iterations))
    run("train", config, "--out", tmp_path / "run")
    losses = losses_of(tmp_path / "run")
    assert len(losses) == iterations
    assert np.mean(losses[-10:]) < 0.85 * np.mean(losses[:10])
    return tmp_path / "run" / "weights.pt"


def test_a_network_is_trained_evaluated_searched_for_and_used(tmp_path, capsys):
    deeplab_training.write_data(tmp_path / "data")
    weights = trained(tmp_path, "folder", tmp_path / "data", "all", 1.0, 120)
    data = ("--data", "folder", "--root", tmp_path / "data", "--split", "all")
    run(
        "evaluate",
        tmp_path / "config.toml",
        weights,
        *data,
        "--preset",
        "deeplab-v1",
        "--limit",
        4,
        "--out",
        tmp_path / "results",
    )
    results = results_of(tmp_path / "results")
    assert results["pixel accuracy"][0] > 0.5  # of three classes
    ranges = ("--w1", "3:3:6", "--sigma-alpha", "20:20:40", "--sigma-beta", "5:5:5", "--rounds", 0)
    run("search", tmp_path / "config.toml", weights, *data, *ranges, "--limit", 3, "--out", tmp_path / "found")
    preset = tmp_path / "found" / "preset.toml"
    picture = tmp_path / "data" / "images" / "0.png"
    run(
        "predict",
        tmp_path / "config.toml",
        weights,
        picture,
        "--classes",
        3,
        "--preset",
        preset,
        "--out",
        tmp_path / "labels",
    )
    with image.open(tmp_path / "labels" / "0.png") as labels, image.open(picture) as seen:
        assert labels.mode == "P"
        assert labels.size == seen.size
    assert "mean IoU" in capsys.readouterr().out


@pytest.mark.skipif(not CAMVID.is_dir(), reason=f"there is no CamVid in {CAMVID}; DENSECRF_DATA names its parent")
def test_the_loss_falls_on_camvid_and_the_crf_is_measured(tmp_path, capsys):
    weights = trained(tmp_path, "camvid", CAMVID, "train", 0.5, 160)
    run(
        "evaluate",
        tmp_path / "config.toml",
        weights,
        "--data",
        "camvid",
        "--root",
        CAMVID,
        "--limit",
        3,
        "--out",
        tmp_path / "results",
    )
    before, after = results_of(tmp_path / "results")["pixel accuracy"]
    assert before != after
    assert "IoU road" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["nothing"]])
def test_without_a_command_it_says_which_there_are(arguments, capsys):
    assert __main__.main(arguments) == 2
    said = "".join(capsys.readouterr())
    assert all(command in said for command in ("train", "evaluate", "predict", "search"))
