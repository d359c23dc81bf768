"""The same bits with every number of threads, and the same answer with every instruction set."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
from inputs import scene, softmax
from instruction_sets import answers_with
from numpy.typing import NDArray

import densecrf
from densecrf import Bilateral, Gaussian

GENTLE = (Gaussian((1.3, 0.9), 0.8), Bilateral((7.7, 11.3), 23.1, 0.9))

refine = functools.partial(densecrf.refine, from_logits=True, channel_axis=-1)


# ---- threads ------------------------------------------------------------------------------------------------

THREADED = {
    "one partition": (48, 64, 5, densecrf.presets["deeplab-v2"].terms),
    "several partitions": (300, 500, 3, densecrf.presets["deeplab-v2"].terms),
    "partitions that share most vertices": (300, 500, 9, (Gaussian(3, 3, "after"), Bilateral(80, 13, 10, "before"))),
    "few vertices": (300, 500, 3, (Gaussian(90, 3), Bilateral(80, 90, 5))),
    "few vertices, two labels": (300, 500, 2, (Gaussian(90, 3), Bilateral(80, 90, 5))),
    "a strip": (1, 90000, 2, GENTLE),
}


@pytest.mark.parametrize("case", THREADED)
def test_every_number_of_threads_gives_the_same_bits(case: str) -> None:
    height, width, labels, terms = THREADED[case]
    image, logits = scene(height, width, labels)
    logits /= 8  # unsure, so that every order of summation shows
    one, *others = (refine(image, logits, terms=terms, iterations=4, num_threads=n) for n in (1, 2, 5, 16))
    assert np.abs(one - softmax(logits)).max() > 0.1
    for other in others:
        np.testing.assert_array_equal(other, one)


def test_partitions_add_up_to_one_picture() -> None:
    # The picture is cut for threads at rows 96 and 224 or so. A part across the first cut, in colours that the
    # rest does not have, hears only itself: the same answer as alone, where it is not cut.
    height, width = 200, 100
    image, logits = scene(height, width, 9)
    image = image // 3
    whole_image, whole_logits = np.full((300, 500, 3), 255, np.uint8), np.zeros((9, 300, 500), np.float32)
    whole_image[:height, :width], whole_logits[:, :height, :width] = image, logits
    terms = [Bilateral(30, 11, 1.2), Bilateral(90, 14, 0.9, "after")]
    alone = refine(image, logits, terms=terms, iterations=3)
    assert (alone.argmax(axis=0) != logits.argmax(axis=0)).mean() > 0.01
    q = refine(whole_image, whole_logits, terms=terms, iterations=3)
    np.testing.assert_allclose(q[:, :height, :width], alone, rtol=0, atol=1e-5)


# ---- instruction sets ---------------------------------------------------------------------------------------

ISA_CASES = {
    "21 labels": (64, 80, 21, 3, densecrf.presets["deeplab-v2"].terms, 10),
    "2 labels": (37, 53, 2, 3, densecrf.presets["deeplab-v1"].terms, 10),
    "9 labels": (16, 17, 9, 1, GENTLE, 5),
    "130 labels": (9, 11, 130, 3, densecrf.presets["densecrf"].terms, 5),
    "12 dimensions": (15, 33, 5, 10, (Bilateral(20, 60, 3),), 5),
    "a soft-max": (7, 9, 21, 3, (), 0),
}


def isa_answers() -> dict[str, NDArray[np.float32]]:
    answers = {}
    for name, (height, width, labels, channels, terms, iterations) in ISA_CASES.items():
        image, logits = scene(height, width, labels, channels=channels)
        answers[f"{name}, logits"] = refine(image, logits, terms=terms, iterations=iterations)
        answers[f"{name}, probs"] = refine(
            image, softmax(logits), terms=terms, iterations=iterations, from_logits=False
        )
    return answers


@pytest.fixture(scope="module")
def baseline_answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, NDArray[np.float32]]:
    return answers_with("baseline", __name__, tmp_path_factory.mktemp("isa"))


@pytest.mark.parametrize("isa", ["avx2", "avx512"])
def test_every_instruction_set_gives_the_same_answer(
    isa: str, baseline_answers: dict[str, NDArray[np.float32]], tmp_path: Path
) -> None:
    answers = answers_with(isa, __name__, tmp_path)
    assert len(answers) == 2 * len(ISA_CASES)
    for name, answer in answers.items():
        np.testing.assert_allclose(answer, baseline_answers[name], rtol=0, atol=1e-5, err_msg=name)
        np.testing.assert_array_equal(answer.argmax(axis=0), baseline_answers[name].argmax(axis=0), err_msg=name)
