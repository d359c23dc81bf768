"""What memory_estimate says is what refining takes."""

import json
import os
import subprocess
import sys

import pytest

import densecrf
from densecrf import Bilateral, Gaussian

TAKE = """
import json, re
import numpy as np
import densecrf
from densecrf import Bilateral, Gaussian

def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) * 1024

side, labels = {side}, 3
image = np.random.default_rng(0).integers(0, 256, (side, side, 3)).astype(np.uint8)
probs = np.full((labels, side, side), 1 / labels, np.float32)
out = np.ones_like(probs)
small = np.full((labels, 4, 4), 1 / labels, np.float32)
densecrf.refine(image[:4, :4], small)
before = peak()
densecrf.refine(image, probs, terms={terms}, iterations=2, num_threads=1, out=out)
print(json.dumps(peak() - before))
"""

SMOOTH = [Gaussian(30, 3), Bilateral(300, 200, 4)]
NOISY = [Gaussian(0.3, 3), Bilateral(30, 1, 4)]


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads /proc")
@pytest.mark.parametrize(("terms", "end"), [(SMOOTH, "least"), (NOISY, "most")], ids=["least", "most"])
def test_the_estimate_is_near_what_is_taken_at_both_ends(terms, end):
    side = 700
    program = TAKE.format(side=side, terms=terms)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    estimate = getattr(densecrf.memory_estimate((side, side), 3, terms), end)
    assert 0.8 * estimate < json.loads(done.stdout) < 1.25 * estimate + (64 << 20)


def test_the_estimate_grows_with_points_labels_and_terms():
    small = densecrf.memory_estimate((10, 10), 8)
    assert densecrf.memory_estimate((20, 10), 8).most == 2 * small.most
    assert densecrf.memory_estimate((10, 10), 9).least == small.least + 100 * 8 * 4
    assert densecrf.memory_estimate((10, 10), 8, damped=True).least == small.least + 100 * 8 * 4
    assert densecrf.memory_estimate((10, 10), 8, []).most == 100 * 8 * 4
    assert densecrf.memory_estimate((10, 10), 8, [Gaussian(1, 0)]).most == 100 * 8 * 4
    assert densecrf.memory_estimate((5, 10, 10), 8, [Gaussian(1, 1)]).least == 500 * (4 * 8 + 8 * 4)
    assert small.least < small.most


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape": 3},
        {"shape": ()},
        {"shape": iter([3])},
        {"channels": -3},
        {"channels": "3"},
        {"damped": 1},
        {"gpu": "x"},
    ],
    ids=str,
)
def test_what_cannot_be_estimated_is_refused(wrong):
    with pytest.raises((TypeError, ValueError), match=r"^densecrf\.memory_estimate: "):
        densecrf.memory_estimate(**{"shape": (3, 4), "n_labels": 2, **wrong})
