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
from densecrf.app import export, loading, painting, session
from densecrf.app.parameters import Parameters

PARAMETERS = Parameters(4.5, 49, 5.5, 3, 1.25, "after", 7)


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


def test_the_toml_comes_back_as_the_terms(tmp_path):
    presets = pytest.importorskip("deeplab.presets")
    (tmp_path / "parameters.toml").write_text(export.toml(PARAMETERS))
    read = presets.read(str(tmp_path / "parameters.toml"))
    assert list(read.terms) == PARAMETERS.terms()
    assert read.iterations == 7
    assert read.source == "densecrf app"


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
    (tmp_path / "strokes.png").write_bytes(export.label_png(strokes))
    painted = painting.with_strokes(sample, strokes)
    np.testing.assert_array_equal(*ran(painted, tmp_path))
    again = painting.with_strokes(painted, strokes)
    np.testing.assert_array_equal(*ran(again, tmp_path))


def test_labels_are_a_png_with_pascal_vocs_palette(tmp_path):
    (tmp_path / "labels.png").write_bytes(export.label_png(np.array([[0, 15], [255, 1]])))
    with Image.open(tmp_path / "labels.png") as picture:
        assert picture.mode == "P"
        np.testing.assert_array_equal(np.asarray(picture), [[0, 15], [255, 1]])
        assert picture.getpalette()[45:48] == [192, 128, 128]
