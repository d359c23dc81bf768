"""What the app opens, and the sentences it has for everything else; nothing of a file is executed."""

import io
import pickle
import struct
import zipfile
import zlib

import numpy as np
import pytest

pytest.importorskip("PIL")
from PIL import Image

import densecrf
from densecrf._files import FileError
from densecrf.app.loading import MAX_BYTES, MAX_PIXELS, MAX_VALUES, load_picture, load_scores, sentence

SIZE = (6, 8)


def probabilities(labels=3):
    scores = np.random.default_rng(0).normal(size=(labels, *SIZE)).astype(np.float32)
    return np.exp(scores) / np.exp(scores).sum(axis=0)


def saved(path, values):
    np.save(path, values)
    return path


def npy_bytes(values):
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def npy_header(shape, dtype="<f4"):
    """A file that claims much and holds nothing."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


def executed(path, scores):
    """What the Python of an uploaded file makes, run beside it."""
    here = {"np": np, "Image": Image, "densecrf": densecrf, "image": np.zeros((*SIZE, 3), np.uint8)}
    exec(scores.program.replace(repr(path.name), repr(str(path))), here)
    return here["probs"]


# ---- what is opened ------------------------------------------------------------------------------------------


def test_probabilities_come_as_they_are(tmp_path):
    path = saved(tmp_path / "probs.npy", probabilities())
    scores = load_scores(path, SIZE)
    np.testing.assert_array_equal(scores.probs, probabilities())
    assert scores.taken_as == "probabilities"
    np.testing.assert_array_equal(executed(path, scores), scores.probs)


def test_raw_scores_go_through_a_softmax(tmp_path):
    path = saved(tmp_path / "scores.npy", 7 * np.log(probabilities()))
    scores = load_scores(path, SIZE)
    np.testing.assert_allclose(scores.probs.sum(axis=0), 1, rtol=1e-5)
    np.testing.assert_array_equal(scores.probs.argmax(axis=0), probabilities().argmax(axis=0))
    np.testing.assert_allclose(executed(path, scores), scores.probs, rtol=1e-5)


def test_labels_may_be_the_last_axis(tmp_path):
    path = saved(tmp_path / "probs.npy", np.moveaxis(probabilities(), 0, 2))
    scores = load_scores(path, SIZE)
    np.testing.assert_array_equal(scores.probs, probabilities())
    np.testing.assert_array_equal(executed(path, scores), probabilities())


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("names", [["anything"], ["image", "probs"]])
def test_an_archive_holds_one_array_or_one_with_a_telling_name(tmp_path, save, names):
    path = tmp_path / "probs.npz"
    save(path, **{name: probabilities() for name in names})
    scores = load_scores(path, SIZE)
    np.testing.assert_array_equal(executed(path, scores), scores.probs)


def test_a_palette_png_is_a_map_of_labels_with_unsure_pixels(tmp_path):
    labels = np.zeros(SIZE, np.uint8)
    labels[:, 4:], labels[0] = 2, 255
    picture = Image.fromarray(labels)
    picture.putpalette(bytes(range(256)) * 3)
    picture.save(tmp_path / "labels.png")
    scores = load_scores(tmp_path / "labels.png", SIZE)
    assert scores.probs.shape == (3, *SIZE)
    np.testing.assert_array_equal(scores.probs[:, 1:].argmax(axis=0), labels[1:])
    np.testing.assert_allclose(scores.probs[:, 0], 1 / 3, rtol=1e-6)
    np.testing.assert_array_equal(executed(tmp_path / "labels.png", scores), scores.probs)


@pytest.mark.parametrize(
    ("values", "taken_as", "labels"),
    [
        ([0, 255], "a mask, each pixel right with probability 0.7", [0, 1]),
        ([0, 1], "a mask, each pixel right with probability 0.7", [0, 1]),
        ([0, 200], "the probability of the foreground", [0, 1]),
        ([0, 3], "labels, each right with probability 0.7", [0, 3]),
    ],
)
def test_grey_pictures_are_masks_unless_their_values_are_few_and_small(tmp_path, values, taken_as, labels):
    grey = np.resize(np.array(values, np.uint8), SIZE)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    scores = load_scores(tmp_path / "grey.png", SIZE)
    assert scores.taken_as == taken_as
    np.testing.assert_array_equal(scores.probs.argmax(axis=0), np.where(grey > 0, labels[1], labels[0]))
    np.testing.assert_allclose(executed(tmp_path / "grey.png", scores), scores.probs, rtol=1e-6)


@pytest.mark.parametrize("axes", [(), (1,), (1, 1)])
@pytest.mark.parametrize("mask", [np.eye(*SIZE, dtype=bool), np.eye(*SIZE, dtype=np.float16) * 0.75])
def test_arrays_of_two_axes_are_masks_and_axes_of_one_do_not_count(tmp_path, mask, axes):
    path = saved(tmp_path / "mask.npy", mask.reshape(*axes, *SIZE))
    scores = load_scores(path, SIZE)
    np.testing.assert_array_equal(scores.probs.argmax(axis=0), mask > 0.5)
    np.testing.assert_allclose(executed(path, scores), scores.probs, rtol=1e-6)


def test_integers_of_two_axes_are_labels(tmp_path):
    labels = np.arange(48).reshape(SIZE) % 4
    path = saved(tmp_path / "labels.npy", labels)
    scores = load_scores(path, SIZE)
    assert "labels" in scores.taken_as
    np.testing.assert_array_equal(scores.probs.argmax(axis=0), labels)
    np.testing.assert_array_equal(executed(path, scores), scores.probs)


def test_an_axis_of_one_picture_is_left_out(tmp_path):
    path = saved(tmp_path / "probs.npy", probabilities()[None])
    scores = load_scores(path, SIZE)
    np.testing.assert_array_equal(scores.probs, probabilities())
    np.testing.assert_array_equal(executed(path, scores), probabilities())


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("grid", [(3, 4), (6, 1), (1, 1)])
def test_coarse_scores_are_stretched_to_the_picture_and_the_page_says_so(tmp_path, grid, raw):
    coarse = probabilities()[:, : grid[0], : grid[1]]
    path = saved(tmp_path / "coarse.npy", 5 * np.log(coarse) if raw else coarse)
    scores = load_scores(path, SIZE)
    assert scores.probs.shape == (3, *SIZE)
    assert scores.taken_as.endswith(f"stretched from {grid[1]} x {grid[0]}")
    np.testing.assert_allclose(executed(path, scores), scores.probs, rtol=1e-4)


def test_a_photograph_is_upright_as_on_the_command_line(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    picture = Image.fromarray(image)
    exif = picture.getexif()
    exif[0x0112] = 6  # turned by a quarter
    picture.save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(load_picture(tmp_path / "a.png"), np.rot90(image, -1))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1"])
def test_pictures_of_every_usual_mode_are_opened(tmp_path, mode):
    Image.new(mode, (8, 6), 1).save(tmp_path / "picture.png")
    picture = load_picture(tmp_path / "picture.png")
    assert picture.shape == (6, 8, 3)
    assert picture.dtype == np.uint8


# ---- what is not ---------------------------------------------------------------------------------------------


class Boom:
    """Calls for help when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was executed",)


def zip_bomb():
    """An archive of a few kilobytes whose array claims, and would unpack to, 16 GB."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("probs.npy", npy_header((4_000_000_000,)) + bytes(1_000_000))
    return file.getvalue()


def lying_archive():
    """An archive whose array is shorter than it claims."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("probs.npy", npy_header((3, *SIZE)) + bytes(10))
    return file.getvalue()


def huge_png(side=60_000):
    """The first bytes of a picture that claims to be huge."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + header
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return start + struct.pack(">I", 100) + b"IDAT" + bytes(20)


def png(values):
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
RANDOM = np.random.default_rng(1).bytes(5000)
PROBS = npy_bytes(probabilities())
WRONG = probabilities() * 0.5

BAD_SCORES = {
    "nothing at all": (".npy", b"", "damaged, or not what its name says"),
    "random bytes": (".npy", RANDOM, "damaged, or not what its name says"),
    "random bytes in a picture": (".png", RANDOM, "not a picture"),
    "random bytes behind NumPy's first": (".npy", b"\x93NUMPY\x01\x00" + RANDOM, "damaged"),
    "random bytes behind those of a zip": (".npz", b"PK\x03\x04" + RANDOM, "damaged"),
    "an array cut off": (".npy", PROBS[:-40], "cut off"),
    "an array cut off in its header": (".npy", PROBS[:30], "damaged"),
    "a bare pickle": (".npy", pickle.dumps(Boom()), "damaged"),
    "an array of objects": (".npy", npy_bytes(np.array([Boom()], object)), "holds Python objects"),
    "text": (".npy", npy_bytes(np.array([["a"]])), "must hold numbers"),
    "complex numbers": (".npy", npy_bytes(np.zeros((2, *SIZE), complex)), "must hold numbers"),
    "a claim of terabytes": (".npy", npy_header((21, 10**6, 10**6)), "more than the 196608 values"),
    "a negative shape": (".npy", npy_header((-1, 6, 8)), "damaged: an array (-1, 6, 8)"),
    "four axes": (".npy", npy_bytes(np.ones((2, 3, 4, 5), np.float32)), "must hold numbers (labels, height, width)"),
    "a zip bomb": (".npz", zip_bomb(), "more than the 196608 values"),
    "an archive that lies": (".npz", lying_archive(), "cut off"),
    "another size": (".npy", npy_bytes(np.ones((2, 6, 9), np.float32)), "6 x 9, larger than the picture"),
    "one label": (".npy", npy_bytes(np.zeros(SIZE, int)), "has 1 label;"),
    "too many labels": (".npy", npy_bytes(np.full((300, *SIZE), 1 / 300, np.float32)), "has 300 labels"),
    "integers": (".npy", npy_bytes(np.ones((2, *SIZE), np.int64)), "scores must be floats"),
    "not a number": (".npy", npy_bytes(np.full((2, *SIZE), np.nan, np.float32)), "are NaN or infinite"),
    "neither probabilities nor scores": (".npy", npy_bytes(WRONG), "the sums are 0.5 to 0.5."),
    "labels out of range": (".npy", npy_bytes(np.full(SIZE, 1000)), "has 1001 labels"),
    "labels below 0": (".npy", npy_bytes(np.full(SIZE, -1)), "must be 0 to"),
    "a mask out of range": (".npy", npy_bytes(np.full(SIZE, -0.5)), "probabilities are not negative"),
    "a photograph": (".png", png(np.zeros((*SIZE, 3), np.uint8)), "this has colours"),
    "a huge picture": (".png", huge_png(), "exceeds limit"),
    "a large picture": (".png", huge_png(9_000), "larger than the picture, which is 6 x 8"),
    "a picture cut off": (".png", png(np.arange(48, dtype=np.uint8).reshape(SIZE))[:-25], "truncated"),
    "PostScript": (".png", POSTSCRIPT, "not a picture"),
    "a file of torch's": (".pt", PROBS, "are opened here from .npy, .npz and .png"),
    "a name without an end": ("", PROBS, "are opened here from .npy, .npz and .png"),
}


@pytest.mark.parametrize("what", BAD_SCORES)
def test_a_file_that_is_not_probabilities_gets_a_sentence(tmp_path, what):
    suffix, content, words = BAD_SCORES[what]
    path = tmp_path / f"upload{suffix}"
    path.write_bytes(content)
    assert words in refusal(load_scores, path, SIZE)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".png", ".gif", ".pt", ".eps", ""])
@pytest.mark.parametrize("what", [what for what, (_, content, _) in BAD_SCORES.items() if content is not PROBS])
def test_it_does_not_matter_what_such_a_file_is_called(tmp_path, what, suffix):
    path = tmp_path / f"upload{suffix}"
    path.write_bytes(BAD_SCORES[what][1])
    refusal(load_scores, path, SIZE)


def refusal(load, *arguments):
    """The sentence about a file that is refused."""
    with pytest.raises(FileError) as caught:
        load(*arguments)
    said = sentence(caught.value)
    assert str(arguments[0].parent) not in said  # whose machine it is, is nobody's business
    assert said.startswith(f"{arguments[0].name}: ")
    assert said.endswith(".")
    assert "\n" not in said
    assert " --" not in said  # there are no flags on a page
    return said


def test_an_archive_without_a_telling_name_lists_what_it_holds(tmp_path):
    np.savez(tmp_path / "two.npz", one=probabilities(), two=probabilities())
    assert "it holds the arrays one, two." in refusal(load_scores, tmp_path / "two.npz", SIZE)


def test_few_values_that_would_become_many_are_refused(tmp_path):
    grid = saved(tmp_path / "coarse.npy", np.full((200, 1, 1), 1 / 200, np.float32))
    assert "at most 150 million values" in refusal(load_scores, grid, (1000, 1000))
    labels = saved(tmp_path / "labels.npy", np.full((1000, 1000), 200, np.uint8))
    assert f"more than the {MAX_VALUES} values" in refusal(load_scores, labels, (1000, 1000))


def test_a_claim_in_an_archive_is_not_unpacked(tmp_path):
    claim = npy_header((3, MAX_VALUES // 2, 1))  # fewer than 4096 labels for sixteen million pixels
    with zipfile.ZipFile(tmp_path / "claim.npz", "w") as archive:
        archive.writestr("probs.npy", claim)
    assert "more than the 196608 values" in refusal(load_scores, tmp_path / "claim.npz", SIZE)
    assert f"more than the {MAX_VALUES} values" in refusal(load_scores, tmp_path / "claim.npz", (4000, 4000))


@pytest.mark.parametrize("load", [load_picture, lambda path: load_scores(path, SIZE)])
def test_a_file_of_too_many_bytes_is_refused_unread(tmp_path, load):
    path = tmp_path / "large.npy"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 2**20)  # takes no space
    assert f"at most {MAX_BYTES // 2**20} MiB" in refusal(load, path)


BAD_PICTURES = {
    "random bytes": (RANDOM, "not a picture"),
    "random bytes behind those of a PNG": (huge_png(8)[:24] + RANDOM, "not a picture"),
    "random bytes behind those of a JPEG": (b"\xff\xd8\xff\xe0\x00\x10JFIF" + RANDOM, "not a picture"),
    "a picture cut off": (png(np.zeros((50, 50, 3), np.uint8))[:-60], "Truncated"),
    "a huge picture": (huge_png(), "exceeds limit"),
    "a large picture": (huge_png(9_000), f"9000 x 9000 pixels, more than the {MAX_PIXELS}"),
    "16 bits": (png(np.zeros(SIZE, np.uint16)), "more than eight bits"),
    "PostScript": (POSTSCRIPT, "not a picture"),
}


@pytest.mark.parametrize("what", BAD_PICTURES)
def test_a_file_that_is_not_a_picture_gets_a_sentence(tmp_path, what):
    content, words = BAD_PICTURES[what]
    path = tmp_path / "upload.png"
    path.write_bytes(content)
    assert words in refusal(load_picture, path)
