"""Files of scores, labels and masks: read as every tool reads them, and used as far as that tool would."""

import numpy as np

import densecrf
from deeplab.scores import StoredScores
from densecrf import _files
from densecrf._files import FileError, Reading
from densecrf.app import loading
from densecrf.cli import compare

from .promises import FOLDER, SIZE, only, written

IMAGE = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)

READINGS = (
    Reading(),
    Reading(logits=True),
    Reading(grey="labels"),
    Reading(grey="mask", confidence=0.999),
    Reading(n_labels=5),
    Reading(key="a"),
    Reading(guess=True),
)


def refine(path, reading):
    """As `densecrf refine` does it: the scores must be fit for the CRF, and its answer for a file."""
    scores = _files.read_scores(path, SIZE, reading)
    probs = _files.stretch(scores.values, SIZE)
    assert probs.dtype == np.float32
    assert probs.shape[1:] == SIZE
    logits = reading.logits or scores.meaning == "logits"
    marginals = densecrf.refine(IMAGE, probs, from_logits=logits, iterations=1)
    assert np.isfinite(marginals).all()
    kind = _files.kind_for("out.png", mask=scores.is_mask)
    _files.write_result(FOLDER / "out.png", IMAGE, marginals[:256], kind)


def compare_with_itself(path, reading):
    """As `densecrf compare` does it."""
    trio, difference = compare._read(path, path, path, reading)
    assert difference in (None, 0)
    found = compare._measured(trio)
    assert found["equal"] in (None, 1)


def page(path, _):
    """As the page does it, which also shows the program that would do the same."""
    upload = loading.load_scores(path, SIZE)
    assert np.isfinite(upload.probs).all()
    assert upload.probs.shape[1:] == SIZE
    compile(upload.program, "program", "exec")


def network(path, _):
    """As `python -m deeplab` reads a network's stored logits."""
    if path.suffix in (".npy", ".npz"):
        scores = StoredScores(path.parent)(path.stem, IMAGE)
        assert scores.shape[1:] == SIZE


# Who reads, and what it says of files that it cannot use.
USES = ((refine, FileError), (compare_with_itself, FileError), (page, FileError), (network, ValueError))


def target(suffix):
    """The target for files of this suffix: a byte says who reads, the others are the file."""

    def fuzz_one(data):
        if not data:
            return
        (use, documented), reading = USES[data[0] % len(USES)], READINGS[data[0] // len(USES) % len(READINGS)]
        path = written(f"scores{suffix}", data[1:])
        with only(documented):
            use(path, reading)
        path.unlink()

    return fuzz_one


npy, npz, torch, labels = map(target, (".npy", ".npz", ".pt", ".png"))
