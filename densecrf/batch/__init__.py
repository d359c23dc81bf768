"""Whole data sets: refine every picture of a folder, lose nothing, and do only what is missing.

``run(Options(images, probs, out))`` pairs pictures with probabilities by name, refines what has no output yet, and
writes ``errors.jsonl``, ``results.csv`` and ``summary.html`` beside the outputs. Needs Pillow; rich for the progress
bar and Ray for ``Engine("ray")``, each imported when used.
"""

from densecrf.batch._run import Summary, run
from densecrf.batch.options import Engine, Options, Recipe
from densecrf.batch.progress import Progress, shown
from densecrf.batch.shards import Shard

__all__ = ["Engine", "Options", "Progress", "Recipe", "Shard", "Summary", "run", "shown"]
