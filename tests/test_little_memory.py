"""Where memory is less than it seems: machines, control groups, limits of a process; one call and several."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from memory_limits import group, group_of_this_process, machine, namespaces, real_group, with_files
from watchdog import said

from densecrf import _core

needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads /proc")

# 9 million pixels: some 310 MiB of scores, unaries, answer and picture, before there is a lattice.
REFINE = """
import json
import numpy as np
import densecrf

try:
    densecrf.refine(np.broadcast_to(np.uint8(7), (3000, 3000, 3)), np.broadcast_to(np.float32(0.5), (2, 3000, 3000)))
    print(json.dumps("refined"))
except MemoryError as error:
    print(json.dumps(str(error)))
"""
MIB = 1 << 20


def available(message: str) -> float:
    found = re.match(r"this picture needs \d+ MiB of memory and (\d+) MiB are available", message)
    assert found, message
    return float(found[1])


needs_namespaces = pytest.mark.skipif(not namespaces(), reason="no namespaces for this user")


@needs_namespaces
def test_a_machine_with_little_memory_left_is_believed(tmp_path: Path) -> None:
    machine(tmp_path / "meminfo", 150 * MIB)
    message = said(REFINE, limits=with_files({"/proc/meminfo": tmp_path / "meminfo"}))
    assert available(message) == 150


@needs_namespaces
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("ancestor", [False, True], ids=["its own group", "the group that all are in"])
def test_a_control_group_with_little_memory_left_is_believed(version: int, ancestor: bool, tmp_path: Path) -> None:
    path = group_of_this_process(version)
    if path is None:
        pytest.skip(f"no control groups of version {version} here")
    root = tmp_path / "memory" if version == 1 else tmp_path
    own = root / path.strip("/")
    if ancestor:
        group(own, version, 8000 * MIB, 100 * MIB, 0)
    group(root if ancestor else own, version, 500 * MIB, 400 * MIB, 40 * MIB)
    message = said(REFINE, limits=with_files({"/sys/fs/cgroup": tmp_path}))
    assert available(message) == 140  # files in the cache are no loss


# Every size is new, so that nothing that is kept fits the next call; the last is small again.
GROW = """
import json
import numpy as np
import densecrf

answers = []
for side in (*range(200, 1201, 200), 300):
    row = np.random.default_rng(0).integers(0, 256, (1, side, 3), np.uint8)
    for labels in (2, 21):
        scores = np.broadcast_to(np.float32(1 / labels), (labels, side, side))
        try:
            densecrf.refine(np.broadcast_to(row, (side, side, 3)), scores, iterations=1)
            answers.append("refined")
        except MemoryError as error:
            answers.append(str(error))
print(json.dumps(answers))
"""


def test_a_program_in_a_control_group_is_refused_before_it_is_killed_for_memory() -> None:
    limit = 200 * MIB
    with real_group(limit) as made:
        if made is None:
            pytest.skip("no control groups for this user")
        enter, peak = made
        answers = said(GROW, limits=enter)
        assert int(peak.read_text()) < limit
    assert answers[:2] == answers[-2:] == ["refined"] * 2
    assert available(answers[-3]) < 200


BATCH = """
import json
import numpy as np
import densecrf

row = np.random.default_rng(0).integers(0, 256, (6, 1, 600, 3), np.uint8)
images = np.broadcast_to(row, (6, 600, 600, 3))
scores = np.broadcast_to(np.array([0.75, 0.25], np.float32)[:, None, None], (6, 2, 600, 600))
together = densecrf.refine(images, scores, iterations=1, num_threads=6)
alone = densecrf.refine(images[5], scores[5], iterations=1, num_threads=1)
print(json.dumps(bool((together[5] == alone).all())))
"""


def test_of_a_batch_in_a_control_group_no_more_are_refined_at_once_than_have_room() -> None:
    with real_group(280 * MIB) as made:  # one takes some 140, six together 500
        if made is None:
            pytest.skip("no control groups for this user")
        assert said(BATCH, limits=made[0])


def left() -> float:
    """MiB that the library believes it may have."""
    with pytest.raises(MemoryError) as refused:
        _core.require_memory(2**62)
    return available(str(refused.value))


def test_what_is_promised_to_one_is_not_available_to_others() -> None:
    try:
        before = left()
        with _core.Promise(2048 * MIB):
            assert left() < before - 1024
        assert left() > before - 1024
    except MemoryError as error:
        pytest.skip(str(error))
    with pytest.raises(MemoryError), _core.Promise(2**62):
        pass
    assert left() > before - 1024


# Eight threads, each with pictures of sizes of its own.
CROWD = """
import json, threading
import numpy as np
import densecrf

answers = []

def work(first):
    for side in range(first, 1300, 250):
        row = np.random.default_rng(0).integers(0, 256, (1, side, 3), np.uint8)
        try:
            scores = np.broadcast_to(np.float32(0.5), (2, side, side))
            densecrf.refine(np.broadcast_to(row, (side, side, 3)), scores, iterations=1, num_threads=1)
            answers.append("refined")
        except MemoryError as error:
            answers.append(str(error))

threads = [threading.Thread(target=work, args=(300 + 20 * i,)) for i in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(answers))
"""


def test_calls_side_by_side_are_never_promised_the_same_memory() -> None:
    with real_group(300 * MIB) as made:
        if made is None:
            pytest.skip("no control groups for this user")
        answers = said(CROWD, limits=made[0])
    assert len(answers) == 32
    assert "refined" in answers
    assert all(answer == "refined" or available(answer) < 300 for answer in answers)


KEPT = """
import json
import numpy as np
import densecrf
from densecrf import _core

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

def refine(side):
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    densecrf.refine(image, np.full((8, side, side), 0.125, np.float32), iterations=1)

refine(20)
before = resident()
for side in (300, 350, 400, 450):
    refine(side)
kept = resident()
try:
    _core.require_memory(2**62)
except MemoryError:
    print(json.dumps([kept - before, resident() - before]))
"""


@needs_proc
def test_what_is_kept_for_calls_to_come_is_given_back_before_one_is_refused() -> None:
    kept, left = said(KEPT)
    assert kept > 128 * MIB
    assert left < 32 * MIB


@needs_namespaces
def test_less_is_kept_where_there_is_little(tmp_path: Path) -> None:
    machine(tmp_path / "meminfo", 300 * MIB)
    kept, left = said(KEPT, MALLOC_TRIM_THRESHOLD_="1", limits=with_files({"/proc/meminfo": tmp_path / "meminfo"}))
    assert kept - left < 100 * MIB  # a quarter, and lattices of sizes of pictures


@needs_proc
@pytest.mark.parametrize("limit", ["-v", "-d"])
def test_a_limit_of_the_process_is_believed_before_anything_is_touched(limit: str) -> None:
    message = said(REFINE, OPENBLAS_NUM_THREADS="1", limits=f"ulimit {limit} 400000 && exec")
    assert 0 <= available(message) < 400
