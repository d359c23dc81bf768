"""What the terms say against the network's labels before anything has changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from densecrf._diagnose.network import Floats, Network
from densecrf._diagnose.text import percent
from densecrf._model import DenseCRF


@dataclass(frozen=True)
class Objections:
    """The messages of the first iteration at the borders of the network's labels.

    Attributes:
        share: of the border pixels where the terms favour another label than the network's, 0 to 1; NaN where no
            labels meet.
        pull: by how much they favour it over the network's, in the units of the margins: the 95th percentile over the
            border pixels. Negative where nearly all agree with the network.
    """

    share: float
    pull: float

    def __str__(self) -> str:
        far = f", by up to {self.pull:.2g}" if self.pull > 0 else ""
        return f"object to {percent(self.share)} of the labels at borders{far}"


def listen(crf: DenseCRF, energies: Floats, network: Network) -> Objections:
    """Measures the messages that soft-max(-energies) sends; energies ``(L, H, W)``."""
    if not network.border.any():
        return Objections(np.nan, np.nan)
    message = crf.message(crf.start(energies).marginals)[:, network.border]
    own = network.labels[network.border][np.newaxis]
    of_own = np.take_along_axis(message, own, axis=0)[0]
    np.put_along_axis(message, own, -np.inf, axis=0)
    against = message.max(axis=0) - of_own
    return Objections(float((against > 0).mean()), float(np.quantile(against, 0.95)))
