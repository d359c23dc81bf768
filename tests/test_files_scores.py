"""Arrays, labels and masks: what is read as what, stretched how, and what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

Image = pytest.importorskip("PIL.Image")

from made_files import SIZE, picture, probabilities, save_labels  # noqa: E402

from densecrf import _files, data  # noqa: E402
from densecrf._files import FileError, Reading  # noqa: E402

# ---- arrays ---------------------------------------------------------------------------------------------------------


def test_every_kind_of_file_gives_the_same_probabilities(tmp_path, torch):
    probs = probabilities()
    np.save(tmp_path / "a.npy", probs)
    np.save(tmp_path / "batched.npy", probs[None])
    np.save(tmp_path / "fortran.npy", np.asfortranarray(probs))
    np.savez(tmp_path / "a.npz", probs)
    np.savez_compressed(tmp_path / "named.npz", other=np.zeros(3), probs=probs)
    torch.save(torch.from_numpy(probs), tmp_path / "a.pt")
    torch.save({"probs": torch.from_numpy(probs), "name": "cat"}, tmp_path / "a.pth")
    for name in ("a.npy", "batched.npy", "fortran.npy", "a.npz", "named.npz", "a.pt", "a.pth"):
        read = _files.read_probs(tmp_path / name, (*SIZE, 3))
        assert read.dtype == np.float32
        assert_array_equal(read, probs, err_msg=name)


def test_half_and_double_precision_become_float32(tmp_path, torch):
    probs = probabilities()
    np.save(tmp_path / "a.npy", probs.astype(np.float64))
    np.save(tmp_path / "b.npy", probs.astype(np.float16))
    torch.save(torch.from_numpy(probs).to(torch.bfloat16), tmp_path / "c.pt")
    for name, tolerance in (("a.npy", 1e-7), ("b.npy", 1e-3), ("c.pt", 1e-2)):
        assert_allclose(_files.read_probs(tmp_path / name, SIZE), probs, atol=tolerance)


def test_a_named_array_is_taken_and_others_are_not(tmp_path):
    probs = probabilities()
    np.savez(tmp_path / "a.npz", one=probs, two=probs[::-1])
    assert_array_equal(_files.read_probs(tmp_path / "a.npz", SIZE, key="two"), probs[::-1])
    with pytest.raises(FileError, match="the arrays one, two; say which with --key"):
        _files.read_probs(tmp_path / "a.npz", SIZE)
    with pytest.raises(FileError, match="the arrays one, two and no three"):
        _files.read_probs(tmp_path / "a.npz", SIZE, key="three")


def test_logits_stay_as_they_are(tmp_path):
    logits = np.random.default_rng(0).normal(0, 9, (3, *SIZE)).astype(np.float32)
    np.save(tmp_path / "a.npy", logits)
    assert_array_equal(_files.read_probs(tmp_path / "a.npy", SIZE, logits=True), logits)
    with pytest.raises(FileError, match="if these are raw scores, say --logits"):
        _files.read_probs(tmp_path / "a.npy", SIZE)


def test_a_plane_of_floats_is_the_foreground(tmp_path):
    foreground = np.random.default_rng(0).random(SIZE, np.float32)
    for name, plane in (("a.npy", foreground), ("b.npy", foreground[None])):
        np.save(tmp_path / name, plane)
        assert_array_equal(_files.read_probs(tmp_path / name, SIZE), np.stack([1 - foreground, foreground]))
    logits = _files.read_probs(tmp_path / "a.npy", SIZE, logits=True)
    assert_allclose(data.softmax(logits)[1], 1 / (1 + np.exp(-foreground)), rtol=1e-6)


def test_a_plane_of_integers_is_labels_and_of_booleans_a_mask(tmp_path):
    labels = np.arange(42).reshape(SIZE) % 3
    np.save(tmp_path / "labels.npy", labels)
    np.save(tmp_path / "mask.npy", labels > 0)
    read = _files.read_probs(tmp_path / "labels.npy", SIZE, confidence=0.8)
    assert_array_equal(read.argmax(0), labels)
    mask = _files.read_probs(tmp_path / "mask.npy", SIZE, confidence=0.8)
    assert_allclose(mask[1], np.where(labels > 0, 0.8, 0.2), rtol=1e-6)


def test_smaller_scores_are_stretched_corners_on_corners(tmp_path, torch):
    logits = np.random.default_rng(0).normal(size=(4, 3, 5)).astype(np.float32)
    np.save(tmp_path / "a.npy", logits)
    read = _files.read_probs(tmp_path / "a.npy", (31, 40, 3), logits=True)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(logits)[None], (31, 40), mode="bilinear", align_corners=True
    )
    assert_allclose(read, expected[0].numpy(), atol=1e-5)


@pytest.mark.parametrize("grid", [(1, 1), (1, 7), (6, 1), (5, 6)])
def test_stretched_probabilities_still_sum_to_one(tmp_path, grid):
    np.save(tmp_path / "a.npy", probabilities(size=grid))
    read = _files.read_probs(tmp_path / "a.npy", SIZE)
    assert read.shape == (3, *SIZE)
    assert_allclose(read.sum(axis=0), 1, atol=1e-6)
    assert_array_equal(read[:, 0, 0], probabilities(size=grid)[:, 0, 0])


def test_scores_that_do_not_fit_the_picture_are_refused(tmp_path):
    np.save(tmp_path / "large.npy", probabilities(size=(6, 8)))
    np.save(tmp_path / "last.npy", probabilities(size=(6, 7)).transpose(1, 2, 0).copy())
    np.save(tmp_path / "flat.npy", np.ones(5))
    np.save(tmp_path / "four.npy", np.ones((2, 3, 4, 5)))
    np.save(tmp_path / "integers.npy", np.ones((2, *SIZE), int))
    np.save(tmp_path / "complex.npy", np.ones((2, *SIZE), complex))
    for name, words in {
        "large.npy": "6 x 8, larger than the picture, which is 6 x 7",
        "last.npy": "labels must come first",
        "flat.npy": "must hold numbers .labels, height, width.",
        "four.npy": "must hold numbers",
        "integers.npy": "scores must be floats",
        "complex.npy": "must hold numbers",
    }.items():
        with pytest.raises(FileError, match=words):
            _files.read_probs(tmp_path / name, SIZE)


def test_labels_of_a_picture_that_is_too_large_are_refused_before_they_are_decoded(tmp_path):
    save_labels(tmp_path / "a.png", np.zeros((600, 700)))
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:-60])
    with pytest.raises(FileError, match="600 x 700, larger than the picture, which is 6 x 7"):
        _files.read_probs(tmp_path / "a.png", SIZE)


def test_a_bound_on_values_counts_what_labels_become(tmp_path):
    np.save(tmp_path / "a.npy", np.full(SIZE, 200, np.uint8))
    assert _files.read_scores(tmp_path / "a.npy", SIZE, Reading(), most=201 * 42).values.shape == (201, *SIZE)
    with pytest.raises(FileError, match="201 labels for 42 pixels, more than the 8441 values"):
        _files.read_scores(tmp_path / "a.npy", SIZE, Reading(), most=201 * 42 - 1)


# ---- what could be two things ---------------------------------------------------------------------------------------


def test_what_could_be_two_things_is_guessed_for_those_who_show_it(tmp_path):
    labels = np.arange(42).reshape(SIZE) % 21
    Image.fromarray(labels.astype(np.uint8)).save(tmp_path / "grey.png")
    np.save(tmp_path / "logits.npy", np.log(probabilities()))
    np.save(tmp_path / "positive.npy", 100 * probabilities())
    np.save(tmp_path / "last.npy", probabilities().transpose(1, 2, 0))
    np.save(tmp_path / "probs.npy", probabilities())
    for name, meaning, labels_last in (
        ("grey.png", "labels", False),
        ("logits.npy", "logits", False),
        ("positive.npy", "logits", False),
        ("last.npy", "probabilities", True),
        ("probs.npy", "probabilities", False),
    ):
        scores = _files.read_scores(tmp_path / name, SIZE, Reading(guess=True))
        assert (scores.meaning, scores.labels_last) == (meaning, labels_last)
        if name != "probs.npy":
            with pytest.raises(FileError):
                _files.read_scores(tmp_path / name, SIZE, Reading())
    assert_array_equal(_files.read_probs(tmp_path / "last.npy", SIZE, guess=True), probabilities())


@pytest.mark.parametrize("wrong", [probabilities() / 2, -probabilities()[0]], ids=["sums", "plane"])
def test_what_is_neither_is_not_guessed(tmp_path, wrong):
    np.save(tmp_path / "a.npy", wrong)
    with pytest.raises(FileError, match="probabilities are not negative and sum to 1"):
        _files.read_probs(tmp_path / "a.npy", SIZE, guess=True)


def test_what_a_file_was_taken_for_is_told_with_the_array_it_came_from(tmp_path):
    np.savez(tmp_path / "a.npz", other=np.ones(3), probs=probabilities()[None])
    scores = _files.read_scores(tmp_path / "a.npz", SIZE, Reading())
    assert (scores.meaning, scores.key, scores.shape) == ("probabilities", "probs", (1, 3, *SIZE))
    Image.fromarray(np.eye(6, 7) > 0).save(tmp_path / "a.png")
    scores = _files.read_scores(tmp_path / "a.png", SIZE, Reading())
    assert (scores.meaning, scores.key, scores.shape) == ("mask", None, ())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_counted(tmp_path, value):
    probs = probabilities()
    probs[1, 2, 3] = value
    np.save(tmp_path / "a.npy", probs)
    for logits in (False, True):
        with pytest.raises(FileError, match=r"a\.npy: 1 of its values are NaN or infinite"):
            _files.read_probs(tmp_path / "a.npy", SIZE, logits=logits)


# ---- labels and masks -----------------------------------------------------------------------------------------------


def test_labels_become_probabilities_and_the_unsure_are_nobodys(tmp_path):
    labels = np.arange(42).reshape(SIZE) % 4
    labels[0, 0] = 255
    save_labels(tmp_path / "a.png", labels)
    read = _files.read_probs(tmp_path / "a.png", SIZE, confidence=0.7)
    assert read.shape == (4, *SIZE)
    assert_allclose(read[:, 0, 0], 0.25, rtol=1e-6)
    assert_allclose(read[:, 0, 1], [0.1, 0.7, 0.1, 0.1], rtol=1e-6)
    assert _files.read_probs(tmp_path / "a.png", SIZE, n_labels=21).shape == (21, *SIZE)


def test_labels_of_one_kind_only_are_certain(tmp_path):
    save_labels(tmp_path / "a.png", np.zeros(SIZE))
    assert_array_equal(_files.read_probs(tmp_path / "a.png", SIZE), np.ones((1, *SIZE)))


def test_labels_beyond_those_there_are_are_refused(tmp_path):
    save_labels(tmp_path / "a.png", np.full(SIZE, 21))
    np.save(tmp_path / "b.npy", np.full(SIZE, -1))
    for name, words in (("a.png", "0 to 21, must be 0 to 20"), ("b.npy", "-1 to 0, must be 0 to")):
        with pytest.raises(FileError, match=words):
            _files.read_probs(tmp_path / name, SIZE, n_labels=21)


def test_a_grey_picture_is_the_probability_of_the_foreground(tmp_path):
    grey = np.random.default_rng(0).integers(0, 256, SIZE, np.uint8)
    Image.fromarray(grey).save(tmp_path / "a.png")
    scores = _files.read_scores(tmp_path / "a.png", SIZE, Reading())
    assert scores.is_mask
    assert_allclose(scores.values, np.stack([1 - grey / 255, grey / 255]), atol=1e-7)


@pytest.mark.parametrize("white", [1, 255])
def test_a_mask_in_black_and_white_is_right_with_the_probability_that_is_said(tmp_path, white):
    mask = np.arange(42).reshape(SIZE) % 5 == 0
    Image.fromarray((mask * white).astype(np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(mask).save(tmp_path / "b.png")  # of one bit
    for name in ("a.png", "b.png"):
        read = _files.read_probs(tmp_path / name, SIZE, confidence=0.9)
        assert_allclose(read[1], np.where(mask, 0.9, 0.1), rtol=1e-6)


def test_greys_that_look_like_labels_have_to_be_explained(tmp_path):
    Image.fromarray((np.arange(42).reshape(SIZE) % 21).astype(np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(FileError, match="up to 20, look like labels; say --grey labels"):
        _files.read_probs(tmp_path / "a.png", SIZE)
    assert _files.read_probs(tmp_path / "a.png", SIZE, grey="labels").shape == (21, *SIZE)
    assert _files.read_probs(tmp_path / "a.png", SIZE, grey="mask").shape == (2, *SIZE)


def test_a_picture_is_neither_logits_nor_labels_in_colour(tmp_path):
    Image.fromarray(picture()).save(tmp_path / "colour.png")
    save_labels(tmp_path / "labels.png", np.zeros(SIZE))
    with pytest.raises(FileError, match="labels have a palette and masks are grey; this has colours"):
        _files.read_probs(tmp_path / "colour.png", SIZE)
    with pytest.raises(FileError, match="no logits; leave --logits out"):
        _files.read_probs(tmp_path / "labels.png", SIZE, logits=True)


@pytest.mark.parametrize(
    "wrong", [{"confidence": 0.0}, {"confidence": 1.5}, {"n_labels": 0}, {"grey": "green"}, {"guess": 1}], ids=str
)
def test_a_way_of_reading_that_cannot_be_is_refused(wrong):
    with pytest.raises((ValueError, TypeError), match=next(iter(wrong))):
        Reading(**wrong)
