"""python -m deeplab predict: the labels of pictures, and what becomes of pictures that cannot be labelled."""

import time

import numpy as np
import pytest
from numpy.testing import assert_array_equal

toys = pytest.importorskip("deeplab_toys")  # needs torch

import deeplab  # noqa: E402
from deeplab import predict  # noqa: E402
from densecrf import _overlay  # noqa: E402

network = toys.network


@pytest.fixture
def made(tmp_path, network):
    """The network, and the start of every command."""
    toys.make(tmp_path / "set")
    network, named = network(tmp_path)
    return network, [*named, "--classes", "3", "--out", str(tmp_path / "out")]


def read(path, mode=None):
    with toys.Image.open(path) as image:
        return np.array(image.convert(mode) if mode else image)


def written(tmp_path):
    return sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))


@pytest.mark.parametrize("crf", [True, False])
def test_labels_are_the_segmenters_with_and_without_the_crf(crf, made, tmp_path):
    network, named = made
    assert predict.main([*named, str(tmp_path / "set" / "images"), *([] if crf else ["--no-crf"])]) == 0
    assert written(tmp_path) == ["toy0.png", "toy1.png", "toy2.png"]
    segmenter = deeplab.Segmenter(network)
    for path in (tmp_path / "out").iterdir():
        pictures = read(tmp_path / "set" / "images" / path.name)[None]
        expected = segmenter.labels(pictures) if crf else segmenter.scores(pictures).argmax(1)
        assert_array_equal(read(path), expected[0])
        assert len(expected.unique()) > 1
    assert_array_equal(read(path, "RGB"), _overlay.palette()[read(path)])


def test_the_overlay_lies_in_a_folder_of_its_own(made, tmp_path):
    picture = tmp_path / "set" / "images" / "toy1.png"
    assert predict.main([*made[1], str(picture), "--overlay"]) == 0
    assert written(tmp_path) == ["overlay/toy1.png", "toy1.png"]
    expected = _overlay.overlay(read(picture), read(tmp_path / "out" / "toy1.png"))
    assert_array_equal(read(tmp_path / "out" / "overlay" / "toy1.png"), expected)


def test_resuming_leaves_out_what_is_done_and_only_that(made, tmp_path):
    network, named = made
    images = str(tmp_path / "set" / "images")
    predict.main([*named, images, "--overlay"])
    (tmp_path / "out" / "toy1.png").unlink()
    (tmp_path / "out" / "overlay" / "toy2.png").unlink()
    network.calls = 0
    assert predict.main([*named, images, "--overlay", "--resume"]) == 0
    assert network.calls == 2
    assert len(written(tmp_path)) == 6
    assert predict.main([*named, images, "--overlay"]) == 0
    assert network.calls == 2 + 3


def test_pictures_that_cannot_be_read_are_listed_at_the_end_and_stop_nothing(made, tmp_path, capsys):
    images = tmp_path / "set" / "images"
    (images / "a.jpg").write_bytes(b"no picture")
    (images / "b.png").write_bytes((images / "toy0.png").read_bytes()[:200])
    (images / "notes.txt").write_text("not looked at")
    assert predict.main([*made[1], str(images)]) == 1
    assert written(tmp_path) == ["toy0.png", "toy1.png", "toy2.png"]
    *_, head, first, second = capsys.readouterr().err.splitlines()
    assert head == "2 of 5 pictures could not be read:"
    assert str(images / "a.jpg") in first
    assert str(images / "b.png") in second


def test_grey_and_turned_pictures_are_labelled_as_they_are_seen(made, tmp_path):
    turned = toys.Image.fromarray(read(tmp_path / "set" / "images" / "toy0.png"))
    exif = turned.getexif()
    exif[0x0112] = 6  # the camera was held upright
    turned.save(tmp_path / "turned.jpg", exif=exif)
    turned.convert("L").save(tmp_path / "grey.png")
    assert predict.main([*made[1], str(tmp_path / "turned.jpg"), str(tmp_path / "grey.png")]) == 0
    assert read(tmp_path / "out" / "turned.png").shape == (toys.WIDTH, toys.HEIGHT)
    assert read(tmp_path / "out" / "grey.png").shape == (toys.HEIGHT, toys.WIDTH)


WRONG = [
    (["nowhere.jpg"], "there is no picture or folder nowhere.jpg"),
    (["empty"], "no pictures (.bmp, .jpeg"),
    (
        ["set/images/toy0.png", "set/labels/toy0.png"],
        "out/toy0.png would get the labels of set/images/toy0.png and of set/labels/toy0.png",
    ),
    (
        ["set/images", "--out", "set/images"],
        "the labels of set/images/toy0.png would overwrite the picture set/images/toy0.png",
    ),
    (["set/images", "--preset", "best"], "no CRF parameters 'best'"),
    (["set/images", "--classes", "0"], "must be at least 1, got 0"),
    (["set/images", "--scales", "half"], "must be numbers with commas between them, such as 0.5,1; got 'half'"),
    (["set/images", "--device", "gpu"], "must be cpu, or cuda where there is a GPU; got 'gpu'"),
]


@pytest.mark.parametrize(("more", "words"), WRONG, ids=[" ".join(more) for more, _ in WRONG])
def test_what_is_wrong_is_said_within_a_second_and_nothing_is_written(more, words, made, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    before = {path: path.read_bytes() for path in (tmp_path / "set").rglob("*.png")}
    start = time.perf_counter()
    try:
        status = predict.main([*made[1][:-1], "out", *more])
    except SystemExit as exit:
        status = exit.code
    assert status == 2
    assert time.perf_counter() - start < 1
    said = capsys.readouterr().err
    assert words in said
    assert said.splitlines()[-1].startswith("python -m deeplab predict: ")
    assert not (tmp_path / "out").exists()
    assert before == {path: path.read_bytes() for path in (tmp_path / "set").rglob("*.png")}


def test_help_reads_like_a_manual(capsys):
    with pytest.raises(SystemExit, match="0"):
        predict.main(["--help"])
    said = capsys.readouterr().out
    assert "examples:" in said
    assert all(name in said for name in ("PICTURE|FOLDER", "--overlay", "--resume", "--no-crf", "overlay/NAME.png"))
