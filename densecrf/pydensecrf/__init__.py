"""A drop-in for pydensecrf: the same modules, classes, functions, arguments and answers, on densecrf's engine.

Change the imports and nothing else::

    import densecrf.pydensecrf.densecrf as dcrf
    from densecrf.pydensecrf.utils import unary_from_softmax

The traps of the original come along, because its scripts are written around them: width comes before height, and a
compatibility changes its sign between the number and the array. New programs are better served by `densecrf.refine`
and `densecrf.DenseCRF`. docs/migration.md says what differs.
"""

from densecrf.pydensecrf import densecrf, eigen, utils

__all__ = ["densecrf", "eigen", "utils"]
