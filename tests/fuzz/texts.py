"""Parameters, recipes, and what batches and searches have noted for themselves."""

import dataclasses
import shutil
import time

from deeplab import config
from deeplab.policies import learning_rate
from deeplab.search import Journal
from densecrf import _parameters
from densecrf._parameters import Parameters
from densecrf.batch import records, reports, summary
from densecrf.batch.jobs import Job
from densecrf.batch.options import Recipe
from densecrf.batch.progress import Progress
from densecrf.batch.shards import Shard

from .promises import FOLDER, only, written


def parameters(data):
    """The CRF's parameters; what is read must come back from what is written."""
    path = written("parameters.toml", data)
    found = None
    with only(ValueError):
        found = _parameters.resolve(path)
    if found:
        found.write(path)
        assert _parameters.resolve(path) == found
        _ = found.terms, found.preset()


def recipe(data):
    """A training's configuration, and what the training does with its numbers first."""
    path, found = written("recipe.toml", data), None
    with only(ValueError):
        found = config.read(path)
    if found:
        dataclasses.asdict(found)
        assert isinstance(learning_rate(found.solver, 0), float)


def journal(data):
    """The journals of a batch, of which reports are made whatever is in them."""
    out = FOLDER / "batch"
    shutil.rmtree(out, ignore_errors=True)
    journals = out / reports.STATE
    journals.mkdir(parents=True)
    (journals / "local-a.jsonl").write_bytes(data)
    (out / "done.png").write_bytes(b"")
    jobs = [Job(name, f"{name}.jpg", f"{name}.npy", str(out / f"{name}.png")) for name in ("done", "lost")]
    with only():
        found = reports.state(jobs, journals)
        reports._write(out, found)
        recipe = Recipe(Parameters(4.0, 67.0, 3.0))
        about = summary.About(recipe, Shard(0, 1), Progress(2, 0), time.time())
        summary.write(out / "summary.html", found, about, 0)
        for _, record in found.results:
            assert records.from_text(records.to_text(record)) == record


def search(data):
    """What a search for parameters has noted: the settings it has tried."""
    path, journal = written("settings.csv", data), None
    with only(ValueError):
        journal = Journal(path)
    if journal:
        journal.add((1.0, 2.0, 3.0), 0.5)
        assert Journal(path).found[1.0, 2.0, 3.0] == 0.5
