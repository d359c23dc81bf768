"""Other interpreters than the usual one: subinterpreters are refused, and the GIL is asked for where it is needed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import sysconfig

import pytest
from watchdog import finished

MODULE = next((name for name in ("_interpreters", "_xxsubinterpreters") if importlib.util.find_spec(name)), None)

# Whatever an interpreter raises is told by the one that made it, each version in its own way.
IN_A_SUBINTERPRETER = """
import sys
import {module} as interpreters
{before}
other = interpreters.create()
program = '''
try:
    import densecrf
    print("imported")
except ImportError as error:
    print(error)
'''
interpreters.run_string(other, program)
sys.stdout.flush()
interpreters.destroy(other)
{after}
"""

STILL_WORKS = (
    "import numpy as np; print(densecrf.refine(np.zeros((4, 5), np.uint8), np.full((2, 4, 5), 0.5, 'f4')).sum())"
)


@pytest.mark.skipif(MODULE is None, reason="no subinterpreters here")
@pytest.mark.parametrize("before", ["", "import numpy", "import densecrf"])
def test_in_a_subinterpreter_importing_is_an_error_that_says_why_and_no_hang(before: str) -> None:
    after = STILL_WORKS if "densecrf" in before else ""
    done = finished(IN_A_SUBINTERPRETER.format(module=MODULE, before=before, after=after))
    assert done.returncode == 0, done.stderr
    refused, *rest = done.stdout.splitlines()
    assert refused.startswith("densecrf cannot be imported in a subinterpreter, because NumPy does not support them")
    assert rest == (["20.0"] if after else [])


IS_ENABLED = "import densecrf, sys; print(getattr(sys, '_is_gil_enabled', lambda: True)())"


def test_the_core_does_not_claim_to_run_without_the_gil() -> None:
    """A free-threaded Python then turns the GIL on, and says so; without it nothing of this has been tried."""
    done = subprocess.run([sys.executable, "-c", IS_ENABLED], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    assert ("RuntimeWarning: The global interpreter lock" in done.stderr) == bool(
        sysconfig.get_config_var("Py_GIL_DISABLED")
    )
