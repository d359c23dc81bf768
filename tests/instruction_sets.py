"""The answers of a test module with one instruction set or another."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import densecrf

ISAS = ("baseline", "avx2", "avx512")

PROGRAM = """
import importlib
import sys
import numpy as np
import densecrf
try:
    isa = densecrf.build_info()["isa"]
except RuntimeError as error:
    assert "this machine runs no such kernels" in str(error)
    sys.exit(3)
assert isa == sys.argv[2], isa
np.savez(sys.argv[1], **importlib.import_module(sys.argv[3]).isa_answers())
"""


def answers_with(isa: str, module: str, folder: Path) -> dict[str, NDArray[np.float32]]:
    """What the function `isa_answers` of a test module gives in a process with this instruction set.

    Skips if the machine has none.
    """
    paths = [str(Path(densecrf.__file__).parents[1]), str(Path(__file__).parent)]
    environment = {**os.environ, "DENSECRF_ISA": isa, "PYTHONPATH": os.pathsep.join(paths)}
    file = folder / f"{isa}.npz"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(file), isa, module], env=environment, capture_output=True, text=True
    )
    if done.returncode == 3:
        pytest.skip(f"this machine or build has no {isa}")
    assert done.returncode == 0, done.stderr
    with np.load(file) as stored:
        return dict(stored)
