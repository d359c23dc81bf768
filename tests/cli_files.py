"""Files for the tests of the command line, and how they run it."""

import json

import numpy as np

from densecrf import cli, data

HEIGHT, WIDTH, LABELS = 24, 30, 4


def scene():
    """A picture of two halves ``(H, W, 3)``, and a network's probabilities ``(L, H, W)``, some pixels off the edge."""
    rng = np.random.default_rng(0)
    right = np.arange(WIDTH) >= 15
    image = np.where(right[:, None], 200, 40) + rng.integers(-1, 2, (HEIGHT, WIDTH, 3))
    logits = rng.normal(0, 0.3, (LABELS, HEIGHT, WIDTH)).astype(np.float32)
    seen = np.arange(WIDTH) >= 12
    logits[1, :, seen] += 2
    logits[0, :, ~seen] += 2
    return image.astype(np.uint8), data.softmax(logits), logits


def folder_of(path):
    """The scene in files: a.png, a.npz and b.npy; labels.png, mask.png. Gives the picture and the probabilities."""
    from PIL import Image

    image, probs, logits = scene()
    Image.fromarray(image).save(path / "a.png")
    np.savez(path / "a.npz", probs)
    np.save(path / "b.npy", logits)
    labels = Image.fromarray(probs.argmax(0).astype(np.uint8))
    labels.putpalette(bytes(range(256)) * 3)
    labels.save(path / "labels.png")
    Image.fromarray(np.rint(probs[1] * 255).astype(np.uint8)).save(path / "mask.png")
    return image, probs


def run(capsys, *arguments):
    """Runs the command; gives the exit status, and what went to stdout and stderr."""
    status = cli.main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def result(capsys, *arguments):
    """Runs a command with --json, which must end well and say nothing else; gives the object."""
    status, out, err = run(capsys, *arguments, "--json")
    assert (status, err) == (0, "")
    return json.loads(out)


def refusal(capsys, *arguments):
    """Runs a command that must be refused with exit status 2; gives the sentence on stderr."""
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err
