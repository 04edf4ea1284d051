"""Numbers and shapes of graphs as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TIMES: Final = "\u00d7"
_STEP: Final = 1000
_STEP_OF_BYTES: Final = 1024
_SHARP: Final = 100


def integer(number: int) -> str:
    """Return a whole number with separators.

    >>> integer(25557032)
    '25,557,032'
    """
    return f"{number:,}"


def count(number: float) -> str:
    """Return a number in thousands, millions and so on.

    >>> count(8178000000), count(930), count(0)
    ('8.18 G', '930', '0')
    """
    return _scaled(number, _STEP, ("", "k", "M", "G", "T", "P", "E"))


def size(number: float) -> str:
    """Return bytes.

    >>> size(102228128), size(4)
    ('97.49 MiB', '4 B')
    """
    return _scaled(number, _STEP_OF_BYTES, ("B", "KiB", "MiB", "GiB", "TiB", "PiB"))


def time(us: float) -> str:
    """Return a time that is given in microseconds.

    >>> time(1520.0), time(3.04)
    ('1.52 ms', '3.04 µs')
    """
    return _scaled(us, _STEP, ("µs", "ms", "s", "ks"))


def shape(sizes: Sequence[int | None] | None) -> str:
    """Return a shape as TensorBoard writes it; what is not known is a question mark.

    >>> shape((None, 32)) == f"?{TIMES}32", shape(None), shape(())
    (True, '?', 'scalar')
    """
    if sizes is None:
        return "?"
    return TIMES.join("?" if one is None else str(one) for one in sizes) or "scalar"


def table(heading: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> str:
    r"""Return rows as a markdown table.

    Args:
        heading: of the columns.
        rows: cells.
        numbers: how many columns at the end are numbers, which stand to the right.

    >>> print(table(["layer", "params"], [["a|b", "3"]], numbers=1))
    | layer | params |
    | --- | ---: |
    | a\|b | 3 |
    """
    rule = ["---"] * (len(heading) - numbers) + ["---:"] * numbers
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heading, rule, *(map(_cell, row) for row in rows)))


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("\r", " ").replace("\n", "<br>")


def _scaled(number: float, step: int, units: tuple[str, ...]) -> str:
    unit = 0
    while round(number, 1) >= step and unit < len(units) - 1:
        number /= step
        unit += 1
    digits = f"{number:.1f}" if number >= _SHARP else f"{number:.2f}"
    told = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return f"{told} {units[unit]}".rstrip()
