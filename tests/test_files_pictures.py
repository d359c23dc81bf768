"""Pictures: what is read as what, and what is refused."""

import os
import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

Image = pytest.importorskip("PIL.Image")

from made_files import SIZE, picture  # noqa: E402

from densecrf import _files  # noqa: E402
from densecrf._files import FileError  # noqa: E402


def test_a_picture_is_read_as_it_was_written(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "a.png")
    assert_array_equal(_files.read_image(tmp_path / "a.png"), picture())


def test_grey_palette_and_transparent_pictures_get_three_channels(tmp_path):
    image = Image.fromarray(picture())
    for mode in ("L", "P", "RGBA", "LA", "1", "CMYK"):
        name = tmp_path / f"{mode}.{'tif' if mode == 'CMYK' else 'png'}"
        image.convert(mode).save(name)
        assert _files.read_image(name).shape == (*SIZE, 3)
    grey = _files.read_image(tmp_path / "L.png")
    assert_array_equal(grey[..., 0], grey[..., 2])


def test_a_picture_is_upright_where_the_camera_noted_how_it_was_held(tmp_path):
    image = Image.fromarray(picture())
    exif = image.getexif()
    exif[0x0112] = 6  # turned by a quarter
    image.save(tmp_path / "a.png", exif=exif)
    assert_array_equal(_files.read_image(tmp_path / "a.png"), np.rot90(picture(), -1))


def test_a_picture_of_sixteen_bits_is_refused_and_not_clipped(tmp_path):
    Image.fromarray(np.full(SIZE, 1000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(FileError, match="more than eight bits a channel"):
        _files.read_image(tmp_path / "deep.png")


def test_a_picture_that_pillow_takes_for_a_bomb_is_refused(tmp_path, monkeypatch):
    Image.fromarray(picture()).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(FileError, match=r"a\.png: .*exceeds limit"):
        _files.read_image(tmp_path / "a.png")


def test_a_picture_of_more_pixels_than_asked_for_is_refused_before_it_is_decoded(tmp_path):
    Image.fromarray(picture((60, 60))).save(tmp_path / "a.png")
    assert _files.read_image(tmp_path / "a.png", most=3600).shape == (60, 60, 3)
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    with pytest.raises(FileError, match="60 x 60 pixels, more than the 3599 that there can be"):
        _files.read_image(tmp_path / "a.png", most=3599)


def test_postscript_that_would_start_another_program_is_no_picture(tmp_path):
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    with pytest.raises(FileError, match=r"a\.png: not a picture"):
        _files.read_image(tmp_path / "a.png")


@pytest.mark.parametrize("content", [b"", b"no picture", os.urandom(300)], ids=["empty", "text", "noise"])
def test_what_is_no_picture_is_named(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(FileError, match=r"a\.png: not a picture"):
        _files.read_image(tmp_path / "a.png")


@pytest.mark.parametrize("kind", ["png", "jpg", "tif", "bmp", "webp"])
def test_a_picture_that_is_cut_off_anywhere_is_an_error_and_nothing_else(tmp_path, kind):
    Image.fromarray(picture((40, 40))).save(tmp_path / f"a.{kind}")
    whole = (tmp_path / f"a.{kind}").read_bytes()
    for length in range(0, len(whole) - 30, max(1, len(whole) // 23)):
        (tmp_path / f"b.{kind}").write_bytes(whole[:length])
        with pytest.raises(FileError):
            _files.read_image(tmp_path / f"b.{kind}")


def test_a_missing_file_is_named(tmp_path):
    for read in (_files.read_image, lambda path: _files.read_probs(path.with_suffix(".npy"), SIZE)):
        with pytest.raises(FileError, match=r"nowhere\.(png|npy): No such file"):
            read(tmp_path / "nowhere.png")


def test_an_error_of_a_file_survives_the_way_from_another_process():
    error = pickle.loads(pickle.dumps(FileError("a.png", "damaged", "say --help")))
    assert str(error) == "a.png: damaged; say --help"
    assert (error.reason, error.fact) == ("damaged; say --help", "damaged")
