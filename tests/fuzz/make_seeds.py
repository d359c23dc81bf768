"""Writes what fuzzing begins with, a few small valid files for each target: ``python -m fuzz.make_seeds``, from tests.

They are kept in seeds/NAME, so that a change of a library that writes them changes no test. What begins with
``found-`` there was found by fuzzing, or by thinking about it, and is not written by this program.
"""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from deeplab import config
from densecrf import _parameters
from densecrf.batch import records
from densecrf.batch.records import Record, Seconds

from . import networks
from .mutators import members, varint, zipped
from .promises import SIZE

FOLDER = Path(__file__).parent / "seeds"
READ_AS = (0, 1, 2, 3, 4, 8, 16)  # who reads, and how: see scores.target


def keep(target, name, content):
    """A seed."""
    path = FOLDER / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def stream_of(save):
    stream = io.BytesIO()
    save(stream)
    return stream.getvalue()


def saved(content):
    """A file of torch's, without the padding between its parts."""
    return zipped(members(stream_of(lambda stream: torch.save(content, stream))))


def arrays():
    """What networks and people store of a picture, by name."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3, *SIZE)).astype(np.float32)
    probs = np.exp(logits) / np.exp(logits).sum(axis=0)
    labels = rng.integers(0, 4, SIZE)
    labels[0, 0] = 255
    small = probs[:, ::2, ::2]
    return {
        "probs": probs,
        "logits": logits,
        "half": small[None].astype(np.float16),
        "labels": labels,
        "mask": labels == 1,
        "foreground": probs[0],
    }


def scores():
    for at, (name, values) in enumerate(arrays().items()):
        first = bytes([READ_AS[at]])
        keep("npy", name, first + stream_of(lambda stream, x=values: np.save(stream, x)))
        npy = stream_of(lambda stream, x=values: np.save(stream, x))
        keep("npz", name, first + zipped([("probs.npy", npy, 8 * (at % 2)), ("a.npy", npy, 0)][: 1 + at % 2]))
        tensor = torch.from_numpy(values)
        keep("torch", name, first + saved({"probs": tensor, "a": tensor}))
    old = torch.from_numpy(arrays()["probs"])
    keep("torch", "old", b"\0" + stream_of(lambda s: torch.save(old, s, _use_new_zipfile_serialization=False)))
    keep("torch", "bfloat16", b"\0" + saved(old.bfloat16()))


def pictures():
    rng = np.random.default_rng(1)
    grey = Image.fromarray(rng.integers(0, 5, SIZE, np.uint8))
    palette = grey.copy()
    palette.putpalette(bytes(range(48)))
    colours = Image.fromarray(rng.integers(0, 256, (*SIZE, 3), np.uint8))
    for name, picture in (("grey", grey), ("palette", palette), ("bits", grey.convert("1"))):
        png = stream_of(lambda stream, x=picture: x.save(stream, "PNG"))
        keep("labels", name, b"\0" + png)
        keep("data_set", name, b"\1" + png)
    keep("data_set", "picture", b"\0" + stream_of(lambda stream: colours.save(stream, "PNG")))
    keep("data_set", "list", b"\2/JPEGImages/a.jpg /SegmentationClassAug/a.png\n")
    keep("data_set", "classes", b"\3sky\nsea\nsand\n")
    for kind in ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM", "GIF", "TGA", "JPEG2000"):
        keep("pictures", kind.lower(), stream_of(lambda stream, k=kind: colours.save(stream, k)))
    turned = Image.Exif()
    turned[0x0112] = 6
    keep("pictures", "turned", stream_of(lambda stream: colours.save(stream, "PNG", exif=turned)))
    keep("pictures", "transparent", stream_of(lambda stream: palette.save(stream, "PNG", transparency=3)))


def texts():
    keep("parameters", "preset", _parameters.resolve("deeplab-v2").toml().encode())
    keep("parameters", "few", b"# found\nw1 = 4\nsigma_alpha = 67.5\nsigma_beta = 3\n")
    for path in sorted(config.PUBLISHED.glob("*.toml"))[2:4]:
        keep("recipe", path.stem, path.read_bytes())
    done = Record("done", size=SIZE, changed=0.25, labels=(0, 2), seconds=Seconds(0.1, 0.2, 0.3), when=1.5)
    lost = Record("lost", "damaged", "lost.npy", when=1.0)
    keep("journal", "two", "".join(f"\n{records.to_text(record)}\n" for record in (done, lost)).encode())
    keep("search", "two", b"w1,sigma_alpha,sigma_beta,mean_iou\n4.0,67.0,3.0,0.5\n5.0,67.0,3.0,0.25\n")


def weights():
    network = networks.Tiny()
    state = network.state_dict()
    keep("pth", "own", saved(state))
    keep("pth", "old", stream_of(lambda stream: torch.save(state, stream, _use_new_zipfile_serialization=False)))
    others = {"features.0.weight": state["body.conv1_1.weight"], "module.fc6.bias": state["head.fc6.bias"]}
    keep("pth", "checkpoint", saved({"state_dict": others, "epoch": 3}))
    layers = {
        b"conv1_1": ["body.conv1_1.weight", "body.conv1_1.bias"],
        b"bn1": ["body.bn1.running_mean", "body.bn1.running_var"],
        b"scale_conv1": ["body.bn1.weight", "body.bn1.bias"],
        b"fc6": ["head.fc6.weight", "head.fc6.bias"],
    }
    new = b"".join(_layer(name, [_blob(state[blob].numpy()) for blob in blobs]) for name, blobs in layers.items())
    keep("caffemodel", "new", new)
    old = [_old_blob(state[blob].numpy()) for blob in layers[b"fc6"]]
    keep("caffemodel", "old", _field(2, _field(4, b"fc6") + b"".join(_field(6, blob) for blob in old)))


def _field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def _layer(name, blobs):
    sums = [_blob(np.float32([2]))] if name == b"bn1" else []
    return _field(100, _field(1, name) + b"".join(_field(7, blob) for blob in (*blobs, *sums)))


def _blob(values):
    return _field(7, _field(1, b"".join(map(varint, values.shape)))) + _field(5, values.astype("<f4").tobytes())


def _old_blob(values):
    sides = (*(1,) * (4 - values.ndim), *values.shape)
    return b"".join(varint(n << 3) + varint(side) for n, side in enumerate(sides, 1)) + _field(
        5, values.astype("<f4").tobytes()
    )


def calls():
    rng = np.random.default_rng(2)
    for at in range(6):
        keep("core_calls", str(at), rng.integers(0, 256, 200, np.uint8).tobytes())


if __name__ == "__main__":
    torch.manual_seed(0)
    for write in (scores, pictures, texts, weights, calls):
        write()
