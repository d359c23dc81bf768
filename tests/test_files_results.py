"""Results: whole files, the same bytes every time, and nothing left where a write fails."""

import sys
import time

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

Image = pytest.importorskip("PIL.Image")

from made_files import SIZE, picture, probabilities  # noqa: E402

from densecrf import _files  # noqa: E402
from densecrf._files import FileError  # noqa: E402

RESULTS = [
    ("a.png", "labels"),
    ("a.png", "mask"),
    ("a.png", "overlay"),
    ("a.jpg", "overlay"),
    ("a.npz", "probs"),
    ("a.npy", "probs"),
]


@pytest.mark.parametrize(("name", "kind"), RESULTS)
def test_the_same_result_is_written_as_the_same_bytes(tmp_path, monkeypatch, name, kind):
    _files.write_result(tmp_path / "one" / name, picture(), probabilities(), kind)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(2e9))
    _files.write_result(tmp_path / "two" / name, picture(), probabilities(), kind)
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_labels_are_written_with_the_palette_of_pascal_voc(tmp_path):
    _files.write_result(tmp_path / "a.png", None, probabilities(), "labels")
    with Image.open(tmp_path / "a.png") as read:
        assert read.mode == "P"
        assert read.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]
        assert_array_equal(np.array(read), probabilities().argmax(0))


def test_marginals_are_written_as_they_are_and_read_back(tmp_path):
    for name in ("a.npz", "a.npy"):
        _files.write_result(tmp_path / name, None, probabilities(), "probs")
        assert_array_equal(_files.read_probs(tmp_path / name, SIZE), probabilities())
    with np.load(tmp_path / "a.npz") as stored:
        assert stored.files == ["probs"]
        assert stored["probs"].dtype == np.float32


def test_a_mask_is_written_in_grey(tmp_path):
    _files.write_result(tmp_path / "a.png", None, probabilities(2), "mask")
    with Image.open(tmp_path / "a.png") as read:
        assert read.mode == "L"
        assert_allclose(np.array(read) / 255, probabilities(2)[1], atol=0.5 / 255 + 1e-6)


def test_the_name_says_what_is_written():
    assert _files.kind_for("a.png") == "labels"
    assert _files.kind_for("a.png", mask=True) == "mask"
    assert _files.kind_for("a.png", overlay=True) == "overlay"
    assert _files.kind_for("a.JPG") == "overlay"
    assert _files.kind_for("a.npz", mask=True) == "probs"
    for name, overlay in (("a.gif", False), ("a", False), ("a.npz", True)):
        if overlay:
            with pytest.raises(FileError, match=r"an overlay is written to \.png or \.jpg"):
                _files.kind_for(name, overlay=True)
        else:
            with pytest.raises(FileError, match=r"labels are written to \.png"):
                _files.kind_for(name)


def test_a_result_that_its_file_cannot_hold_is_refused_and_leaves_nothing(tmp_path):
    many = np.zeros((300, 2, 2), np.float32)
    many[299] = 1
    for name, kind, words in (
        ("a.png", "labels", "a PNG holds labels 0 to 255, not 299 to 299"),
        ("a.jpg", "labels", "labels are written to"),
        ("a.png", "probs", "marginals are written to"),
        ("a.png", "colours", "must be one of labels, mask, probs, overlay"),
    ):
        with pytest.raises(ValueError, match=words):
            _files.write_result(tmp_path / name, None, many, kind)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "a.npz").write_text("old")

    def fail(stream):
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left on device") as caught:
        _files.write_whole(tmp_path / "a.npz", fail)
    assert caught.value.filename == str(tmp_path / "a.npz")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.npz", "old")]


def test_while_a_file_is_written_nobody_sees_half_of_it(tmp_path):
    seen = []

    def slowly(stream):
        stream.write(b"half")
        seen.append((tmp_path / "a.npz").exists())
        stream.write(b" and half")

    _files.write_whole(tmp_path / "a.npz", slowly)
    assert seen == [False]
    assert (tmp_path / "a.npz").read_bytes() == b"half and half"


def test_without_pillow_pictures_say_what_to_install(tmp_path, monkeypatch):
    Image.fromarray(picture()).save(tmp_path / "a.png")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(FileError, match=r'pip install "densecrf\[cli\]"'):
        _files.read_image(tmp_path / "a.png")
