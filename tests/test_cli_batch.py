"""densecrf batch: flags become options, and how a run ends becomes text, JSON and a status."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("typer")
Image = pytest.importorskip("PIL.Image")

from cli_files import refusal, run, scene  # noqa: E402
from numpy.testing import assert_array_equal  # noqa: E402

import densecrf  # noqa: E402
from densecrf import batch  # noqa: E402


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """Three pictures with probabilities, from within."""
    monkeypatch.chdir(tmp_path)
    image, probs, _ = scene()
    for folder in ("pictures", "scores"):
        Path(folder).mkdir()
    for name in ("a", "b", "c"):
        Image.fromarray(image).save(f"pictures/{name}.png")
        np.save(f"scores/{name}.npy", probs)
    return image, probs


@pytest.fixture
def asked(monkeypatch):
    """The options that a run gets instead of being run, and how it ends: everything was done before."""
    seen = []

    def end(options, progress):
        seen.append(options)
        return batch.Summary(batch.Progress(3, 3), False, Path(options.out))

    monkeypatch.setattr("densecrf.cli.batch.run", end)
    return seen


def test_every_picture_gets_its_labels_and_the_next_run_finds_nothing_to_do(folders, capsys):
    status, out, _ = run(capsys, "batch", "pictures", "scores", "out", "--workers", 1)
    assert status == 0
    assert out.startswith("refined  3 of 3 pictures, ")
    expected = densecrf.refine(*folders).argmax(0)
    for name in ("a", "b", "c"):
        with Image.open(f"out/{name}.png") as written:
            assert_array_equal(np.array(written), expected)
    status, out, _ = run(capsys, "batch", "pictures", "scores", "out", "--workers", 1, "--json")
    assert status == 0
    assert {name: json.loads(out)[name] for name in ("total", "before", "done", "failed", "interrupted")} == {
        "total": 3,
        "before": 3,
        "done": 0,
        "failed": 0,
        "interrupted": False,
    }


def test_a_picture_that_fails_is_counted_and_the_status_says_so(capsys):
    Path("scores/b.npy").write_bytes(b"broken")
    status, out, _ = run(capsys, "batch", "pictures", "scores", "out", "--workers", 1)
    assert status == 1
    assert "failed   1; " in out
    assert "errors.jsonl says why" in out


def test_flags_become_options(asked, capsys):
    flags = "--preset deeplab-v1 --w1 7 --logits --grey mask --confidence 0.9 --n-labels 21 --key scores --write probs"
    work = "--engine ray --workers 5 --threads 2 --device cuda --address auto --shard 1/4 --limit 9 --thumbnails 0"
    assert run(capsys, "batch", "p/**/*.jpg", "scores", "out", *flags.split(), *work.split())[0] == 0
    (options,) = asked
    assert (options.images, options.probs, options.out) == ("p/**/*.jpg", Path("scores"), Path("out"))
    assert (options.recipe.kind, options.recipe.parameters.w1) == ("probs", 7)
    assert options.recipe.parameters.sigma_alpha == 50
    assert vars(options.recipe.reading) == {
        "logits": True,
        "confidence": 0.9,
        "n_labels": 21,
        "grey": "mask",
        "guess": False,
        "key": "scores",
    }
    assert options.engine == batch.Engine("ray", 5, 2, "cuda", "auto")
    assert (options.shard, options.limit, options.thumbnails) == (batch.Shard(1, 4), 9, 0)


def test_without_flags_options_are_those_of_the_library(asked, capsys):
    assert run(capsys, "batch", "pictures", "scores", "out")[0] == 0
    assert asked == [batch.Options("pictures", Path("scores"), Path("out"))]


def test_an_interrupted_run_says_how_to_go_on_and_ends_as_the_shell_has_it(monkeypatch, capsys):
    end = batch.Summary(batch.Progress(9, 2, 3, 1, 1.0), True, Path("out"))
    monkeypatch.setattr("densecrf.cli.batch.run", lambda *_: end)
    status, out, _ = run(capsys, "batch", "pictures", "scores", "out")
    assert status == 130
    assert "stopped  3 are left; the same call does them" in out


WRONG = {
    "no pictures": (("nowhere", "scores", "out"), "in nowhere"),
    "no folder of scores": (("pictures", "nowhere", "out"), "nowhere"),
    "a share": (("pictures", "scores", "out", "--shard", "4/4"), "there is no shard 4/4"),
    "no share": (("pictures", "scores", "out", "--shard", "four"), "a shard is written i/n"),
    "an engine": (("pictures", "scores", "out", "--engine", "spark"), "the engine must be one of local, ray"),
    "an output": (("pictures", "scores", "out", "--write", "gif"), "must be one of labels, mask, probs, overlay"),
    "a preset": (("pictures", "scores", "out", "--preset", "v9"), "no CRF parameters 'v9'"),
    "workers": (("pictures", "scores", "out", "--workers", "0"), "workers must be at least 1"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_one_sentence_and_leaves_nothing(capsys, what):
    arguments, words = WRONG[what]
    said = refusal(capsys, "batch", *arguments)
    assert said.startswith("densecrf batch: ")
    assert words in said
    assert not Path("out").exists()


def test_an_engine_that_is_not_installed_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert 'pip install "densecrf[ray]"' in refusal(capsys, "batch", "pictures", "scores", "out", "--engine", "ray")
