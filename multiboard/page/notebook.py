"""Runs inside of a notebook: the report in a frame of its own, which stays when the notebook is converted."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from multiboard.compare.tolerances import KINDS
from multiboard.errors import ArgumentError
from multiboard.page.limits import IN_FILE
from multiboard.page.loading import Shown, load
from multiboard.page.parts import Board
from multiboard.page.report import report
from multiboard.whole_files import whole_file

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from multiboard.compare.comparison import Comparison, LayerMap
    from multiboard.compare.sources import Source
    from multiboard.compare.tolerances import Tolerance
    from multiboard.page.limits import Limits

_FRAME: Final = (
    '<div style="position:relative;min-height:{height}px"><span>Trust this notebook to see the page.</span>'
    '<iframe srcdoc="{page}" height="{height}" title="{names}" '
    'style="position:absolute;top:0;left:0;width:100%;border:0;border-radius:4px"></iframe></div>'
)
"""A notebook that is not trusted takes frames away, and the sentence below the frame is seen."""


class Page:
    """Runs side by side as one HTML page; `multiboard.show` makes it. A notebook shows it as the value of a cell.

    Args:
        board: the runs.
        title: of the page; None names the runs.
        height: in a notebook, in pixels.
    """

    def __init__(self, board: Board, title: str | None = None, height: int = 720) -> None:
        if isinstance(height, bool) or not isinstance(height, int) or height < 1:
            raise ArgumentError("height", height, "pass a number of pixels")
        self._board, self._height = board, height
        self._html = report(board, title)

    @property
    def html(self) -> str:
        """The whole page, which needs no other file and no network."""
        return self._html

    @property
    def comparison(self) -> Comparison | None:
        """What tells the runs apart from the first one; None if there is one only."""
        return self._board.comparison

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page to a file and return its path.

        Raises:
            OSError: it cannot be written; what was there before stays.
        """
        with whole_file(Path(path)) as file:
            file.write(self._html.encode())
        return Path(path)

    def _repr_html_(self) -> str:
        return _FRAME.format(page=escape(self._html), height=self._height, names=escape(", ".join(self._board.names)))

    def __repr__(self) -> str:
        return f"Page({', '.join(self._board.names)}; {len(self._html) / 1000:.0f} kB)"


def show(
    *runs: Shown,
    baseline: str | None = None,
    title: str | None = None,
    height: int = 720,
    limits: Limits = IN_FILE,
    tolerance: Tolerance = None,
    noise: str | Sequence[Source] | None = None,
    layers: LayerMap | None = None,
    kinds: Sequence[str] = KINDS,
    guesses: bool = False,
    oracle: Source | None = None,
) -> Page:
    """Return a page that shows runs side by side: in a notebook as the value of a cell, elsewhere by its method `save`.

    Args:
        runs: run directories, directories above runs, or what `multiboard.read` returns.
        baseline: name of the run that the others are compared with; None for the first one.
        title: of the page; None names the runs.
        height: in a notebook, in pixels.
        limits: how much of long runs the page gets.
        tolerance: the largest relative difference that is none, as in `multiboard.compare`.
        noise: repeats of one training, or 'f32' or 'bf16'.
        layers: paths of layers in the other runs by paths in the baseline, which belong together.
        kinds: what to compare, e.g. 'loss' and 'grads'.
        guesses: whether to compare layers also if it is a guess that they belong together.
        oracle: a run of the same training that computes more exactly, as in `multiboard.compare`; it is not shown.

    Raises:
        ReadError: a directory holds no event files.
        ArgumentError: no run was given, or one twice; or an argument is none of the possible ones.

    Example:
        >>> import tempfile, multiboard as mb
        >>> directory = tempfile.mkdtemp()
        >>> with mb.Run(directory) as run:
        ...     run.log({"train/loss": 0.5}, step=3)
        >>> mb.show(directory).html.startswith("<!doctype html>")
        True
    """
    rules: dict[str, Any] = {
        "tolerance": tolerance, "noise": noise, "layers": layers, "kinds": kinds, "guesses": guesses,
        "oracle": oracle,
    }  # fmt: skip
    return Page(Board(load(runs, baseline), fixed=True, limits=limits, **rules), title, height)
