"""What TensorBoard's data provider lists and holds of runs; the same with both of its readers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from multiboard.page.well_formed import well_formed
from multiboard_tensorboard import _compat, decoding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from multiboard import Column

SCALARS: Final = "scalars"
TENSORS: Final = "tensors"
BLOBS: Final = "blob_sequences"


class Kind(NamedTuple):
    """One kind of columns.

    Attributes:
        name: of the field of `RunData`.
        plugin: whose data it is.
        form: how the provider calls it.
    """

    name: str
    plugin: str
    form: str


KINDS: Final = (
    Kind("scalars", "scalars", SCALARS),
    Kind("histograms", "histograms", TENSORS),
    Kind("texts", "text", TENSORS),
    Kind("tensors", "multiboard", TENSORS),
    Kind("images", "images", BLOBS),
    Kind("audios", "audio", BLOBS),
)
"""What the page shows."""
HPARAMS: Final = Kind("hparams", "hparams", TENSORS)

Listed: TypeAlias = "Mapping[str, Any]"
"""By tag: the time series of the provider, with max_step, max_wall_time, plugin_content and description."""


class Provided:
    """What a data provider has of one experiment.

    Args:
        provider: tensorboard.data.provider.DataProvider.
        experiment: its id, '' on one's own computer.
        context: tensorboard.context.RequestContext of who asks.
        multiplexer: that of the Python reader, if there is one.

    Attributes:
        waits: whether another process has the data.
    """

    def __init__(self, provider: Any, experiment: str, context: Any, multiplexer: Any = None) -> None:
        self._provider, self._context, self._experiment = provider, context, experiment
        self.waits = multiplexer is None
        self._names: dict[str, str] = {}
        self._shortcut = _compat.shortcut(provider, multiplexer, experiment)

    def runs(self) -> list[str]:
        """Return the names of all runs, in alphabetical order."""
        found = [run.run_name for run in self._provider.list_runs(self._context, experiment_id=self._experiment)]
        return sorted(self._shown(name) for name in found)

    def _shown(self, name: str) -> str:
        """Return a name as a page can send it back."""
        shown = well_formed(name)
        self._names[shown] = name
        return shown

    def list_all(self, kinds: Sequence[Kind]) -> dict[Kind, dict[str, Listed]]:
        """Return what there is of some kinds; all are asked for at once, for the data server answers each late."""
        with ThreadPoolExecutor(len(kinds) if self.waits else 1) as pool:
            return dict(zip(kinds, pool.map(self.list_tags, kinds), strict=True))

    def list_tags(self, kind: Kind) -> dict[str, Listed]:
        """Return what there is of one kind, by run."""
        listed: dict[str, Listed] = self._call("list", kind, None, None)
        return {self._shown(name): found for name, found in listed.items()}

    def read(self, kind: Kind, run: str, listed: Listed, tags: Sequence[str], points: int | None = None) -> dict[str, Column]:
        """Return columns; a tag that has gone is left out.

        Args:
            kind: of them.
            run: its name.
            listed: what `list_tags` tells of the run.
            tags: of the columns.
            points: of each tag, 1 for the last one; None for all that TensorBoard keeps.
        """
        run = self._names.get(run, run)
        if self._shortcut is not None and kind.name in decoding.SHORT:
            short = self._shortcut(kind.plugin, run, tags, points)
            found = {tag: decoding.SHORT[kind.name](series) for tag, series in short.items()}
            if None not in found.values():
                return {tag: parts.column(listed[tag].description) for tag, parts in found.items() if parts is not None}
        series = self._call("read", kind, [run], tags, downsample=points or _compat.ALL).get(run, {})
        return {tag: self._points(kind, one).column(listed[tag].description) for tag, one in series.items()}

    def _points(self, kind: Kind, series: Sequence[Any]) -> decoding.Points:
        if kind.form == BLOBS:
            return decoding.files(series, self._file, skip=decoding.SIZES if kind.name == "images" else 0)
        return decoding.numbers(series) if kind.form == SCALARS else decoding.TENSORS[kind.name](series)

    def _file(self, key: str) -> bytes:
        blob: bytes = self._provider.read_blob(self._context, blob_key=key)
        return blob

    def _call(self, verb: str, kind: Kind, runs: Sequence[str] | None, tags: Sequence[str] | None, **options: Any) -> Any:
        from tensorboard.data.provider import RunTagFilter

        ask = getattr(self._provider, f"{verb}_{kind.form}")
        return ask(
            self._context,
            experiment_id=self._experiment,
            plugin_name=kind.plugin,
            run_tag_filter=RunTagFilter(runs=runs, tags=tags),
            **options,
        )
