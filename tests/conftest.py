"""Settings, fixtures and checks that several of the files share; what they refine is in inputs.py."""

import json
import os
import re
import subprocess
import sys

import gpus
import models
import numpy as np
import pytest
from hypothesis import settings
from inputs import address, picture, probabilities, refine

from densecrf import DenseCRF, _core

settings.register_profile("densecrf", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("densecrf")


@pytest.fixture(scope="module")
def expected():
    """The answer for `picture()` and `probabilities()`, every one of the plainest layout."""
    return refine(picture(), probabilities())


@pytest.fixture(scope="module")
def crf():
    """A model of the picture in models.py."""
    return DenseCRF(models.IMAGE, models.LABELS, models.TERMS)


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(params=gpus.GPUS)
def gpu(request, monkeypatch):
    """Every GPU there is to test on, real or not; see gpus.py."""
    return gpus.GPUS[request.param](monkeypatch)


@pytest.fixture
def twin(monkeypatch):
    """The host twin behind what looks like CuPy, for what only it can show."""
    return gpus.twin_behind_cupy(monkeypatch)


@pytest.fixture
def core_calls(monkeypatch):
    """Where the arrays lie that the compiled core is given: one dict of addresses a call, in the order of the calls.

    Pictures of a batch come in any order, because they are refined side by side.
    """
    calls = []

    class Term(_core.Term):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.image = None if arguments[2] is None else address(arguments[2])

    class Model(_core.Model):
        def __init__(self, shape, terms, *rest):
            super().__init__(shape, terms, *rest)
            self.images = [term.image for term in terms if term.image is not None]

        def infer(self, scores, *rest):
            out = next(a for a in reversed(rest) if isinstance(a, np.ndarray))
            calls.append({"probs": address(scores), "image": self.images[-1], "out": address(out)})
            return super().infer(scores, *rest)

    monkeypatch.setattr(_core, "Model", Model)
    monkeypatch.setattr(_core, "Term", Term)
    return calls


def run(program, **environment):
    """Runs a program that prints JSON on one line, and gives what it says; it must not be killed, nor complain."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.returncode == 0, f"{done.returncode}: {done.stderr or 'killed'}"
    assert done.stderr == ""
    return json.loads(done.stdout)


def assert_says(caught, function, expected):
    """Whether an exception is what a row of a table expects."""
    error, words = expected.split(": ", 1)
    assert caught.type.__name__ == error
    message = str(caught.value)
    assert message.startswith(f"{function}: ")
    assert re.search(".*".join(re.escape(part) for part in words.split(" .. ")), message), message
    assert "array(" not in message  # says what came, and spares us its values
    assert len(message) < 500
