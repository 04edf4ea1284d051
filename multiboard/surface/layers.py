"""The layer table of a run, and the names that its layers have in tags."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from multiboard import tags
from multiboard.surface.base import Surface

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from multiboard.compare.aligned_names import AlignedNames
    from multiboard.layer_rows import LayerRows
    from multiboard.protocols import Pending
    from multiboard.values import Capture, Summary


class LayersSurface(Surface):
    """What adapters tell a run of the layers of the model."""

    _aligned: AlignedNames | None = None
    _layers: LayerRows | None = None
    _resumed: bool = False
    _told_unaligned: bool = False

    @property
    def layers(self) -> LayerRows | None:
        """The layer table in this run's own words; None as long as no adapter has described the layers."""
        return self._layers

    def describe_layers(self, table: LayerRows, step: int) -> None:
        """Write the layer table of the model, once, and before the first capture; the same table again does nothing.

        Layers that the run does not have yet, e.g. of a second model, are added. With `align_to` the names of layers in the tags
        of captures are those of the other run from now on.

        Args:
            table: in this run's own words.
            step: of the update in which the layers were called.
        """
        self._intake.attempt(lambda: self._describe_layers(table, step), step)

    def kept_tensor(self, tag: str, values: Pending[Any], step: int, *, description: str) -> None:
        """Write a tensor that an adapter keeps element by element, with the name that its layer has in captures.

        Args:
            tag: e.g. 'exact/grads/conv1/kernel', in this run's own words.
            values: in the compared layout.
            step: of the update.
            description: as `multiboard.exact_samples.described` makes it.
        """
        from multiboard.kinds import tensor

        group, _, name = tag.partition("/")
        written = tag if self._aligned is None else f"{group}/{self._aligned.renamed((name,))[0]}"
        self._log_value(written, "tensor", step, None, lambda n, now: tensor.take(written, values, n, now, description))

    def _describe_layers(self, table: LayerRows, step: int) -> None:
        known = self._layers
        whole = table if known is None else known.joined(table)
        if whole == known:
            return
        self._layers = whole
        written = whole if self._aligned is None else self._aligned.learn(whole)
        resumed = Path(self.log_dir) if self._resumed and known is None else None
        self._log_without_step(tags.RUN_INFO, "tensor", False, lambda now: LayersValue(written, step, now, resumed))
        if self._aligned is not None and (unaligned := self._aligned.unaligned()):
            self.report("layers not aligned", unaligned)

    def _in_aligned_names(self, capture: Capture) -> Capture:
        """Return a capture whose layers are called as in the run that this one is aligned to."""
        if self._aligned is None:
            return capture
        if self._layers is None and not self._told_unaligned:
            self._told_unaligned = True
            message = "captures came without a table of the layers, so that they keep their own names."
            self.report("layers not aligned", message)
        renamed = self._aligned.renamed(capture.tags)
        if renamed == capture.tags:
            return capture
        at = dict(zip(capture.tags, renamed, strict=True))
        descriptions = {at.get(tag, tag): text for tag, text in capture.descriptions.items()}
        return capture._replace(tags=renamed, descriptions=descriptions)


def aligned_names(align_to: str | os.PathLike[str] | None) -> AlignedNames | None:
    """Return the names that the layers of a run get, None for their own.

    Args:
        align_to: directory of the other run.

    Raises:
        ArgumentError: it holds no run, several, or one without layers.
    """
    if align_to is None:
        return None
    from multiboard.compare.aligned_names import AlignedNames

    return AlignedNames(align_to)


class LayersValue(NamedTuple):
    """A layer table on its way to the file.

    Attributes:
        table: with the names of the tags.
        step: of the update.
        wall_time: of the call.
        resumed: the directory of a run that goes on, and may hold the table; None for another one.
    """

    table: LayerRows
    step: int
    wall_time: float
    resumed: Path | None

    def expand(self) -> Iterator[Summary]:
        """Yield the table, unless the directory holds it."""
        from multiboard.layer_rows import summary_of
        from multiboard.stored_layers import stored_layers

        if self.resumed is None or stored_layers(self.resumed) != self.table:
            yield summary_of(self.table, self.step, self.wall_time)


def inherit(child: Any, parent: LayersSurface) -> None:
    """Let a child run call layers as its parent does."""
    child._aligned, child._layers, child._resumed = parent._aligned, parent._layers, parent._resumed  # noqa: SLF001
