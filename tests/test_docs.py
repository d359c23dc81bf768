"""Every Python block of the pages runs and prints what it says; recipes against stand-ins for the libraries."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import documents
import numpy as np
import pytest
import stand_ins
from documents import ROOT

import densecrf
from densecrf import data

DOCS = ROOT / "docs"
PAGES = sorted(page for page in DOCS.rglob("*.md") if documents.programs(page))
RECIPES = {page.stem: page for page in PAGES if page.parent.name == "recipes"}

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

# These start processes, which have to find what a page defines: they are run as programs.
IN_PROCESSES = {"dataloader", "joblib"}

# These are for people who have a program already; the others are programs by themselves.
TAKE_OVER = {"migration.md"}

# A hundred megapixels are too much for a test.
SMALLER = {"performance.md": {"(200, 200, 1)": "(4, 4, 1)", "10000": "200"}}


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """What a reader has: a picture, a network's probabilities, and the folder that both lie in."""
    pytest.importorskip("skimage")
    pillow = pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    image, probs = data.example("motorcycle")
    image, probs = image[100:150, 200:270], probs[:, 100:150, 200:270]
    for name in ("picture", "first", "second"):
        pillow.fromarray(image).save(f"{name}.jpg")
        np.save(f"{name}.npy", np.log(probs))
    return {"image": image, "probs": probs, "n_labels": 21, "unary": densecrf.unary_from_probs(probs)}


def test_every_python_block_is_found():
    for page in [*DOCS.rglob("*.md"), ROOT / "README.md"]:
        fences = re.findall(r"^[ \t>]*(?:```|~~~)[ \t{.]*(?:python|py|pycon)\b", page.read_text("utf-8"), re.MULTILINE)
        assert len(fences) == len(documents.programs(page)), page


@pytest.mark.parametrize("page", [page for page in PAGES if page not in RECIPES.values()], ids=lambda page: page.stem)
def test_every_block_of_a_page_runs_and_prints_what_stands_below_it(page, reader):
    documents.run(page, reader if page.name in TAKE_OVER else {}, SMALLER.get(page.name))


def test_what_is_made_smaller_is_there():
    for page, parts in SMALLER.items():
        text = "".join(documents.blocks(DOCS / page, "python"))
        assert [part for part in parts if part not in text] == []


def test_a_page_that_prints_something_else_is_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\nx = 1\n```\n\n```python\nprint(x)\n```\n```\n2\n```\n")
    with pytest.raises(AssertionError, match="line 6 prints\n1"):
        documents.run(page, {})


# ---- recipes ----------------------------------------------------------------------------------------------------


def test_every_recipe_is_on_the_list():
    linked = set(re.findall(r"\((\w+)\.md\)", (DOCS / "recipes" / "index.md").read_text("utf-8")))
    assert linked == set(RECIPES)


@pytest.mark.parametrize("recipe", sorted(set(RECIPES) - IN_PROCESSES))
def test_a_recipe_goes_from_a_picture_to_labels(recipe, reader, monkeypatch):
    torch = pytest.importorskip("torch")
    for name, module in getattr(stand_ins, recipe)().items():
        monkeypatch.setitem(sys.modules, name, module)
    if recipe == "monai":
        network = torch.nn.Conv3d(1, 4, 1)
        monkeypatch.setattr(torch.jit, "load", lambda path: network)
    names = documents.run(RECIPES[recipe], {})
    if recipe == "monai":
        assert names["labels"].shape == (9, 10, 6)
        return
    answers = [names[name] for name in ("labels", "mask") if name in names]
    assert answers
    for answer in answers:
        assert answer.shape[-2:] == (50, 70)
    if "marginals" in names:
        np.testing.assert_allclose(names["marginals"].sum(0), 1, atol=1e-4)


@pytest.mark.parametrize("recipe", sorted(IN_PROCESSES))
def test_a_recipe_with_processes_prints_what_stands_below_it(recipe, reader):
    pytest.importorskip({"dataloader": "torch", "joblib": "joblib"}[recipe])
    ((block, promised),) = documents.programs(RECIPES[recipe])
    Path("recipe.py").write_text(block.text, encoding="utf-8")
    environment = {**ENVIRONMENT, "PYTHONPATH": str(Path(densecrf.__file__).parents[1])}
    done = subprocess.run([sys.executable, "recipe.py"], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, promised), done.stderr


# ---- the site ---------------------------------------------------------------------------------------------------

TYPER = """
 Usage: densecrf [OPTIONS] COMMAND [ARGS]...

╭─ Options ──────────────────────────────────╮
│ --help          Show this message and exit. │
╰─────────────────────────────────────────────╯
╭─ Commands ─────────────────────────────────╮
│ refine   Refine one picture.                │
│          More of that.                      │
│ demo     Draw two.                          │
╰─────────────────────────────────────────────╯
"""


@pytest.fixture
def command_pages(monkeypatch):
    pytest.importorskip("mkdocs")
    monkeypatch.syspath_prepend(str(DOCS / "tools"))
    return pytest.importorskip("command_pages")


def test_commands_are_found_in_the_help_of_typer_and_in_that_of_the_program(command_pages):
    assert command_pages.commands(TYPER) == ["refine", "demo"]
    assert "demo" in command_pages.commands(command_pages.help_of())


def test_a_command_without_help_stops_the_site(command_pages):
    with pytest.raises(command_pages.PluginError, match="failed"):
        command_pages.help_of("no-such-command")


class Fetched(HTMLParser):
    """What a browser fetches on its own when it shows a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag in ("script", "img", "iframe", "source") and found.get("src"):
            self.addresses.append(str(found["src"]))
        if tag == "link" and found.get("rel") not in ("canonical", "next", "prev"):
            self.addresses.append(str(found.get("href")))


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_fetches_nothing(tmp_path):
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings_handlers.python")
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environment = {**ENVIRONMENT, **nowhere, "NO_MKDOCS_2_WARNING": "1"}
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"]
    done = subprocess.run(build, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    pages = sorted((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(list(DOCS.rglob("*.md")))  # and the page of what is not there
    for page in pages:
        fetched = Fetched()
        fetched.feed(page.read_text("utf-8"))
        assert fetched.addresses
        assert [address for address in fetched.addresses if re.match(r"(\w+:)?//", address)] == []
    text = (tmp_path / "site" / "api" / "densecrf.html").read_text("utf-8")
    assert [name for name in densecrf.__all__ if not name.startswith("__") and f'id="densecrf.{name}"' not in text] == [
        "reference"
    ]
    assert "densecrf demo" in (tmp_path / "site" / "cli.html").read_text("utf-8")
