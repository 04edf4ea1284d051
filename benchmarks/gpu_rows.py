"""How a check on an accelerator reports, whatever the framework."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from multiboard.contents import Contents

BYTES_PER_TENSOR = 4 * (1024 + 4 + 4)
"""Counts, special counts and moments, 4 bytes each: what must leave the device."""
SPECIAL = (
    np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-40, 1.2e-38, 6e-8, 3e-5, 65504.0, 1e30, -3.4e38, 1.0, 1.125, -0.875, 2.0**24,
)  # fmt: skip
"""Values at the ends of the formats."""


def cases(small: bool, many: int) -> list[npt.NDArray[np.float32]]:
    """Return arrays that counting on a device could get wrong.

    Args:
        small: large arrays have 200 thousand values and not 20 million.
        many: number of small arrays.
    """
    rng, large = np.random.default_rng(0), 200_000 if small else 20_000_000
    with np.errstate(over="ignore"):
        scaled = [np.float32(10.0**power * rng.standard_normal(1000)) for power in range(-44, 38, 3)]
    spoiled = rng.standard_normal(large // 2, np.float32)
    spoiled[::1000], spoiled[1::5000] = np.nan, -np.inf
    return [
        np.tile(np.float32(SPECIAL), 77),
        np.zeros(5000, np.float32),
        np.full(3, np.nan, np.float32),
        np.zeros(0, np.float32),
        *scaled,
        *(rng.standard_normal(1 + row % 997, np.float32) for row in range(many)),
        rng.standard_normal(large, np.float32),
        np.ones(large, np.float32),  # in float32 a count beyond 2**24 would stop there
        spoiled,
    ]


class Row(NamedTuple):
    """A row of the table; `good` is None for a figure without a bound, and for what was left out."""

    check: str
    result: str
    good: bool | None = None


def guarded(title: str, rows: Callable[[], Iterator[Row]]) -> Iterator[Row]:
    """Yield the rows, and one more for an exception: a failure does not hide what follows."""
    try:
        yield from rows()
    except Exception as error:  # noqa: BLE001
        traceback.print_exc()
        yield Row(title, one_line(error), good=False)


def one_line(error: Exception) -> str:
    """Return an exception as the cell of a table."""
    return f"{type(error).__name__}: {error}".splitlines()[0].replace("|", "/")[:200]


def difference(written: Contents, tag: str, values: npt.NDArray[np.float32], flushed: float = 0.0) -> bool:
    """Tell whether what was written of a tensor differs from what the core counts of its values on the host.

    Args:
        written: one step.
        tag: of the tensor.
        values: of the tensor.
        flushed: values below this may add nothing to the norm, because their squares are below the range of float32.
    """
    from multiboard import buckets

    expected = buckets.measure(values)
    nonfinite = written.scalars.get(f"nonfinite/{tag}")
    same = np.array_equal(np.float32(written.histograms[tag].value[0]), np.float32(expected.rows()))
    same &= expected.nonfinite == (0 if nonfinite is None else nonfinite.value[0])
    norm: Any = written.scalars[f"norm/{tag}"].value[0]
    nearly = np.allclose(norm, expected.norm, rtol=1e-3, atol=1e-30 + flushed * values.size**0.5, equal_nan=True)
    return not (same and nearly)
