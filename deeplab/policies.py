"""Learning rates: their course, and their multiples for biases and for the layer that makes the scores.

Caffe's momentum keeps steps, torch's keeps gradients: right after a drop of the learning rate by "step" theirs still
makes steps of the old size, and torch's does not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from torch import nn

from deeplab.config import Solver

# fc8 of VGG-16's heads, one or four; all of ResNet-101's head; DeconvNet's last layer.
CLASSIFIER = re.compile(r"head\.((\d\.)?fc8\.|seg_score\.|(\d\.)?(weight|bias)$)")


def learning_rate(solver: Solver, iteration: int) -> float:
    """The base learning rate of an iteration, from 0 (Caffe's solver; "poly" is DeepLab v2, section 4.1.2)."""
    if solver.policy == "poly":
        return float(solver.base_lr * (1 - iteration / solver.iterations) ** solver.power)
    if solver.policy == "step":
        return float(solver.base_lr * solver.gamma ** (iteration // solver.step_size))
    return solver.base_lr


def parameter_groups(network: nn.Module, solver: Solver) -> list[dict[str, Any]]:
    """The parameters that are trained, for torch.optim.SGD; "rate" is what to multiply the learning rate with.

    Four groups in DeepLab: weights, biases (learning rate x2, no decay), and those of the classifier, x10 and x20
    (train.prototxt of DeepLab v1 and v2).
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            kind = (CLASSIFIER.match(name) is not None, name.endswith("bias"))
            groups.setdefault(kind, []).append(parameter)
    return [
        {
            "params": parameters,
            "rate": (solver.classifier_rate if classifier else 1.0) * (solver.bias_rate if bias else 1.0),
            "weight_decay": 0.0 if bias else solver.weight_decay,
        }
        for (classifier, bias), parameters in groups.items()
    ]


def freeze(network: nn.Module, names: Sequence[str]) -> None:
    """Lets modules or parameters keep what they have.

    Raises:
        ValueError: nothing has one of the names.
    """
    for frozen in names:
        parameters = [p for name, p in network.named_parameters() if f"{name}.".startswith(f"{frozen}.")]
        if not parameters:
            raise ValueError(f"solver.freeze: the network has nothing called {frozen!r}")
        for parameter in parameters:
            parameter.requires_grad_(False)
