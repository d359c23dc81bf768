"""Every TypeError and ValueError for what a user passes in, and MemoryError for what cannot be had.

Each message names the function, the argument, what was needed, what came, and what probably went wrong.
"""

from densecrf._check.numbers import (
    choice,
    finite,
    flag,
    index,
    integer,
    probability,
    share,
    sigma,
    spacing,
    threads,
    weight,
)
from densecrf._check.picture import (
    float_range,
    grid,
    picture_axis,
    picture_kind,
    picture_values,
)
from densecrf._check.room import room
from densecrf._check.scores import (
    labels,
    mask,
    out_matches,
    plain_probs,
    planes,
    planes_shape,
    points_mask,
    probs_found,
    probs_shape,
    probs_values,
    same_place,
)
from densecrf._check.terms import (
    axis_count,
    channel_count,
    feature_count,
    feature_points,
    feature_range,
    features,
    has_picture,
    weight_labels,
)

__all__ = [
    "axis_count",
    "channel_count",
    "choice",
    "feature_count",
    "feature_points",
    "feature_range",
    "features",
    "finite",
    "flag",
    "float_range",
    "grid",
    "has_picture",
    "index",
    "integer",
    "labels",
    "mask",
    "out_matches",
    "picture_axis",
    "picture_kind",
    "picture_values",
    "plain_probs",
    "planes",
    "planes_shape",
    "points_mask",
    "probability",
    "probs_found",
    "probs_shape",
    "probs_values",
    "room",
    "same_place",
    "share",
    "sigma",
    "spacing",
    "threads",
    "weight",
    "weight_labels",
]
