"""Arrays from whoever: nothing is executed, nothing small unpacks to much, and garbage is an error of the file."""

import io
import os
import pickle
import sys
import time
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image")

from made_files import SIZE, header, probabilities  # noqa: E402

import densecrf  # noqa: E402
from densecrf import _files  # noqa: E402
from densecrf._files import FileError, arrays  # noqa: E402


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
    monkeypatch.setattr(arrays._check, "room", refuse)
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


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize("length", [2**33, 2**63 - 1])
def test_a_text_longer_than_its_file_is_damage_and_no_memory_is_taken_for_it(length, tmp_path):
    (tmp_path / "a.pt").write_bytes(b"\x80\x02\x8d" + length.to_bytes(8, "little") + b"text.")
    tracemalloc.start()
    with pytest.raises(FileError, match="damaged"):
        _files.read_probs(tmp_path / "a.pt", SIZE)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**22


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


# ---- what fuzzing has found -------------------------------------------------------------------------------------


def test_a_sparse_tensor_is_refused_before_it_says_where_to_write(tmp_path, torch):
    sparse = torch.sparse_coo_tensor([[0], [0], [0]], [1.0], (3, *SIZE), check_invariants=True)
    torch.save(sparse, tmp_path / "a.pt")
    with pytest.raises(FileError, match="must be dense and of real numbers"):
        _files.read_probs(tmp_path / "a.pt", SIZE)


def test_a_header_of_thousands_of_signs_is_damage_and_no_lack_of_memory(tmp_path):
    text = b"-" * 9000 + b"1"
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
    with pytest.raises(FileError, match="damaged: its header describes no array"):
        _files.read_probs(tmp_path / "a.npy", SIZE)


def test_what_a_file_calls_its_arrays_can_be_shown_anywhere(tmp_path, torch):
    torch.save({"a\ud800": torch.zeros(2, *SIZE), "b\x1b[2J": torch.zeros(2, *SIZE)}, tmp_path / "a.pt")
    with pytest.raises(FileError) as error:
        _files.read_probs(tmp_path / "a.pt", SIZE)
    assert r"the arrays a\ud800, b\x1b[2J" in str(error.value)


def test_scores_beyond_what_can_be_stretched_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[[3e38, -3e38]], [[0, 0]]], np.float32))
    with pytest.raises(FileError, match=r"its scores, -3e\+38 to 3e\+38, are beyond 1e\+30"):
        _files.read_probs(tmp_path / "a.npy", SIZE, logits=True)


@pytest.mark.parametrize("label", [-1, 2**40])
def test_labels_that_nobody_could_count_are_refused(tmp_path, label):
    labels = np.zeros(SIZE, np.int64)
    labels[0, 0] = label
    np.save(tmp_path / "a.npy", labels)
    with pytest.raises(FileError, match=f"its labels, .*{label}.*, must be 0 to 4095"):
        _files.read_labels(tmp_path / "a.npy", _files.Reading())


SETTINGS = {
    "lists": ("w1 = " + "[" * 5000, "nested too deeply"),
    "tables": ("a = " + "{a = " * 5000, "nested too deeply"),
    "a key": ("a." * 30000 + "b = 1", "more than 200 dots"),
    "a long file": ("# " + "x" * 2**16, "more than 64 KiB"),
}


@pytest.mark.parametrize(("text", "words"), SETTINGS.values(), ids=SETTINGS)
def test_settings_without_end_are_no_settings(tmp_path, text, words):
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(ValueError, match=words):
        densecrf.Refiner(preset=tmp_path / "a.toml")


def test_a_source_with_any_characters_comes_back(tmp_path):
    parameters = densecrf.Parameters(4.0, 67.0, 3.0, source='a\x7f\x01\u2028"\\b')
    parameters.write(tmp_path / "a.toml")
    assert densecrf.Refiner(preset=tmp_path / "a.toml").preset == parameters


def test_a_png_that_claims_more_rows_than_its_bytes_could_hold_is_cut_off(tmp_path):
    stream = io.BytesIO()
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(stream, "PNG")
    content = bytearray(stream.getvalue())
    content[20:24] = (2**23).to_bytes(4, "big")  # the height, in the header's chunk
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(FileError, match="cut off: 8388608 x 7 pixels need more bytes than there are"):
        _files.read_labels(tmp_path / "a.png", _files.Reading())
