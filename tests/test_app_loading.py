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
from densecrf.app.loading import MAX_VALUES, load_scores
from densecrf.app.pictures import MAX_BYTES, MAX_PIXELS, FileRefusedError, load_picture

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
    here = {"np": np, "Image": Image, "densecrf": densecrf}
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


@pytest.mark.parametrize(("values", "taken_as"), [([0, 255], "grey mask"), ([0, 200], "grey mask"), ([0, 3], "labels")])
def test_grey_pictures_are_masks_unless_their_values_are_few_and_small(tmp_path, values, taken_as):
    grey = np.resize(np.array(values, np.uint8), SIZE)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    scores = load_scores(tmp_path / "grey.png", SIZE)
    assert taken_as in scores.taken_as
    np.testing.assert_array_equal(
        scores.probs.argmax(axis=0), np.where(grey > 0, min(values[1], 3 if values[1] == 3 else 1), 0)
    )
    np.testing.assert_allclose(executed(tmp_path / "grey.png", scores), scores.probs, rtol=1e-6)


@pytest.mark.parametrize("mask", [np.eye(*SIZE, dtype=bool), np.eye(*SIZE, dtype=np.float16) * 0.75])
def test_arrays_of_two_axes_are_masks(tmp_path, mask):
    path = saved(tmp_path / "mask.npy", mask)
    scores = load_scores(path, SIZE)
    np.testing.assert_array_equal(scores.probs.argmax(axis=0), mask > 0.5)
    np.testing.assert_allclose(executed(path, scores), scores.probs, rtol=1e-6)


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


RANDOM = np.random.default_rng(1).bytes(5000)
PROBS = npy_bytes(probabilities())
WRONG = probabilities() * 0.5

BAD_SCORES = {
    "nothing at all": (b"", "is empty"),
    "random bytes": (RANDOM, "none of .npy, .npz"),
    "random bytes behind NumPy's first": (b"\x93NUMPY\x01\x00" + RANDOM, "damaged, or cut off"),
    "random bytes behind those of a zip": (b"PK\x03\x04" + RANDOM, "damaged, or not an archive"),
    "an array cut off": (PROBS[:-40], "damaged, or cut off"),
    "an array cut off in its header": (PROBS[:30], "damaged, or cut off"),
    "a bare pickle": (pickle.dumps(Boom()), "none of .npy"),
    "an array of objects": (npy_bytes(np.array([Boom()], object)), "holds Python objects"),
    "text": (npy_bytes(np.array([["a"]])), "not numbers"),
    "complex numbers": (npy_bytes(np.zeros((2, *SIZE), complex)), "not numbers"),
    "a claim of terabytes": (npy_header((21, 10**6, 10**6)), "at most"),
    "a negative shape": (npy_header((-1, 6, 8)), "damaged"),
    "four axes": (npy_bytes(probabilities()[None]), "has 4 axes"),
    "a zip bomb": (zip_bomb(), "axes"),
    "an archive that lies": (lying_archive(), "damaged, or cut off"),
    "another size": (npy_bytes(probabilities()[:, :3]), "for a picture of 8 x 3 pixels, the picture has 8 x 6"),
    "one label": (npy_bytes(np.ones((1, *SIZE), np.float32)), "has 1 labels"),
    "too many labels": (npy_bytes(np.full((300, *SIZE), 1 / 300, np.float32)), "has 300 labels"),
    "integers": (npy_bytes(np.ones((2, *SIZE), np.int64)), "integers of three axes"),
    "not a number": (npy_bytes(np.full((2, *SIZE), np.nan, np.float32)), "not finite"),
    "neither probabilities nor scores": (npy_bytes(WRONG), "do not sum to 1"),
    "labels out of range": (npy_bytes(np.full(SIZE, 1000)), "values from 0 to 255"),
    "a mask out of range": (npy_bytes(np.full(SIZE, -0.5)), "between 0 and 1"),
    "a photograph": (png(np.zeros((*SIZE, 3), np.uint8)), "a picture in colour"),
    "a huge picture": (huge_png(), "more pixels than any photograph"),
    "a picture cut off": (png(np.arange(48, dtype=np.uint8).reshape(SIZE))[:-25], "or it is damaged"),
}


@pytest.mark.parametrize("what", BAD_SCORES)
def test_a_file_that_is_not_probabilities_gets_a_sentence(tmp_path, what):
    content, words = BAD_SCORES[what]
    path = tmp_path / "upload"
    path.write_bytes(content)
    with pytest.raises(FileRefusedError) as caught:
        load_scores(path, SIZE)
    assert words in str(caught.value)
    assert str(tmp_path) not in str(caught.value)  # whose machine it is, is nobody's business
    assert str(caught.value).endswith(".")


def test_an_archive_without_a_telling_name_lists_what_it_holds(tmp_path):
    np.savez(tmp_path / "two.npz", one=probabilities(), two=probabilities())
    with pytest.raises(FileRefusedError, match="it holds: one, two"):
        load_scores(tmp_path / "two.npz", SIZE)


def test_a_claim_in_an_archive_is_not_unpacked(tmp_path):
    claim = npy_header((3, MAX_VALUES // 2, 1))
    with zipfile.ZipFile(tmp_path / "claim.npz", "w") as archive:
        archive.writestr("probs.npy", claim)
    with pytest.raises(FileRefusedError, match="at most"):
        load_scores(tmp_path / "claim.npz", SIZE)


@pytest.mark.parametrize("load", [load_picture, lambda path: load_scores(path, SIZE)])
def test_a_file_of_too_many_bytes_is_refused_unread(tmp_path, load):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 2**20)  # takes no space
    with pytest.raises(FileRefusedError, match=f"at most {MAX_BYTES // 2**20} MiB"):
        load(path)


BAD_PICTURES = {
    "random bytes": (RANDOM, "not a picture"),
    "random bytes behind those of a PNG": (huge_png(8)[:24] + RANDOM, "not a picture"),
    "random bytes behind those of a JPEG": (b"\xff\xd8\xff\xe0\x00\x10JFIF" + RANDOM, "not a picture"),
    "a picture cut off": (png(np.zeros((50, 50, 3), np.uint8))[:-60], "damaged"),
    "a huge picture": (huge_png(), "more pixels than any photograph"),
    "a large picture": (huge_png(9_000), f"at most {MAX_PIXELS // 10**6} million"),
    "16 bits": (png(np.zeros(SIZE, np.uint16)), "more than 8 bits"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
}


@pytest.mark.parametrize("what", BAD_PICTURES)
def test_a_file_that_is_not_a_picture_gets_a_sentence(tmp_path, what):
    content, words = BAD_PICTURES[what]
    path = tmp_path / "upload.png"
    path.write_bytes(content)
    with pytest.raises(FileRefusedError) as caught:
        load_picture(path)
    assert words in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
