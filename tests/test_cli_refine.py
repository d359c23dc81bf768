"""densecrf refine: what goes in, what is written, what is said."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("typer")
Image = pytest.importorskip("PIL.Image")

from cli_files import HEIGHT, LABELS, WIDTH, folder_of, refusal, result, run  # noqa: E402
from numpy.testing import assert_allclose, assert_array_equal  # noqa: E402

import densecrf  # noqa: E402
from densecrf import Parameters, data  # noqa: E402


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The folder with the scene, from within."""
    monkeypatch.chdir(tmp_path)
    return folder_of(tmp_path)


def read(path):
    with Image.open(path) as image:
        return np.array(image)


# ---- what is written --------------------------------------------------------------------------------------------


def test_marginals_are_those_of_the_library_bit_for_bit(files, capsys):
    image, probs = files
    assert run(capsys, "refine", "a.png", "a.npz", "-o", "out.npz")[0] == 0
    with np.load("out.npz") as stored:
        assert_array_equal(stored["probs"], densecrf.refine(image, probs))


def test_logits_are_refined_as_logits(files, capsys):
    image, _ = files
    assert run(capsys, "refine", "a.png", "b.npy", "--logits", "-o", "out.npy")[0] == 0
    assert_array_equal(np.load("out.npy"), densecrf.refine(image, np.load("b.npy"), from_logits=True))


def test_labels_are_the_likeliest_and_the_edge_is_where_the_picture_has_it(files, capsys):
    image, probs = files
    assert run(capsys, "refine", "a.png", "a.npz", "-o", "out.png")[0] == 0
    assert_array_equal(read("out.png"), densecrf.refine(image, probs).argmax(0))
    assert_array_equal(read("out.png"), np.tile(np.arange(WIDTH) >= 15, (HEIGHT, 1)))


def test_a_mask_gives_a_mask(files, capsys):
    image, _ = files
    assert run(capsys, "refine", "a.png", "mask.png", "-o", "out.png")[0] == 0
    expected = densecrf.refine_mask(image, read("mask.png") / np.float32(255))
    assert_allclose(read("out.png") / 255, expected, atol=0.5 / 255 + 1e-5)


def test_labels_are_trusted_as_far_as_is_said(files, capsys):
    image, _ = files
    for confidence in (0.6, 0.99):
        arguments = ("refine", "a.png", "labels.png", "-o", "out.png", "--confidence", confidence, "--n-labels", 4)
        assert run(capsys, *arguments)[0] == 0
        expected = densecrf.refine_labels(image, read("labels.png"), 4, confidence=confidence, unsure=255)
        assert_array_equal(read("out.png"), expected)


def test_an_overlay_shows_the_picture(files, capsys):
    for arguments in (("seen.jpg",), ("seen.png", "--overlay")):
        assert result(capsys, "refine", "a.png", "a.npz", "-o", *arguments)["kind"] == "overlay"
        assert read(arguments[0]).shape == (HEIGHT, WIDTH, 3)


def test_float16_takes_half_the_bytes(files, capsys):
    assert run(capsys, "refine", "a.png", "a.npz", "-o", "out.npz", "--float16")[0] == 0
    with np.load("out.npz") as stored:
        assert stored["probs"].dtype == np.float16


def test_the_same_call_writes_the_same_bytes_in_a_folder_that_it_makes(files, capsys, tmp_path):
    for name in ("out.png", "out.npz", "out.jpg"):
        written = []
        for folder, threads in (("one", 1), ("two", 2)):
            assert run(capsys, "refine", "a.png", "a.npz", "-o", f"{folder}/{name}", "--threads", threads)[0] == 0
            written.append((tmp_path / folder / name).read_bytes())
        assert written[0] == written[1]


# ---- parameters -------------------------------------------------------------------------------------------------


def test_parameters_come_from_a_preset_a_file_and_flags(files, capsys):
    image, probs = files
    Parameters(2, 9, 20, iterations=3).write(Path("mine.toml"))
    given = ("--preset", "mine.toml", "--w1", 6, "--sigma-gamma", 1, "--normalization", "symmetric")
    said = result(capsys, "refine", "a.png", "a.npz", "-o", "out.npz", *given)
    assert said["parameters"]["source"] == "w1 = 6.0, sigma_gamma = 1.0, normalization = symmetric"
    terms = [densecrf.Gaussian(1, 3), densecrf.Bilateral(9, 20, 6)]
    with np.load("out.npz") as stored:
        assert_array_equal(stored["probs"], densecrf.refine(image, probs, terms=terms, iterations=3))


def test_every_parameter_has_a_flag_that_is_heard(files, capsys):
    plain = result(capsys, "refine", "a.png", "a.npz", "-o", "out.png")["parameters"]
    flags = {"w1": 1.5, "sigma_alpha": 2.5, "sigma_beta": 7.5, "w2": 0.5, "sigma_gamma": 4.5, "iterations": 2}
    for name, value in {**flags, "normalization": "none"}.items():
        flag = f"--{name.replace('_', '-')}"
        changed = result(capsys, "refine", "a.png", "a.npz", "-o", "out.png", flag, value)["parameters"]
        assert {key for key in plain if plain[key] != changed[key]} == {name, "source"}
        assert changed[name] == value


# ---- what is said -----------------------------------------------------------------------------------------------


def test_a_summary_says_what_changed_and_where_it_is(files, capsys):
    status, out, err = run(capsys, "refine", "a.png", "a.npz", "-o", "out.png")
    assert (status, err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert lines["size"] == f"{HEIGHT} x {WIDTH}"
    assert lines["labels"] == "0, 1"
    changed = int((read("out.png") != files[1].argmax(0)).sum())
    assert changed >= 3 * HEIGHT  # the columns between what the network saw and the edge
    assert lines["changed"] == f"{changed} pixels ({changed / (HEIGHT * WIDTH):.1%})"
    assert lines["written"] == "out.png (labels)"


def test_json_says_the_same(files, capsys):
    _, probs = files
    said = result(capsys, "refine", "a.png", "a.npz", "-o", "out.png")
    changed = int((read("out.png") != probs.argmax(0)).sum())
    assert (said["height"], said["width"], said["labels"]) == (HEIGHT, WIDTH, [0, 1])
    assert (said["changed_pixels"], said["changed"]) == (changed, changed / (HEIGHT * WIDTH))
    assert 0 < said["seconds"] < 60
    assert said["parameters"]["w1"] == 4


def test_smaller_scores_are_stretched_and_that_is_said(files, capsys):
    np.save("coarse.npy", data.softmax(np.random.default_rng(0).normal(size=(LABELS, 3, 5)).astype(np.float32)))
    said = result(capsys, "refine", "a.png", "coarse.npy", "-o", "out.png")
    assert (said["probs_height"], said["probs_width"]) == (3, 5)
    assert "scores stretched from 3 x 5" in run(capsys, "refine", "a.png", "coarse.npy", "-o", "out.png")[1]


def test_names_with_brackets_are_printed_as_they_are(files, capsys):
    assert "[bold]out.png" in run(capsys, "refine", "a.png", "a.npz", "-o", "[bold]out.png")[1]


# ---- what is refused --------------------------------------------------------------------------------------------

WRONG = {
    "no picture": (("nowhere.png", "a.npz", "-o", "x.png"), "nowhere.png: No such file or directory"),
    "no scores": (("a.png", "nowhere.npz", "-o", "x.png"), "nowhere.npz: No such file or directory"),
    "a folder": ((".", "a.npz", "-o", "x.png"), ".: Is a directory"),
    "raw scores": (("a.png", "b.npy", "-o", "x.png"), "if these are raw scores, say --logits"),
    "another picture": (
        ("small.png", "a.npz", "-o", "x.png"),
        "a.npz: 24 x 30, larger than the picture, which is 5 x 5",
    ),
    "a torn picture": (("torn.png", "a.npz", "-o", "x.png"), "torn.png: "),
    "a kind of result": (("a.png", "a.npz", "-o", "x.gif"), "x.gif: labels are written to .png"),
    "an overlay of numbers": (("a.png", "a.npz", "-o", "x.npz", "--overlay"), "an overlay is written to .png or .jpg"),
    "its own input": (("a.png", "labels.png", "-o", "./labels.png"), "labels.png is what is to be read"),
    "a preset": (("a.png", "a.npz", "-o", "x.png", "--preset", "v9"), "no CRF parameters 'v9': it must be a TOML file"),
    "a weight": (("a.png", "a.npz", "-o", "x.png", "--w1", "-1"), "w1 is a weight and must be >= 0, got -1"),
    "a confidence": (
        ("a.png", "labels.png", "-o", "x.png", "--confidence", "2"),
        "confidence must lie between 0 and 1",
    ),
    "threads": (("a.png", "a.npz", "-o", "x.png", "--threads", "0"), "--threads must be at least 1, got 0"),
    "a device": (
        ("a.png", "a.npz", "-o", "x.png", "--device", "tpu"),
        "the device must be cpu, cuda or cuda:N, got 'tpu'",
    ),
    "a sigma that this picture cannot have": (
        ("a.png", "a.npz", "-o", "x.png", "--sigma-beta", "1e-9"),
        "has a sigma too small for this image",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_one_sentence_and_leaves_nothing(files, capsys, tmp_path, what):
    Image.fromarray(files[0][:5, :5]).save("small.png")
    (tmp_path / "torn.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    arguments, words = WRONG[what]
    said = refusal(capsys, "refine", *arguments)
    assert said.startswith("densecrf refine: ")
    assert words in said
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_gpu_that_is_not_there_is_said_to_be_missing_and_why(files, capsys):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert "there is no cuda to work on: " in refusal(
        capsys, "refine", "a.png", "a.npz", "-o", "x.png", "--device", "cuda"
    )


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), MemoryError(), densecrf.CudaError("lost")])
def test_what_fails_while_working_is_one_sentence_and_status_1(files, capsys, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr("densecrf._files.write_result", fail)
    status, out, err = run(capsys, "refine", "a.png", "a.npz", "-o", "x.png", "--json")
    assert (status, out) == (1, "")
    assert err.count("\n") == 1
    assert err.startswith("densecrf refine: ")


def test_unknown_flags_and_missing_ones_are_wrong_arguments(files, capsys):
    for arguments in (
        ("a.png", "a.npz", "-o", "x.png", "--sharp"),
        ("a.png", "a.npz"),
        ("a.png", "a.npz", "--w1", "x"),
    ):
        status, out, err = run(capsys, "refine", *arguments)
        assert (status, out) == (2, "")
        assert "Usage" in err


# ---- as a program -----------------------------------------------------------------------------------------------


def test_the_program_prints_json_and_ends_with_its_status(files, tmp_path):
    root = os.path.dirname(os.path.dirname(densecrf.__file__))
    program = [sys.executable, "-m", "densecrf.cli", "refine", "a.png"]
    environment = {**os.environ, "PYTHONPATH": root}
    good, bad = (
        subprocess.run([*program, *rest], capture_output=True, text=True, env=environment, cwd=tmp_path)
        for rest in (["a.npz", "-o", "out.png", "--json"], ["nowhere.npz", "-o", "out.png"])
    )
    assert (good.returncode, good.stderr) == (0, "")
    assert json.loads(good.stdout)["out"] == "out.png"
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr == "densecrf refine: nowhere.npz: No such file or directory\n"
