"""A picture too large for the machine is a MemoryError, at once and with a number; never a killed process."""

import os
import re

import pytest
from conftest import run

needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads /proc")

# Every input here is one number seen a billion times, and takes no memory itself. A runaway is killed by its
# limit of processor time, before it has filled the machine.
ASK_TOO_MUCH = """
import json, re, resource, time
import numpy as np
import densecrf

def read(path, name):
    return int(re.search(name + r":\\s*(\\d+)", open(path).read())[1]) * 1024

def seen(value, *shape):
    return np.broadcast_to(value, shape)

resource.setrlimit(resource.RLIMIT_CPU, (2, 2))
side = 30000
image, probs = seen(np.uint8(7), side, side, 3), seen(np.float32(1 / 64), 64, side, side)
{change}
before, start = read("/proc/self/status", "VmHWM"), time.perf_counter()
try:
    densecrf.refine(image, probs)
    caught = None
except MemoryError as error:
    caught = str(error)
print(json.dumps({{
    "message": caught,
    "seconds": time.perf_counter() - start,
    "bytes": read("/proc/self/status", "VmHWM") - before,
}}))
"""

TOO_MUCH = {
    "probabilities as they are": "",
    "float16 probabilities": "probs = seen(np.float16(1 / 64), 64, side, side)",
    "a batch": "image, probs = image[None], probs[None]",
    "a float image": "image = seen(np.float32(0.5), side, side, 3)",
    "an integer image": "image = seen(np.int16(7), side, side, 3)",
    # Room for one copy of the probabilities, and for nothing else that the work takes.
    "the work but not the input": """
side = int((0.6 * read("/proc/meminfo", "MemAvailable") / 8 / 4) ** 0.5)
image, probs = seen(np.uint8(7), side, side, 3), seen(np.float32(1 / 8), 8, side, side)
""",
}


@needs_proc
@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in TOO_MUCH.items()])
def test_a_picture_too_large_for_the_machine_is_a_memory_error_at_once(change):
    answer = run(ASK_TOO_MUCH.format(change=change))
    assert answer["message"] is not None
    assert re.search(r"\d+(\.\d*)? [MGT]iB", answer["message"]), answer["message"]
    assert answer["seconds"] < 1
    assert answer["bytes"] < 200 << 20


# With ever more address space above what is in use: wherever it runs out, it is a MemoryError, and the next call
# with room enough is none the worse for it.
RUN_OUT = """
import json, resource
import numpy as np
import densecrf

probs = np.full((21, 300, 300), 1 / 21, np.float32)
image = np.arange(300 * 300 * 3, dtype=np.uint32).astype(np.uint8).reshape(300, 300, 3)

def attempt(extra):
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    unlimited = resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_AS, (unlimited if extra is None else used + (extra << 20), unlimited))
    try:
        return densecrf.refine(image, probs, iterations=1, num_threads=2)
    except BaseException as error:
        return type(error).__name__ + ": " + str(error)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (unlimited, unlimited))

failures = [attempt(extra) for extra in (1, 4, 9, 11, 13, 15, 17)]
afterwards = attempt(None)
print(json.dumps([one for one in failures if isinstance(one, str)] + [bool((afterwards == attempt(None)).all())]))
"""


@needs_proc
def test_memory_that_runs_out_on_the_way_is_a_memory_error_that_says_how_much():
    *failures, works_afterwards = run(RUN_OUT)
    assert works_afterwards
    assert len(failures) >= 4
    for failure in failures:
        assert re.match(r"MemoryError: .*\d+(\.\d*)? [KMG]iB", failure), failure


# The first picture leaves memory behind for the next; the second is of another size and cannot use its blocks.
REUSE = """
import json, resource
import numpy as np
import densecrf

def arrays(side):
    probs = np.full((21, side, side), 1 / 21, np.float32)
    return np.zeros((side, side, 3), np.uint8), probs, np.ones_like(probs)

def refine(image, probs, out):
    return densecrf.refine(image, probs, iterations=1, num_threads=1, out=out)

small = arrays(500)
refine(*arrays(700))
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (20 << 20), resource.RLIM_INFINITY))
print(json.dumps(float(refine(*small).sum())))
"""


@needs_proc
def test_memory_kept_for_later_is_given_back_when_there_is_no_other():
    assert run(REUSE) == pytest.approx(500 * 500, rel=1e-5)
