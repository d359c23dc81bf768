"""Files in and out: what is read as what, what is refused, and that whole files are written, the same every time."""

import io
import os
import pickle
import sys
import time
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

Image = pytest.importorskip("PIL.Image")

from densecrf import _files, data  # noqa: E402
from densecrf._files import FileError, Reading, arrays  # noqa: E402

SIZE = (6, 7)


def probabilities(labels=3, size=SIZE):
    return data.softmax(np.random.default_rng(0).normal(size=(labels, *size)).astype(np.float32) * 3)


def picture(size=SIZE):
    return np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)


def save_labels(path, labels):
    """A PNG with a palette, whatever the colours."""
    image = Image.fromarray(labels.astype(np.uint8))
    image.putpalette(bytes(range(256)) * 3)
    image.save(path)


# ---- pictures ---------------------------------------------------------------------------------------------------


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


# ---- arrays -----------------------------------------------------------------------------------------------------


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


# ---- what could be two things -----------------------------------------------------------------------------------


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


# ---- arrays from whoever ----------------------------------------------------------------------------------------


class Trap:
    """Leaves a file behind if it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_pickles_are_never_opened(tmp_path, torch):
    trap = Trap(tmp_path / "sprung")
    objects = np.array([trap], object)
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "a.npz", probs=objects)
    torch.save({"probs": trap}, tmp_path / "a.pt")
    (tmp_path / "b.pt").write_bytes(pickle.dumps(trap))
    (tmp_path / "b.npy").write_bytes(pickle.dumps(trap))
    for name in ("a.npy", "a.npz", "a.pt", "b.pt", "b.npy"):
        with pytest.raises(FileError):
            _files.read_probs(tmp_path / name, SIZE)
        assert not (tmp_path / "sprung").exists(), name


def header(shape, dtype="<f4"):
    """An .npy file that claims to be of this shape, and has nothing behind its header."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def test_a_small_file_cannot_claim_a_large_array(tmp_path):
    (tmp_path / "a.npy").write_bytes(header((3, 2**20, 2**20)) + bytes(100))
    (tmp_path / "b.npy").write_bytes(header((3, *SIZE)) + bytes(100))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("probs.npy", header((3, *SIZE)) + bytes(100))
    for name, words in (("a.npy", "more than the 172032 values"), ("b.npy", "cut off"), ("a.npz", "cut off")):
        with pytest.raises(FileError, match=words):
            _files.read_probs(tmp_path / name, SIZE)


def test_a_zip_that_would_unpack_to_gigabytes_is_refused_unopened(tmp_path):
    file = zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED)
    with file as archive, archive.open("probs.npy", "w") as member:
        member.write(header((21, 2**12, 2**11)))
        for _ in range(21):
            member.write(bytes(2**25))
    assert (tmp_path / "bomb.npz").stat().st_size < 2**20
    start = time.perf_counter()
    with pytest.raises(FileError, match=r"an array \(21, 4096, 2048\), more than the"):
        _files.read_probs(tmp_path / "bomb.npz", SIZE)
    assert time.perf_counter() - start < 0.2


def test_memory_is_asked_for_before_an_array_is_read(tmp_path, monkeypatch):
    asked = []

    def refuse(count):
        asked.append(count)
        raise MemoryError

    np.save(tmp_path / "a.npy", probabilities())
    monkeypatch.setattr(arrays._core, "require_memory", refuse)
    with pytest.raises(MemoryError):
        _files.read_probs(tmp_path / "a.npy", SIZE)
    assert asked == [probabilities().nbytes]


def test_a_torch_file_that_was_compressed_is_refused_unopened(tmp_path, torch):
    torch.save(torch.zeros(2, *SIZE), tmp_path / "plain.pt")
    with (
        zipfile.ZipFile(tmp_path / "plain.pt") as plain,
        zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for name in plain.namelist():
            bomb.writestr(name, plain.read(name) + bytes(2**20))  # torch itself would unpack any number of zeros
    with pytest.raises(FileError, match="compressed, which torch's files are not"):
        _files.read_probs(tmp_path / "bomb.pt", SIZE)


def test_a_claim_of_less_than_nothing_is_damage(tmp_path):
    (tmp_path / "a.npy").write_bytes(header((-3, *SIZE)))
    with pytest.raises(FileError, match=r"damaged: an array \(-3, 6, 7\)"):
        _files.read_probs(tmp_path / "a.npy", SIZE)


def outcome(path):
    """What reading a damaged file comes to: the size of what it holds after all, or what is said of it."""
    try:
        return _files.read_probs(path, SIZE).shape[1:]
    except FileError as error:
        return str(error)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt", ".pth"])
def test_garbage_is_an_error_of_the_file(tmp_path, suffix, torch):
    rng = np.random.default_rng(2)
    stream = io.BytesIO()
    save = {".npy": np.save, ".npz": np.savez}.get(suffix, lambda file, probs: torch.save(torch.tensor(probs), file))
    save(stream, probabilities())
    whole = stream.getvalue()
    contents = [b"", b"x", rng.bytes(1000), *(whole[:length] for length in (5, 60, 128, len(whole) // 2))]
    for _ in range(30):  # a few flipped bytes, in the header for the most part
        damaged = bytearray(whole)
        for place in rng.integers(0, min(200, len(whole)), 4):
            damaged[place] = rng.integers(256)
        contents.append(bytes(damaged))
    for content in contents:
        (tmp_path / f"a{suffix}").write_bytes(content)
        said = outcome(tmp_path / f"a{suffix}")
        assert said == SIZE or (said.startswith(str(tmp_path)) and "\n" not in said)


def test_arrays_without_numbers_are_refused(tmp_path):
    np.save(tmp_path / "text.npy", np.array([["a"]]))
    np.save(tmp_path / "records.npy", np.zeros((2, 2), [("a", "f4")]))
    np.savez(tmp_path / "none.npz")
    (tmp_path / "a.csv").write_text("1,2")
    for name, words in {
        "text.npy": "must hold numbers",
        "records.npy": "must hold numbers",
        "none.npz": "it holds no array",
        "a.csv": r"read from \.npy, \.npz, \.pt, \.pth, \.png, not from \.csv",
    }.items():
        with pytest.raises(FileError, match=words):
            _files.read_probs(tmp_path / name, SIZE)


def test_without_torch_its_files_say_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "a.pt").write_bytes(b"")
    with pytest.raises(FileError, match=r'pip install "densecrf\[torch\]"'):
        _files.read_probs(tmp_path / "a.pt", SIZE)


# ---- labels and masks -------------------------------------------------------------------------------------------


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


# ---- results ----------------------------------------------------------------------------------------------------

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
