"""Importing densecrf is fast, and torch is never imported for anyone."""

import shutil
import subprocess
import sys
import types
from pathlib import Path

from inputs import picture, probabilities, refine
from numpy.testing import assert_array_equal

import densecrf


def run(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_importing_densecrf_is_fast_and_does_not_import_torch():
    program = (
        "import sys, time; start = time.process_time(); import densecrf; "
        "print(time.process_time() - start, 'torch' in sys.modules)"  # whatever else is running
    )
    answers = [run(program) for _ in range(3)]
    assert {imported for _, imported in answers} == {"False"}
    assert min(float(seconds) for seconds, _ in answers) < 0.3


REFINE_SOMETHING = """
import numpy as np, densecrf
probs = np.full((2, 4, 5), 0.5, np.float32)
print(densecrf.refine(np.zeros((4, 5, 3), np.uint8), probs, out=np.empty_like(probs)).sum())
"""


def test_refining_numpy_arrays_does_not_import_torch():
    assert run(REFINE_SOMETHING + "import sys; print('torch' in sys.modules)") == ["20.0", "False"]


def test_refine_works_where_torch_is_not_installed():
    assert run("import sys; sys.modules['torch'] = None\n" + REFINE_SOMETHING) == ["20.0"]


def test_refine_works_beside_something_else_called_torch(monkeypatch, expected):
    """A folder of that name, a stand-in of somebody's tests, or the real one while it is being imported."""
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))
    assert_array_equal(refine(picture(), probabilities()), expected)


def test_sources_that_were_never_compiled_say_so(tmp_path):
    sources = Path(densecrf.__file__).parent
    shutil.copytree(sources, tmp_path / "densecrf", ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"))
    done = subprocess.run([sys.executable, "-S", "-c", "import densecrf"], cwd=tmp_path, capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"ImportError: densecrf's compiled core cannot be loaded from {tmp_path}")
    assert "pip install ." in last


def test_the_command_starts_where_files_have_no_locks():
    program = "import sys; sys.modules['fcntl'] = None; import densecrf.cli.app; print('fine')"
    assert run(program) == ["fine"]
