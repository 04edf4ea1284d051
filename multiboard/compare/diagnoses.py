"""What would explain where two runs part: rules over what was observed, in plain language.

A rule looks at the first divergence and at what is still equal there. It says which mistake that would fit, not that it was made;
nothing is said where nothing fits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from multiboard.compare.diagnoses_forward import forward
from multiboard.compare.diagnoses_loss import evaluation, loss, statistics
from multiboard.compare.diagnoses_start import missing, start
from multiboard.compare.diagnoses_update import schedule, update

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from multiboard.compare.diagnosis import Diagnosis, Seen
    from multiboard.compare.divergence import Divergence

_RULES: Final[tuple[Callable[[Seen, Divergence], Iterator[Diagnosis]], ...]] = (
    start, schedule, forward, loss, update, evaluation, statistics,
)  # fmt: skip


def diagnose(seen: Seen) -> tuple[Diagnosis, ...]:
    """Return the mistakes that fit, the likeliest first.

    Args:
        seen: what is known of a run and the baseline.
    """
    with np.errstate(all="ignore"):  # ratios of what vanishes or overflows fit nothing
        found = list(missing(seen))
        if seen.parted:
            found += [diagnosis for rule in _RULES for diagnosis in rule(seen, seen.parted[0])]
    return tuple(found)
