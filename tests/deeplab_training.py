"""Small networks and pictures to train with, for the tests; run as a program, ``python -m deeplab train`` with them."""

import os
import signal
import sys

import numpy as np
import torch
from PIL import Image
from torch import nn

import deeplab
from deeplab import logs, train
from deeplab.deeplab_v1 import DeepLab
from deeplab.parts import gaussian
from deeplab.resnet import FrozenBatchNorm

CLASSES = 3
CONFIG = """
network = "{network}"
[data]
kind = "folder"
root = "{root}"
split = "all"
[input]
crop = 33
scales = [0.75, 1.0, 1.25]
[solver]
iterations = 12
batch = 4
base_lr = 0.003
policy = "poly"
[run]
workers = 0
checkpoint_every = 5
"""


def tiny(n_classes, dropout=0.0):
    """A network of 1,000 parameters, with DeepLab's stride of 8 and ResNet's frozen norm."""
    layers = []
    for channels, width in ((3, 8), (8, 8), (8, 16)):
        layers += [nn.Conv2d(channels, width, 3, stride=2, padding=1), FrozenBatchNorm(width), nn.ReLU()]
    body = nn.Sequential(*layers, nn.Dropout(dropout))
    with torch.no_grad():
        body[0].weight /= 64  # pictures go from -128 to 127
    return DeepLab(body, gaussian(nn.Conv2d(16, n_classes, 1)))


# Under the names of two that they resemble: ResNet-101 has no dropout, VGG-16 does.
PLAIN, DROPOUT = "deeplab-v2-resnet101", "deeplab-v1-largefov"
NETWORKS = {PLAIN: tiny, DROPOUT: lambda n_classes: tiny(n_classes, 0.5)}


def write_data(root, n=8):
    """Pictures of a noisy background and a rectangle in the colour of its class, some pixels of which are void."""
    rng = np.random.default_rng(1)
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    for i in range(n):
        labels = np.zeros((rng.integers(28, 60), rng.integers(28, 60)), np.uint8)
        top, left = rng.integers(0, 14, 2)
        labels[top : top + 18, left : left + 18] = 1 + i % 2
        image = np.array([(90, 90, 90), (250, 20, 20), (20, 20, 250)], np.int64)[labels]
        image = (image + rng.integers(-20, 20, image.shape)).clip(0, 255).astype(np.uint8)
        labels[: rng.integers(0, 20)] = 255
        Image.fromarray(image).save(root / "images" / f"{i}.png")
        Image.fromarray(labels).save(root / "labels" / f"{i}.png")


def kill_at(iteration):
    """Lets this process die, as by the kernel's hand, once the log has this iteration."""
    add = logs.Log.add

    def add_and_die(log, done, *values):
        add(log, done, *values)
        if done == iteration:
            os.kill(os.getpid(), signal.SIGKILL)

    logs.Log.add = add_and_die


if __name__ == "__main__":
    torch.set_num_threads(1)
    deeplab._NETWORKS |= NETWORKS
    if "KILL_AT" in os.environ:
        kill_at(int(os.environ["KILL_AT"]))
    sys.exit(train.main(sys.argv[1:]))
