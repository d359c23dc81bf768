"""The numbers of the version before: no change of them between two versions goes unseen."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gpus import one_library
from instruction_sets import ISAS, answers_with
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

sys.path += [str(Path(__file__).resolve().parent / "fixtures")]

import make_golden

# Of the largest value, or of 1. Instruction sets differ by 1.2e-6 at most, the CUDA kernels by 7e-7, most answers by
# less than 3e-7: another order of sums does, and hardly any mistake is as small.
BOUND = 3e-6

WHAT_TO_DO = (
    "If that was meant, write the file anew with `python tests/fixtures/make_golden.py`, and say in CHANGELOG.md what "
    "changed and by how much; if not, the change has a mistake."
)


@functools.cache
def golden() -> tuple[str, dict[str, NDArray]]:
    return make_golden.stored()


def assert_golden(answers: dict[str, Any], by: str) -> None:
    version, expected = golden()
    off = {name: make_golden.off_by(np.asarray(answer), expected[name]) for name, answer in answers.items()}
    changed = [f"{name}: {distance:.1e}" for name, distance in off.items() if not distance <= BOUND]
    assert not changed, f"{by} answers differently from version {version}: {', '.join(changed)}. {WHAT_TO_DO}"


def isa_answers() -> dict[str, NDArray]:
    return make_golden.answers()


@pytest.mark.parametrize("isa", ISAS)
def test_every_instruction_set_answers_what_is_stored(isa: str, tmp_path: Path) -> None:
    answers = answers_with(isa, __name__, tmp_path)
    assert answers.keys() == golden()[1].keys(), WHAT_TO_DO
    assert_golden(answers, isa)


@one_library
def test_the_cuda_kernels_answer_what_is_stored(gpu: Any) -> None:
    answers = {name: gpu.get(answer) if np.ndim(answer) else answer for name, answer in make_golden.everywhere(gpu.put)}
    assert_golden(answers, "CUDA")


def test_a_changed_answer_is_told_by_name_with_what_to_do() -> None:
    _, expected = golden()
    changed = expected | {"model": expected["model"] + np.float32(1e-5)}
    with pytest.raises(AssertionError, match=r"densecrf answers .* version .*: model: 1\.\de-05\. If that was meant"):
        assert_golden(changed, "densecrf")
    with pytest.raises(AssertionError, match="volume: inf"):
        assert_golden({"volume": expected["volume"][1:]}, "densecrf")
    with pytest.raises(AssertionError, match="labels"):
        assert_golden({"labels": expected["labels"] ^ 1}, "densecrf")


def test_the_stored_answers_are_worth_storing() -> None:
    """They depend on what they are asked with: no two are the same, and the terms decide pixels."""
    _, expected = golden()
    marginals = [q for name, q in expected.items() if name.startswith(("refine", "model")) and q.ndim == 3]
    for i, one in enumerate(marginals):
        assert not any(one.shape == other.shape and np.array_equal(one, other) for other in marginals[:i])
    plain = expected["refine, no iterations"]
    for name in make_golden.presets:
        assert (expected[f"refine, preset {name}"].argmax(axis=0) != plain.argmax(axis=0)).mean() > 0.02


def test_what_is_asked_is_the_same_everywhere() -> None:
    assert_array_equal(make_golden.noise((6,), 1000, seed=3), [274, 608, 487, 994, 647, 33])
    assert_array_equal(make_golden.IMAGE[0, :3], [[180, 87, 182], [181, 81, 186], [181, 91, 182]])
    assert_array_equal(make_golden.LOGITS[:, 0, 0], [-26.0, -29.25, 1.0, -10.875, -36.625])
