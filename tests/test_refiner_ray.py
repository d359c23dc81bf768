"""densecrf.Refiner in Ray Data's map_batches, as it is."""

import os
from pathlib import Path

import numpy as np
import pytest

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")

from inputs import picture, probabilities  # noqa: E402
from numpy.testing import assert_array_equal  # noqa: E402

import densecrf  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # Ray's own
]

SIZES = {"of one size": [(12, 9)] * 4, "of different sizes": [(12, 9), (8, 8), (10, 5), (7, 9)]}


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """A cluster whose processes find this densecrf."""
    path = str(Path(densecrf.__file__).parents[1])
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=100 << 20,
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join([path, os.environ.get("PYTHONPATH", "")])}},
    )
    yield
    ray.shutdown()


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_rows_come_out_with_the_same_bits_as_without_ray(sizes):
    rows = [
        {"image": picture(*size, 3), "probs": probabilities(4, *size), "name": f"{index}"}
        for index, size in enumerate(sizes)
    ]
    refiner = densecrf.Refiner(marginals="refined", num_threads=1)
    refined = ray.data.from_items(rows).map_batches(refiner, batch_size=3).take_all()
    assert sorted(row["name"] for row in refined) == [row["name"] for row in rows]
    for row in refined:
        given = rows[int(row["name"])]
        expected = densecrf.refine(given["image"], given["probs"])
        assert_array_equal(row["refined"], expected)
        assert_array_equal(row["labels"], expected.argmax(0))
        assert row["labels"].dtype == np.uint8
