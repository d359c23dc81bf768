"""densecrf compare: two results of one picture, and what they should be."""

import numpy as np
import pytest

pytest.importorskip("typer")
Image = pytest.importorskip("PIL.Image")

from cli_files import refusal, result, run  # noqa: E402

from densecrf.data import softmax  # noqa: E402

A = np.array([[0, 0, 0, 0, 0], [0, 1, 1, 2, 2]])
B = np.array([[0, 0, 0, 0, 1], [0, 1, 1, 1, 2]])
TRUTH = np.array([[0, 0, 0, 0, 0], [0, 1, 1, 1, 255]])


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, labels in (("a", A), ("b", B), ("t", TRUTH)):
        picture = Image.fromarray(labels.astype(np.uint8))
        picture.putpalette(bytes(range(256)) * 3)
        picture.save(f"{name}.png")
        np.save(f"{name}.npy", labels)


def test_labels_are_compared_one_by_one(capsys):
    said = result(capsys, "compare", "a.png", "b.png")
    assert said["equal"] == 8 / 10
    assert said["iou"] == {"0": 5 / 6, "1": 2 / 4, "2": 1 / 2}
    assert said["mean_iou"] == pytest.approx((5 / 6 + 2 / 4 + 1 / 2) / 3)
    assert said["max_abs_difference"] is None
    assert "truth" not in said


def test_what_is_the_same_is_the_same_whatever_it_is_stored_in(capsys):
    said = result(capsys, "compare", "a.png", "a.npy")
    assert (said["equal"], said["mean_iou"], said["left_out"]) == (1, 1, 0)


def test_the_truth_tells_which_is_better_and_leaves_out_what_nobody_knows(capsys):
    said = result(capsys, "compare", "a.png", "b.npy", "--truth", "t.png")
    assert said["left_out"] == 1
    assert said["equal"] == 7 / 9
    assert said["truth"]["a"]["pixel_accuracy"] == 8 / 9
    assert said["truth"]["b"]["pixel_accuracy"] == 8 / 9
    assert said["truth"]["a"]["iou"] == {"0": 1, "1": 2 / 3, "2": 0}
    assert said["truth"]["b"]["mean_iou"] == pytest.approx((5 / 6 + 3 / 4) / 2)


def test_marginals_are_compared_by_value_and_by_their_likeliest_label(capsys):
    probs = softmax(np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32))
    np.save("p.npy", probs)
    np.savez("q.npz", probs=np.roll(probs, 1, axis=0))
    said = result(capsys, "compare", "p.npy", "q.npz")
    assert said["max_abs_difference"] == pytest.approx(float(np.abs(probs - np.roll(probs, 1, axis=0)).max()))
    assert said["equal"] == 0
    assert result(capsys, "compare", "p.npy", "p.npy")["max_abs_difference"] == 0


def test_masks_are_two_labels(capsys):
    mask = np.array([[0, 200], [100, 255]], np.uint8)
    Image.fromarray(mask).save("grey.png")
    Image.fromarray(((mask > 127) * 255).astype(np.uint8)).save("white.png")
    Image.fromarray((mask > 127).astype(np.uint8)).save("ones.png")
    np.save("floats.npy", mask / np.float32(255))
    for other in ("white.png", "ones.png", "floats.npy"):
        said = result(capsys, "compare", "grey.png", other)
        assert (said["equal"], said["iou"]) == (1, {"0": 1, "1": 1})


def test_where_no_pixel_counts_there_is_no_number(capsys):
    np.save("void.npy", np.full((2, 5), 255))
    said = result(capsys, "compare", "a.npy", "void.npy")
    assert (said["equal"], said["mean_iou"], said["iou"], said["left_out"]) == (None, None, {}, 10)


def test_a_table_shows_every_label(capsys):
    status, out, err = run(capsys, "compare", "a.png", "b.png", "--truth", "t.npy")
    assert (status, err) == (0, "")
    assert "2 x 5, 1 pixels left out" in out
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()[3:]}
    assert rows["0"] == ["83.33%", "100.00%", "83.33%"]
    assert rows["pixels"] == ["77.78%", "88.89%", "88.89%"]


def test_the_picture_of_differences_has_a_colour_for_who_is_right(capsys):
    assert result(capsys, "compare", "a.png", "b.png", "-o", "diff.png")["out"] == "diff.png"
    with Image.open("diff.png") as plain:
        assert colours(plain) >= {(200, 30, 30), (225, 225, 225)}
    assert run(capsys, "compare", "a.png", "b.png", "--truth", "t.png", "-o", "diff.png")[0] == 0
    with Image.open("diff.png") as judged:
        assert colours(judged) >= {(230, 140, 0), (0, 130, 60), (225, 225, 225)}


def colours(picture):
    return {colour for _, colour in picture.convert("RGB").getcolors(1 << 20)}


def test_files_of_different_sizes_are_refused(capsys):
    np.save("small.npy", A[:, :3])
    assert "small.npy: 2 x 3, but a.png is 2 x 5" in refusal(capsys, "compare", "a.png", "small.npy")
    assert "small.npy: 2 x 3" in refusal(capsys, "compare", "a.png", "b.png", "--truth", "small.npy")


def test_files_that_hold_no_labels_are_refused(capsys):
    Image.fromarray(np.zeros((2, 5, 3), np.uint8)).save("colour.png")
    np.save("raw.npy", np.random.default_rng(0).normal(size=(3, 2, 5)))
    assert "colour.png: labels have a palette" in refusal(capsys, "compare", "a.png", "colour.png")
    assert "raw.npy: probabilities are not negative" in refusal(capsys, "compare", "raw.npy", "a.png")
    assert run(capsys, "compare", "raw.npy", "a.png", "--logits")[0] == 0
    assert "x.npz: an overlay is written to" in refusal(capsys, "compare", "a.png", "b.png", "-o", "x.npz")
