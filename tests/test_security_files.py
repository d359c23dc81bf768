"""Files from strangers: bounded in time and memory, nothing started, nothing written elsewhere."""

import json
import os
import pickle
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

import densecrf
from densecrf import _files
from densecrf._files import FileError
from densecrf._parameters import resolve

Image = pytest.importorskip("PIL.Image")

from made_files import SIZE, probabilities  # noqa: E402


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, *more):
    """A picture that claims a size, with chunks before what little there is of it."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(more) + pixels + chunk(b"IEND", b"")


def tiff(width, height):
    """One strip of nothing, deflated."""
    tags = {256: width, 257: height, 258: 8, 259: 8, 262: 1, 273: 8, 277: 1, 278: height, 279: 16}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<I", 24) + bytes(16) + struct.pack("<H", len(tags)) + entries + bytes(4)


LARGE = 50_000
BOMBS = {
    "claim.png": png(LARGE, LARGE),
    "text.png": png(8, 8, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**28)))),
    "profile.png": png(8, 8, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2**28)))),
    "claim.tiff": tiff(LARGE, LARGE),
    "claim.gif": b"GIF89a" + struct.pack("<HH3xc4xHHx", 65535, 65535, b",", 65535, 65535) + b"\x08\0;",
    "claim.bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 99, 0, 0, 54, 40, LARGE, LARGE, 1, 24, 0, 0, 0, 0, 0, 0),
    "claim.ppm": f"P6 {LARGE} {LARGE} 255\n".encode(),
    "claim.jpg": struct.pack(">IHBHHI", 0xFFD8FFC0, 11, 8, LARGE, LARGE, 0x01011100) + b"\xff\xda\0\x08\1\1\0\0?\0",
    "claim.webp": b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\xff\xff\xff\xff\xff\xff" + bytes(8),
    "targa.png": struct.pack("<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, 65535, 65535, 24, 0) + bytes(100),
}  # fmt: skip

READ_THEM_ALL = """
import json, resource, sys, time
from pathlib import Path
from densecrf import _files
import PIL.Image, PIL.ImageOps
PIL.Image.init()

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

said, before, start = {}, peak(), time.perf_counter()
for path in sorted(Path(sys.argv[1]).iterdir()):
    for read in (_files.read_image, lambda path: _files.read_scores(path, (8, 8), _files.Reading())):
        try:
            said.setdefault(path.name, []).append(str(read(path)))
        except _files.FileError as error:
            said.setdefault(path.name, []).append(str(error))
print(json.dumps({"said": said, "mebibytes": peak() - before, "seconds": time.perf_counter() - start}))
"""


def test_pictures_that_claim_or_unpack_to_gigabytes_are_a_sentence_and_cost_little(tmp_path):
    for name, content in BOMBS.items():
        (tmp_path / name).write_bytes(content)
        assert len(content) < 2**20
    environment = {**os.environ, "PYTHONPATH": str(Path(densecrf.__file__).parents[1])}
    command = [sys.executable, "-c", READ_THEM_ALL, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert set(told["said"]) == set(BOMBS)
    for name, sentences in told["said"].items():
        for sentence in sentences:
            assert sentence.startswith(f"{tmp_path / name}: "), sentence
            assert "\n" not in sentence
    assert told["mebibytes"] < 200
    assert told["seconds"] < 20


@pytest.mark.parametrize("name", ["a.png", "a.npy", "a.npz", "a.pt"])
def test_a_pipe_that_nobody_writes_to_is_refused_and_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    for read in (_files.read_image, lambda path: _files.read_probs(path, SIZE)):
        with pytest.raises(FileError, match="not a file, but a pipe or a device"):
            read(tmp_path / name)


@pytest.fixture
def ghostscript(tmp_path, monkeypatch):
    """A file that would be there if somebody had called the program that draws PostScript."""
    called = tmp_path / "called"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gs").write_text(f'#!/bin/sh\ntouch "{called}"\n')
    (tmp_path / "bin" / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return called


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 7 6\n%%EndComments\nshowpage\n%%EOF\n"


def test_postscript_that_is_called_a_picture_starts_no_program(tmp_path, ghostscript):
    (tmp_path / "a.jpg").write_bytes(POSTSCRIPT)
    with pytest.raises(FileError, match="not a picture of a kind"):
        _files.read_image(tmp_path / "a.jpg")
    assert not ghostscript.exists()


def data_set(root, listed):
    """A folder of one picture with labels, and a list of names."""
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(root / "images" / "a.jpg")
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(root / "labels" / "a.png")
    (root / "classes.txt").write_text("ground\nthing\n")
    (root / "val.txt").write_text("\n".join(listed))
    return root


def test_postscript_in_a_data_set_starts_no_program(tmp_path, torch, ghostscript):
    from deeplab.data import open_data

    for folder in ("images", "labels"):
        root = data_set(tmp_path / folder, ["a"])
        next((root / folder).iterdir()).write_bytes(POSTSCRIPT)
        with pytest.raises((OSError, ValueError)):
            open_data("folder", root, "val")
    assert not ghostscript.exists()


@pytest.mark.parametrize("name", ["../../secret", "{outside}/secret", "images/../../secret", "/../secret.jpg /x.png"])
def test_a_list_of_names_does_not_lead_out_of_its_data_set(tmp_path, torch, name):
    from deeplab.data import open_data

    root = data_set(tmp_path / "deep" / "set", [name.replace("{outside}", str(tmp_path))])
    for outside in (tmp_path, tmp_path / "deep"):
        Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(outside / "secret.jpg")
        Image.fromarray(np.zeros(SIZE, np.uint8)).save(outside / "secret.png")
    with pytest.raises(FileNotFoundError, match=r"secret\.jpg is missing") as caught:
        open_data("folder", root, "val")
    assert str(root / "images" / "secret.jpg") in str(caught.value)


def test_members_that_would_lead_out_of_a_folder_are_read_and_nothing_is_unpacked(tmp_path, monkeypatch, torch):
    here = tmp_path / "deep" / "here"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    np.savez("plain.npz", probs=probabilities())
    with zipfile.ZipFile("plain.npz") as plain, zipfile.ZipFile("a.npz", "w") as archive:
        archive.writestr("../../escaped.npy", plain.read("probs.npy"))
    torch.save(torch.tensor(probabilities()), "plain.pt")
    with zipfile.ZipFile("plain.pt") as plain, zipfile.ZipFile("a.pt", "w") as archive:
        for entry in plain.namelist():
            archive.writestr(entry, plain.read(entry))
        archive.writestr("plain/../../../escaped.npy", b"x")
    there = sorted(tmp_path.rglob("*"))
    for name in ("a.npz", "a.pt"):
        np.testing.assert_array_equal(_files.read_probs(name, SIZE), probabilities())
    assert sorted(tmp_path.rglob("*")) == there


@pytest.mark.parametrize("text", ["w1 = " + "[" * 9000, "w1 = " + "{a = " * 2000, "w1" + ".a" * 50_000 + " = 1"])
def test_a_preset_that_is_hard_to_parse_is_refused_at_once(tmp_path, text):
    (tmp_path / "a.toml").write_text(text)
    start = time.perf_counter()
    with pytest.raises(ValueError, match="not a file of CRF parameters"):
        resolve(tmp_path / "a.toml")
    assert time.perf_counter() - start < 3


def test_a_recipe_of_a_training_is_held_to_the_same(tmp_path, torch):
    from deeplab import config

    (tmp_path / "a.toml").write_text("network = " + "[" * 10_000)
    with pytest.raises(ValueError, match=r"a\.toml: its values are nested too deeply"):
        config.read(tmp_path / "a.toml")


def doubled_tuples(times):
    """A pickle of a dict whose key is a tuple of two of the same tuple of two ...: 2 ** times steps to hash."""
    nested = b"".join(b"h" + bytes([each]) + b"\x86q" + bytes([each + 1]) for each in range(times))
    return b"\x80\x02)q\x00" + nested + b"}h" + bytes([times]) + b"K\x01s."


@pytest.fixture(params=["zip", "plain"])
def endless(request, tmp_path):
    """A file of torch's, new or old, that takes for ever to read."""
    path = tmp_path / "a.pt"
    if request.param == "plain":
        numbers = pickle.dumps(0x1950A86A20F9469CFC6C, 2), pickle.dumps(1001, 2), pickle.dumps({}, 2)
        path.write_bytes(b"".join(numbers) + doubled_tuples(100) + pickle.dumps([], 2))
        return path
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {"DATA.pkl": doubled_tuples(100), "version": b"3\n", "byteorder": b"little"}.items():
            archive.writestr(f"a/{name}", content)
    return path


def test_a_torch_file_that_would_take_for_ever_is_refused_at_once(endless, torch):
    import deeplab

    start = time.perf_counter()
    with pytest.raises(FileError, match="its tuples are nested too deeply"):
        _files.read_probs(endless, SIZE)
    with pytest.raises(ValueError, match="damaged, or a PyTorch file of more than tensors"):
        deeplab.weights.load(torch.nn.Linear(1, 1), endless)
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize("new", [True, False])
def test_what_torch_writes_itself_is_not_nested_too_deeply(tmp_path, torch, new):
    from densecrf._files.pickles import require_shallow

    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    optimiser = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
    network(torch.zeros(1, 1, 5, 5)).sum().backward()
    optimiser.step()
    state = {
        "state": network.state_dict(),
        "parameters": list(network.parameters()),
        "optimiser": optimiser.state_dict(),
    }
    for number, content in enumerate(
        (state, network.state_dict(), torch.zeros(3, 4).to_sparse(), ((1, (2, 3)), {"a": ()}))
    ):
        path = tmp_path / f"{number}.pt"
        torch.save(content, path, _use_new_zipfile_serialization=new)
        require_shallow(path)
