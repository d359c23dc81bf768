"""The page on reliability says what was measured, and names tests that there are."""

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
sys.path.append(str(TESTS / "soak"))
import table  # noqa: E402


def test_the_page_has_the_figures_that_were_recorded():
    text = table.PAGE.read_text(encoding="utf-8")
    assert table.page(text) == text, "run `python tests/soak/table.py`"


@pytest.mark.parametrize("row", table.ROWS, ids=[row.promise for row in table.ROWS])
def test_every_promise_names_tests_and_a_program_that_there_are(row):
    for name in row.tests:
        assert (TESTS / f"test_{name}.py").is_file()
    programs = [path.read_text(encoding="utf-8") for path in (TESTS / "soak").glob("*.py")]
    assert any(f'"{row.program}"' in program and "record(" in program for program in programs)
