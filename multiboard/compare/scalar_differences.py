"""How far two curves are apart, as part of their values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


def relative_difference(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return |a - b| over the larger of |a| and |b|: from 0 to 2.

    Equal values are 0 apart, also two NaN and two infinities of one sign; a finite value and another are infinitely far apart.

    Args:
        a: values of the baseline.
        b: values of the other run at the same steps.

    >>> relative_difference(np.array([2.0, 0.0, np.nan, 1.0]), np.array([1.0, 0.0, np.nan, np.inf])).tolist()
    [0.5, 0.0, 0.0, inf]
    """
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        largest = np.maximum(np.abs(a), np.abs(b))
        apart = np.abs(a / largest - b / largest)
    return np.where(same, 0.0, np.where(np.isfinite(a) & np.isfinite(b), apart, np.inf))
