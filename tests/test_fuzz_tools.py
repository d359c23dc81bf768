"""What lies around the library: the command's arguments, `deeplab.build` and the metrics, called with everything."""

import numpy as np
import pytest
from fuzz_anything import ABSURD, spoiled
from fuzz_judge import Refused, judged
from fuzz_problems import cases
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from densecrf.cli.app import app

WORDS = st.sampled_from(
    ["", "-", "--", "nan", "inf", "-1", "0", "1e400", "9" * 5000, "0x10", "\0", "ä", "irn", "/", ".", "x" * 3000, "{}"]
) | st.sampled_from(["cuda:99999999999", "cuda:-1", "symmetric", "mask", "%s", "--help"])
FLAGS = {  # of the commands that neither serve a page nor write files unasked
    "refine": "--preset --w1 --sigma-alpha --normalization --iterations --confidence --n-labels --threads --device "
    "--key --grey --json --logits",
    "batch": "--preset --iterations --threads --device --jobs --shard --json",
    "compare": "--key --grey --n-labels --json",
    "info": "--json --device",
}


@cases(40)
@given(st.data())
def test_the_command_ends_with_a_status_and_never_with_a_traceback(data):
    command = data.draw(st.sampled_from(list(FLAGS)))
    arguments = data.draw(st.lists(st.sampled_from(FLAGS[command].split()) | WORDS, max_size=5))
    done = judged(CliRunner().invoke, app, [command, *arguments])
    assert done.exit_code in (0, 1, 2)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert "Traceback" not in done.output


# ---- deeplab ------------------------------------------------------------------------------------------------


@cases(40)
@given(st.data())
def test_a_network_of_anything_is_built_or_refused(data):
    torch = pytest.importorskip("torch")
    import deeplab

    valid = {"name": "deeplab-v1-largefov", "n_classes": 3, "width": 0.25, "batch_norm": True}
    arguments = data.draw(spoiled(valid))
    with torch.device("meta"):  # without memory for weights
        network = judged(deeplab.build, **arguments, says="deeplab.build: ")
    assert isinstance(network, (Refused, torch.nn.Module))


COUNTS = st.sampled_from([0, 1, 3, 3, 3, -1, ABSURD, 2**40, 500_000, "x", 2.5])
LABELS = np.arange(20).reshape(4, 5) % 3


@cases(60)
@given(st.data())
def test_labels_of_anything_are_counted_or_refused(data):
    pytest.importorskip("torch")
    from deeplab import metrics

    confusion = judged(metrics.Confusion, data.draw(COUNTS), says="confusion: ")
    if not isinstance(confusion, Refused):
        judged(confusion.add, **data.draw(spoiled({"labels": LABELS, "predicted": LABELS[::-1]})), says="confusion: ")
        for score in ("pixel_accuracy", "mean_accuracy", "mean_iou", "mean_iou_of_present", "frequency_weighted_iou"):
            value = judged(getattr, confusion, score)
            assert np.isnan(value) or 0 <= value <= 1


@cases(60)
@given(st.data())
def test_trimaps_of_anything_are_found_or_refused(data):
    pytest.importorskip("torch")
    from deeplab import metrics

    arguments = data.draw(spoiled({"labels": LABELS, "width": 2, "borders": "labels"}))
    band = judged(metrics.trimap, **arguments, says="trimap: ")
    assert isinstance(band, Refused) or band.dtype == bool
    valid = {"pairs": [(LABELS, LABELS[::-1])], "n_classes": 3, "widths": (1, 2), "borders": "void"}
    for function in (metrics.trimap_confusions, metrics.trimap_curve):
        judged(function, **data.draw(spoiled(valid)), says=("trimap: ", "confusion: "))
