"""A data set of generated pictures on disk, noisy scores of them, and networks that are small and easy to compute."""

import numpy as np
import pytest
from PIL import Image

import densecrf

torch = pytest.importorskip("torch")

import deeplab  # noqa: E402
from deeplab.data import VOID, open_data  # noqa: E402
from densecrf._overlay import boundaries, thicken  # noqa: E402

CLASSES = 3
HEIGHT, WIDTH = 36, 44
DEFAULT = densecrf.presets["deeplab-v2"]


class ByColour(deeplab.Network):
    """Looks at one pixel at a time."""

    def __init__(self, n_classes=CLASSES):
        super().__init__()
        rng = np.random.default_rng(0)
        self.score = torch.nn.Conv2d(3, n_classes, 1, bias=False)
        self.score.weight.data = torch.tensor(rng.normal(np.eye(n_classes, 3), 0.2)[..., None, None] / 30).float()
        self.calls = 0

    def forward(self, images):
        self.calls += 1
        return self.score(images)


class ByPlace(ByColour):
    """What it says of a pixel depends also on where it lies: from left to right, and from top to bottom."""

    def forward(self, images):
        y, x = (torch.arange(side, dtype=torch.float32) / 10 for side in images.shape[2:])
        return super().forward(images) + torch.stack([x * x + y[:, None], x - y[:, None], 0 * x * y[:, None]])


def make(root, count=3, seed=0):
    """A data set of the kind "folder" with patches of colour, and noisy logits of it in root/scores."""
    rng = np.random.default_rng(seed)
    for folder in ("images", "labels", "scores"):
        (root / folder).mkdir(parents=True)
    names = [f"toy{i}" for i in range(count)]
    (root / "val.txt").write_text("\n".join(names) + "\n")
    (root / "classes.txt").write_text("sky\nsea\nsand\n")
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for name in names:
        centres = rng.uniform(size=(CLASSES, 2, 1, 1)) * np.reshape([HEIGHT, WIDTH], (2, 1, 1))
        truth = np.hypot(*np.moveaxis(centres - [y, x], 1, 0)).argmin(0)
        colours = rng.integers(0, 256, (CLASSES, 3))[truth]
        image = np.clip(colours + rng.normal(scale=5, size=colours.shape), 0, 255).astype(np.uint8)
        labels = np.where(thicken(boundaries(truth), 1), VOID, truth).astype(np.uint8)
        logits = 2 * np.eye(CLASSES)[truth].transpose(2, 0, 1) + rng.normal(scale=1.5, size=(CLASSES, HEIGHT, WIDTH))
        Image.fromarray(image).save(root / "images" / f"{name}.png")
        Image.fromarray(labels).save(root / "labels" / f"{name}.png")
        np.save(root / "scores" / f"{name}.npy", logits.astype(np.float32))
    return open_data("folder", root, "val")


def stored(root, name):
    return np.load(root / "scores" / f"{name}.npy")


def refined(image, logits, preset=DEFAULT):
    return densecrf.refine(image, logits, terms=preset.terms, iterations=preset.iterations, from_logits=True)


def mean_iou(pairs):
    """Over pairs of labels and predicted labels, as the papers define it, class by class."""
    truth, predicted = (np.concatenate([pair[i].ravel() for pair in pairs]) for i in (0, 1))
    truth, predicted = truth[truth != VOID], predicted[truth != VOID]
    classes = np.union1d(truth, predicted)
    return np.mean([((truth == c) & (predicted == c)).sum() / ((truth == c) | (predicted == c)).sum() for c in classes])


@pytest.fixture
def network(monkeypatch):
    """A network by the name of "toy", and a file of its weights: (the network, the arguments of a command)."""

    def build(tmp_path, cls=ByColour):
        made = cls()
        monkeypatch.setitem(deeplab._NETWORKS, "toy", lambda n_classes: made)
        torch.save(made.state_dict(), tmp_path / "toy.pth")
        return made, ["toy", str(tmp_path / "toy.pth")]

    return build
