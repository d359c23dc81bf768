"""What users may rely on, held against what they were told: tests/fixtures/public_api.txt, docs/compatibility.md."""

import difflib
import sys
from importlib import import_module
from types import ModuleType

import pytest
from documents import ROOT

sys.path.append(str(ROOT / "tests" / "fixtures"))

import public_api

NEEDS = {  # what is imported for a section, besides NumPy
    **dict.fromkeys(("densecrf.torch", "deeplab", "deeplab.weights", "recipes"), ("torch", "PIL")),
    "python -m deeplab": ("torch", "PIL"),
    "the command densecrf": ("typer", "rich"),
    "--json": ("typer", "rich"),
}

ADVICE = """
The public API is no longer what tests/fixtures/public_api.txt says (- there, + here):

{changes}

If that is meant:
1. {rule}
2. Write the file anew, and read the difference again: python tests/fixtures/public_api.py
3. Say it in CHANGELOG.md, under Unreleased: {heading}. docs/compatibility.md has the rules.
"""
BREAKING = (
    "Something is gone or changed. What was released is deprecated first, for a minor release and six months at\n"
    "   least; a change of this kind takes a new minor version before 1.0, and a new major version from then on."
)
COMPATIBLE = "Something is new, which takes a new minor version, and is promised from its release on."


def objection(stored, found):
    """What to do about a difference; empty where there is none."""
    changes = [line for line in difflib.unified_diff(stored, found, lineterm="", n=0) if line[:1] in "+-"][2:]
    if not changes:
        return ""
    broken = any(line.startswith("-") for line in changes)
    rule, heading = (BREAKING, "Changed, Deprecated or Removed") if broken else (COMPATIBLE, "Added")
    return ADVICE.format(changes="\n".join(changes), rule=rule, heading=heading)


def require(section):
    for package in NEEDS.get(section, ()):
        pytest.importorskip(package)


@pytest.mark.parametrize("section", public_api.SECTIONS)
def test_the_public_api_is_what_was_promised(section):
    require(section)
    said = objection(public_api.stored()[section], list(public_api.SECTIONS[section]()))
    assert not said, said


def test_the_file_has_every_section_and_no_other():
    assert list(public_api.stored()) == list(public_api.SECTIONS)


def test_a_new_name_a_changed_default_and_a_lost_flag_are_told_apart():
    stored = ["refine(image: Any, iterations: int = 10) -> Any", "    --half: bool = False"]
    assert objection(stored, stored) == ""
    assert "Unreleased: Added" in objection(stored, [*stored, "new()"])
    for found in (stored[:1], [stored[0].replace("10", "5"), stored[1]]):
        assert "deprecated first" in objection(stored, found)


@pytest.mark.parametrize("name", public_api.MODULES)
def test_a_public_module_names_what_it_promises_and_nothing_else_is_imported_from_it(name):
    require(name)
    module = import_module(name)
    assert len(set(module.__all__)) == len(module.__all__)
    assert [member for member in module.__all__ if not hasattr(module, member)] == []
    promised = [member for member in module.__all__ if isinstance(getattr(module, member), ModuleType)]
    assert [member for member in promised if f"{name}.{member}" not in public_api.MODULES] == []
    foreign = [member for member in module.__all__ if belongs_elsewhere(getattr(module, member))]
    assert foreign == []


def belongs_elsewhere(value):
    """Whether something was only imported here, from another library."""
    home = getattr(value, "__module__", None) or ""
    return home.partition(".")[0] not in ("", "typing", "types", *public_api.OURS)


def test_everything_that_is_documented_is_promised():
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "api").glob("*.md"))
    documented = {line.removeprefix("::: ") for line in pages.splitlines() if line.startswith("::: ")}
    require("deeplab")
    promised = {f"{name}.{member}" for name in public_api.MODULES for member in import_module(name).__all__}
    assert documented <= promised | set(public_api.MODULES)
