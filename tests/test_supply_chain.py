"""What the project is built and tested with: every version is written down, and vulnerable ones stop CI."""

import json
import re
import subprocess
import sys

import pytest
from documents import ROOT

tomllib = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")
requirements = pytest.importorskip("packaging.requirements")
markers = pytest.importorskip("packaging.markers")

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
INSTALLED = ("demo", "cli", "test", "lint", "docs", "app-test", "app")  # by `make`
PYTHONS = [f"3.{minor}" for minor in range(10, 15)]
LINES = [
    line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if not line.startswith("#")
]


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(python):
    """The versions for a Python on Linux, by name."""
    here = {**markers.default_environment(), "python_version": python, "python_full_version": f"{python}.9"}
    here |= {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"}
    found = {}
    for line in map(requirements.Requirement, LINES):
        if line.marker is None or line.marker.evaluate(here):
            (exact,) = line.specifier
            assert exact.operator == "=="
            assert plain(line.name) not in found, line
            found[plain(line.name)] = exact.version
    return found


def required():
    """What CI installs by name: of the extras, of the build, and of constraints.in."""
    texts = [text for extra in INSTALLED for text in PROJECT["project"]["optional-dependencies"][extra]]
    texts += [*PROJECT["project"]["dependencies"], *PROJECT["build-system"]["requires"]]
    texts += re.findall(r"^[^#\s].*$", (ROOT / "constraints.in").read_text(encoding="utf-8"), re.MULTILINE)
    every = map(requirements.Requirement, texts)
    return [each for each in every if each.name != "densecrf"]


@pytest.mark.parametrize("python", PYTHONS)
def test_what_ci_installs_is_pinned_to_versions_that_will_do(python):
    versions = pinned(python)
    for each in required():
        if each.marker is None or each.marker.evaluate({"python_version": python, "extra": ""}):
            assert each.specifier.contains(versions[plain(each.name)]), each


def test_extras_that_ci_installs_take_only_extras_that_it_installs():
    extras = PROJECT["project"]["optional-dependencies"]
    own = [text for extra in INSTALLED for text in extras[extra] if text.startswith("densecrf[")]
    taken = {name.strip() for text in own for name in text[len("densecrf[") : text.index("]")].split(",")}
    assert taken <= set(INSTALLED)


def test_what_the_build_requires_is_asked_for_in_the_same_words():
    asked = (ROOT / "constraints.in").read_text(encoding="utf-8").splitlines()
    assert [each for each in PROJECT["build-system"]["requires"] if each not in asked] == []


# ---- the audit --------------------------------------------------------------------------------------------------

FINE = {"name": "a", "version": "1", "vulns": []}
UNKNOWN = {"name": "b", "skip_reason": "not found"}
VULNERABLE = {"name": "c", "version": "2", "vulns": [{"id": "CVE-1"}, {"id": "CVE-2"}]}
NO_NETWORK = "Traceback ...\nrequests.exceptions.ConnectionError: Failed to resolve 'host'"

ANSWERS = {
    "nothing is wrong": ([FINE, UNKNOWN], "", 0, r"audit: 0 of \d+ versions are vulnerable; \d+ were not known"),
    "something is vulnerable": ([FINE, VULNERABLE], "", 1, r"c 2: CVE-1, CVE-2\n(.|\n)*audit: \d+ of \d+ versions are"),
    "nothing is known": ([UNKNOWN], "", 0, "audit: skipped, nobody could be asked: the index knows none"),
    "there is no network": (None, NO_NETWORK, 0, "audit: skipped, nobody could be asked: .*ConnectionError"),
    "the program is broken": (None, "error: unrecognized arguments", 1, "audit: error: unrecognized arguments"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_the_audit_fails_for_vulnerable_versions_and_says_where_it_could_not_ask(case, tmp_path):
    answer, complaint, status, said = ANSWERS[case]
    program = tmp_path / "pip-audit"
    out = "" if answer is None else json.dumps({"dependencies": answer})
    program.write_text(f"#!{sys.executable}\nimport sys\nsys.stderr.write({complaint!r})\nprint({out!r})\n")
    program.chmod(0o755)
    done = subprocess.run([sys.executable, ROOT / ".ci" / "audit", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (status, "")
    assert re.match(said, done.stdout), done.stdout
    assert status == 1 or done.stdout.count("\n") == 1


# ---- workflows --------------------------------------------------------------------------------------------------

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_only_read_and_takes_actions_of_a_version(workflow):
    text = workflow.read_text(encoding="utf-8")
    assert re.findall(r"^( *)permissions:\n( *)(.*)$", text, re.MULTILINE) == [("", "  ", "contents: read")]
    assert "pull_request_target" not in text
    assert "secrets." not in text
    used = re.findall(r"uses: +(\S+)", text)
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w-]+/[\w-]+@(v\d+(\.\d+)*|[0-9a-f]{40})", action)] == []
