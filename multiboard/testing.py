"""Assertions for test suites: a training must reproduce another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiboard.compare.comparison import compare
from multiboard.compare.tolerances import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from multiboard.compare.comparison import Comparison, LayerMap
    from multiboard.compare.sources import Source
    from multiboard.compare.tolerances import Tolerance

__all__ = ["assert_runs_close"]


def assert_runs_close(
    a: Source,
    b: Source,
    *more: Source,
    tolerance: Tolerance = None,
    noise: str | Sequence[Source] | None = None,
    layers: LayerMap | None = None,
    kinds: Sequence[str] = KINDS,
    guesses: bool = False,
    names: Sequence[str] | None = None,
    oracle: Source | None = None,
) -> Comparison:
    """Compare runs with the first of them and return the comparison if they are within tolerance.

    Args:
        a: the baseline: a run directory, or what `multiboard.read` returns of it.
        b: another run.
        more: further runs, each compared with the baseline.
        tolerance: the largest relative difference that is none: by kind, or one number, or a TOML file beside the test.
        noise: repeats of one training, or 'f32' or 'bf16', as in `multiboard.compare`.
        layers: paths of layers in the other runs by paths in the baseline, which belong together, as in `multiboard.compare`.
        kinds: what to compare, e.g. 'loss' and 'grads'.
        guesses: whether to compare layers also if it is a guess that they belong together.
        names: of the runs, as in `multiboard.compare`.
        oracle: a run of the same training that computes more exactly, e.g. in float64. Runs that agree with each other and are
            equally far from it make the same mistake, and fail.

    Raises:
        AssertionError: something parts, runs make the same mistake, or something could not be compared; its text says where.
        ReadError: a directory holds no event files.
        ArgumentError: as in `multiboard.compare`.
    """
    found = compare(
        a, b, *more, tolerance=tolerance, noise=noise, layers=layers, kinds=kinds, guesses=guesses, names=names, oracle=oracle
    )
    found.assert_close()
    return found
