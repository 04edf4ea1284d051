"""Which containers of two models hold the same of the layers that are known to belong together, and who stands in them."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate, product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from multiboard.compare.signatures import Unit


def partners(known: Sequence[tuple[Unit, Unit]]) -> dict[str, str]:
    """Return by containers of the first model those of the second that hold the same layers, as far as that is so.

    Args:
        known: layers of both models that belong together.
    """
    ours = Counter(home for mine, _ in known for home in _homes(mine))
    theirs = Counter(home for _, other in known for home in _homes(other))
    both = Counter(pair for mine, other in known for pair in product(_homes(mine), _homes(other)))
    shares = {(mine, other): count / (ours[mine] + theirs[other] - count) for (mine, other), count in both.items()}
    return dict(sorted(both, key=lambda pair: shares[pair]))


def nearness(a: Sequence[Unit], b: Sequence[Unit], partner: Mapping[str, str]) -> npt.NDArray[np.float64]:
    """Return which share of its containers each layer has in common with each of the other model, `[n, m]`.

    Args:
        a: layers of the first model.
        b: layers of the second.
        partner: what `partners` returns.
    """
    homes = dict.fromkeys(partner[home] for unit in a for home in _homes(unit) if home in partner)
    column = {home: number for number, home in enumerate(homes)}
    tables = np.zeros((len(a), len(column))), np.zeros((len(b), len(column)))
    for row, unit in enumerate(a):
        tables[0][row, [column[partner[home]] for home in _homes(unit) if home in partner]] = 1.0
    for row, unit in enumerate(b):
        tables[1][row, [column[home] for home in _homes(unit) if home in column]] = 1.0
    shares: npt.NDArray[np.float64] = tables[0] @ tables[1].T / np.maximum(tables[0].sum(1), 1.0)[:, None]
    return shares


def _homes(unit: Unit) -> list[str]:
    """Return the containers of a layer, the outermost first."""
    return list(accumulate(unit.home.split("/"), "{}/{}".format)) if unit.home else []
