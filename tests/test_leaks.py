"""A call leaves nothing behind, whether it gives an answer or raises; tests/soak/leaks.py asks it of ten thousand."""

from __future__ import annotations

import gc
import itertools

import leftovers
import pytest
from every_call import CALLS, PERIOD

WARM, ROUNDS = 25, 30  # caches and Python's free lists fill in the first ones
HEAP_A_ROUND = 24 * PERIOD  # bytes; the least that malloc gives
HEAP_A_ROUND_OF_SIZES = 128 * PERIOD  # the caches of malloc fill slowly, where every call asks for others
BLOCKS_A_ROUND = PERIOD

needs_glibc = pytest.mark.skipif(not leftovers.can_be_measured(), reason="asks glibc what is in use")


@pytest.fixture(autouse=True)
def _little_to_collect():
    """What was there before is not looked through for garbage again and again."""
    gc.freeze()
    yield
    gc.unfreeze()


def least_growth(call):
    """Of the heap and of Python's blocks, over one round: what is left behind is so in each of them."""
    after = leftovers.held_after_each_part(call, ROUNDS * PERIOD, ROUNDS)[WARM - 1 :]
    rounds = list(itertools.pairwise(after))
    return min(b.heap - a.heap for a, b in rounds), min(b.blocks - a.blocks for a, b in rounds)


@needs_glibc
@pytest.mark.parametrize("name", CALLS)
def test_a_call_leaves_nothing_behind(name):
    if "torch" in name:
        pytest.importorskip("torch")
    heap, blocks = least_growth(CALLS[name])
    assert heap < (HEAP_A_ROUND_OF_SIZES if "sizes" in name else HEAP_A_ROUND)
    assert blocks < BLOCKS_A_ROUND


@needs_glibc
def test_what_a_call_leaves_behind_is_seen():
    left = []
    assert least_growth(lambda i: left.append(bytes(8 + 8 * i)))[1] >= BLOCKS_A_ROUND
    assert least_growth(lambda i: left.append(bytearray(600)))[0] >= HEAP_A_ROUND
