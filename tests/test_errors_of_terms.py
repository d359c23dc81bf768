"""Terms that mean nothing cannot be made. The table reads like those of test_errors.py."""

import numpy as np
import pytest
from conftest import assert_says
from fuzz_liars import Endless

from densecrf import Bilateral, Gaussian

BAD_TERMS = [
    ("ValueError: sxy .. positive .. got 0 .. weight 0", lambda: Gaussian(0, 3)),
    ("ValueError: sxy .. positive .. got -3 .. weight 0", lambda: Gaussian(-3, 3)),
    ("ValueError: sxy .. positive .. got 0 .. weight 0", lambda: Gaussian((3, 0), 3)),
    ("ValueError: sxy .. finite .. nan", lambda: Gaussian(np.nan, 3)),
    ("ValueError: sxy .. finite .. inf", lambda: Gaussian(np.inf, 3)),
    ("ValueError: sxy", lambda: Gaussian(10**400, 3)),  # no float can hold it
    ("ValueError: sxy .. finite .. thousands of digits", lambda: Gaussian(10**5000, 3)),
    ("ValueError: sxy .. more than 65536", lambda: Gaussian(range(10**12), 3)),
    ("ValueError: sxy .. more than 65536", lambda: Gaussian(np.broadcast_to(1.0, 10**12), 3)),
    ("ValueError: sxy .. more than 65536", lambda: Gaussian(Endless(2, 1.0), 3)),
    ("ValueError: weight .. more than 65536", lambda: Gaussian(3, Endless(2, 1.0))),
    ("ValueError: weight .. more than 65536", lambda: Gaussian(3, [Endless(2, 1.0), [1, 2]])),
    ("ValueError: sxy .. one number .. got none", lambda: Gaussian((), 3)),
    ("TypeError: sxy .. number .. bool", lambda: Gaussian(True, 3)),
    ("TypeError: sxy .. number .. bool", lambda: Gaussian(np.True_, 3)),
    ("TypeError: sxy .. number .. bool", lambda: Gaussian((3, True), 3)),
    ("TypeError: sxy .. number .. str", lambda: Gaussian("3", 3)),
    ("TypeError: sxy .. number .. bytes", lambda: Gaussian(b"33", 3)),
    ("TypeError: sxy .. number .. NoneType", lambda: Gaussian(None, 3)),
    ("TypeError: sxy .. number .. complex", lambda: Gaussian(3j, 3)),
    ("TypeError: sxy .. number .. list", lambda: Gaussian([[3, 3], [3, 3]], 3)),
    ("ValueError: weight .. >= 0 .. -3 .. Potts", lambda: Gaussian(3, -3)),
    ("ValueError: weight .. finite .. nan", lambda: Gaussian(3, np.nan)),
    ("ValueError: weight .. finite .. inf", lambda: Gaussian(3, np.inf)),
    ("TypeError: weight .. number .. bool", lambda: Gaussian(3, True)),
    ("TypeError: weight .. number .. str", lambda: Gaussian(3, "3")),
    ("TypeError: weight .. number .. str", lambda: Gaussian(3, [3, "3"])),
    ("ValueError: weight .. L x L matrix", lambda: Gaussian(3, [[1, 2]])),
    ("ValueError: weight .. L x L matrix", lambda: Gaussian(3, [[1, 2], 3])),
    ("ValueError: weight .. L x L matrix", lambda: Gaussian(3, [])),
    ("ValueError: weight .. finite .. nan", lambda: Gaussian(3, np.array([1, np.nan]))),
    ("ValueError: normalization .. 'symmetric' .. 'both'", lambda: Gaussian(3, 3, "both")),
    ("ValueError: normalization .. 'symmetric' .. None", lambda: Gaussian(3, 3, None)),
    ("ValueError: sxy .. positive .. weight 0", lambda: Bilateral(0, 13, 10)),
    ("ValueError: srgb .. positive .. got 0 .. weight 0", lambda: Bilateral(80, 0, 10)),
    ("ValueError: srgb .. positive .. -13 .. weight 0", lambda: Bilateral(80, (13, 13, -13), 10)),
    ("ValueError: srgb .. finite .. nan", lambda: Bilateral(80, np.nan, 10)),
    ("ValueError: srgb .. one number .. got none", lambda: Bilateral(80, (), 10)),
    ("TypeError: srgb .. number .. bool", lambda: Bilateral(80, True, 10)),
    ("TypeError: srgb .. number .. str", lambda: Bilateral(80, "13", 10)),
    ("ValueError: weight .. >= 0 .. Potts", lambda: Bilateral(80, 13, -10)),
    ("ValueError: normalization .. 'symmetric' .. 0", lambda: Bilateral(80, 13, 10, 0)),
]


@pytest.mark.parametrize(("expected", "make"), [pytest.param(*row, id=row[0]) for row in BAD_TERMS])
def test_terms_that_mean_nothing_cannot_be_made(expected, make, capfd):
    with pytest.raises((TypeError, ValueError, ArithmeticError)) as caught:
        make()
    assert_says(caught, "Bilateral" if "Bilateral" in make.__code__.co_names else "Gaussian", expected)
    assert tuple(capfd.readouterr()) == ("", "")
