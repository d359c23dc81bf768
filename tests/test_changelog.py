"""CHANGELOG.md has the form that docs/compatibility.md promises, and knows the version."""

import datetime
import re

from documents import ROOT

import densecrf

TEXT = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
TITLE = re.compile(r"\[(Unreleased|\d+\.\d+\.\d+)\](?: - (unreleased|\d{4}-\d\d-\d\d))?")


def sections():
    """The text below every version, by its title, newest first."""
    parts = re.split(r"^## (.*)$", TEXT, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def versions():
    """Every release and its date, newest first."""
    found = [TITLE.fullmatch(title) for title in sections()]
    assert all(found), list(sections())
    return [match.groups() for match in found]


def test_what_is_not_released_stands_first():
    assert versions()[0] == ("Unreleased", None)
    assert [name for name, _ in versions()].count("Unreleased") == 1


def test_the_version_has_a_section_and_is_the_newest_one():
    assert versions()[1][0] == densecrf.__version__


def test_versions_go_down_and_all_but_the_newest_have_a_date():
    numbers = [tuple(map(int, name.split("."))) for name, _ in versions()[1:]]
    assert numbers == sorted(set(numbers), reverse=True)
    dates = [date for _, date in versions()[1:]]
    assert None not in dates
    assert "unreleased" not in dates[1:]
    days = [datetime.date.fromisoformat(date) for date in dates if date != "unreleased"]
    assert days == sorted(days, reverse=True)


def test_every_line_stands_under_what_kind_of_change_it_is():
    for title, text in sections().items():
        before, *rest = re.split(r"^### (.*)$", text, flags=re.MULTILINE)
        assert not before.strip(), title
        kinds, entries = rest[::2], rest[1::2]
        assert kinds == [kind for kind in KINDS if kind in kinds], f"{title}: {kinds}"
        for kind, entry in zip(kinds, entries, strict=True):
            assert re.match(r"\n\n- \S", entry), f"{title}: nothing under {kind}"
            assert re.fullmatch(r"\n\n(?:(?:- |  )\S.*\n)+\n?", entry), f"{title}: {kind} is no plain list"
