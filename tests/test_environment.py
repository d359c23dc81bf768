"""The environment variable DENSECRF_ISA."""

import pytest
from conftest import run

import densecrf

ASK_FOR_ISA = """
import json
import numpy as np
import densecrf

def attempt(function, *arguments):
    try:
        return function(*arguments)
    except Exception as error:
        return str(error)

refined = attempt(densecrf.refine, np.zeros((4, 5, 3), np.uint8), np.full((2, 4, 5), 0.5, np.float32))
print(json.dumps([attempt(densecrf.build_info), refined if isinstance(refined, str) else float(refined.sum())]))
"""


def test_an_unknown_instruction_set_is_an_error_that_names_the_known_ones():
    answers = run(ASK_FOR_ISA, DENSECRF_ISA="sse9")
    for message in answers:
        for fragment in ("DENSECRF_ISA", "sse9", "avx512", "avx2", "baseline"):
            assert fragment in message


def test_every_machine_runs_the_baseline():
    info, total = run(ASK_FOR_ISA, DENSECRF_ISA="baseline")
    assert info["isa"] == "baseline"
    assert total == pytest.approx(20)


def test_an_empty_variable_for_the_instruction_set_counts_as_none():
    info, total = run(ASK_FOR_ISA, DENSECRF_ISA="")
    assert isinstance(info, dict), info
    assert info["isa"] == densecrf.build_info()["isa"]
    assert total == pytest.approx(20)
