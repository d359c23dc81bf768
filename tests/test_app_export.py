"""What the app exports: a TOML file that `deeplab` reads, and programs that run as they stand."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL")
from PIL import Image

import densecrf
from densecrf import Parameters, _files
from densecrf.app import export, loading, painting, session
from densecrf.app.desk import Desk

PARAMETERS = Parameters(4.5, 49, 5.5, 3, 1.25, "after", 7, "densecrf app")


def run(program, folder):
    environment = {**os.environ, "PYTHONPATH": str(Path(densecrf.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ran(subject, folder):
    """The labels that the program makes in a folder with the user's files, and those of the page."""
    program = export.program(subject, PARAMETERS) + "\nnp = __import__('numpy'); np.save('refined.npy', labels)\n"
    printed = run(program, folder)
    result = session.refine(subject, PARAMETERS)
    assert printed == f"{result.changed:.1%} of the labels changed\n"
    return np.load(folder / "refined.npy"), result.after


def test_the_program_of_a_sample_runs_and_gives_what_the_page_shows(tmp_path):
    pytest.importorskip("skimage")
    np.testing.assert_array_equal(*ran(session.sample("chelsea"), tmp_path))


# A name that would do something if it were pasted as it is.
@pytest.mark.parametrize("name", ["picture.png", 'it\'s "quoted"; import os.png', "Ü 𝄞\\n.png"])
def test_the_program_of_uploaded_files_runs_beside_them(tmp_path, name):
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / name)
    np.save(tmp_path / "probs.npy", densecrf.data.softmax(np.random.default_rng(1).normal(size=(3, 20, 30))))
    subject = session.picture_alone(name, image)
    np.testing.assert_array_equal(*ran(subject, tmp_path))
    scores = loading.load_scores(tmp_path / "probs.npy", (20, 30))
    np.testing.assert_array_equal(*ran(session.with_scores(subject, scores), tmp_path))


def test_the_program_of_strokes_runs_beside_their_png(tmp_path):
    pytest.importorskip("skimage")
    sample = session.sample("chelsea")
    strokes = np.full(sample.size, 255, np.uint8)
    strokes[150:160, 220:230], strokes[:10, :10] = 1, 0
    _files.write_labels(tmp_path / "strokes.png", strokes)
    painted = painting.with_strokes(sample, strokes)
    np.testing.assert_array_equal(*ran(painted, tmp_path))
    again = painting.with_strokes(painted, strokes)
    assert again.program == painted.program
    np.testing.assert_array_equal(*ran(again, tmp_path))


def test_what_was_opened_before_leaves_nothing_in_the_program(tmp_path):
    image = np.zeros((20, 30, 3), np.uint8)
    alone = session.picture_alone("probs = np.png", image)
    np.save(tmp_path / "labels.npy", np.arange(600).reshape(20, 30) % 3)
    np.save(tmp_path / "coarse.npy", np.full((2, 3, 4), 0.5, np.float32))
    first, then = (loading.load_scores(tmp_path / name, (20, 30)) for name in ("labels.npy", "coarse.npy"))
    twice = session.with_scores(session.with_scores(alone, first), then)
    assert twice.program == session.with_scores(alone, then).program


def test_labels_and_strokes_are_read_back_as_the_labels_that_they_are(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    subject = session.picture_alone("a.png", image)
    strokes = np.full(subject.size, 255, np.uint8)
    strokes[:3, :3], strokes[-3:, -3:] = 0, 1
    desk = Desk(subject, PARAMETERS)
    desk.put(painting.with_strokes(subject, strokes), PARAMETERS, strokes)
    labels, painted = desk.files(tmp_path)
    np.testing.assert_array_equal(_files.read_labels(labels, _files.Reading())[0], desk.result.after)
    np.testing.assert_array_equal(_files.read_labels(painted, _files.Reading())[0], strokes)
