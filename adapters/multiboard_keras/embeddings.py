"""The vectors of Embedding layers, for the Projector tab."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import keras

from multiboard.errors import ArgumentError, did_you_mean
from multiboard_keras import weights
from multiboard_keras.layer_paths import layer_paths

if TYPE_CHECKING:
    from multiboard.run import Run

_ARGUMENT: Final = "embeddings_metadata"
_FORMS: Final = "pass a file name, a list of labels, or a dict of 'labels', 'columns' and 'sprite'"


class _Rows(NamedTuple):
    """What is known of the rows of one layer.

    Attributes:
        file: a table of labels, that may not be there yet; relative names start at the run directory.
        labels, columns, sprite: as in `Run.embedding`.
    """

    file: Path | None = None
    labels: Any = None
    columns: Any = None
    sprite: Any = None


class Embeddings:
    """Writes the vectors of all Embedding layers of a model, also of those inside other layers.

    Args:
        metadata: a file name for all layers, or a dict of what is known of the rows, by name or path of a layer: a file name, a
            list of labels or of rows, or a dict of 'labels', 'columns' and 'sprite' as in `Run.embedding`. A file has a line for
            each row, with tabs between its cells; if there are two columns or more its first line names them. It is read when
            vectors are written; relative names start at the run directory.

    Raises:
        ArgumentError: the metadata are something else.
    """

    def __init__(self, metadata: Any = None) -> None:
        self._for_all: _Rows | None = None
        self._by_layer: dict[str, _Rows] = {}
        if isinstance(metadata, (str, os.PathLike)):
            self._for_all = _Rows(Path(metadata))
        elif isinstance(metadata, Mapping):
            self._by_layer = {str(name): _take(name, rows) for name, rows in metadata.items()}
        elif metadata is not None:
            raise ArgumentError(_ARGUMENT, metadata, "pass a file name, or a dict of file names or labels by name of the layer")

    def check(self, model: Any) -> None:
        """Look for the layers that the metadata name; a model that is not built yet may lack some, which `log` reports.

        Raises:
            ArgumentError: there is none of such a name, or it has not as many rows as there are labels or pictures.
        """
        layers = _embedding_layers(model)
        for name in self._unknown(layers) if model.built else ():
            raise ArgumentError(_ARGUMENT, name, _known(layers, name))
        for path, layer in layers.items():
            _check_numbers(path, self._rows_of(path, layer), layer.input_dim)

    def log(self, model: Any, run: Run, step: int) -> None:
        """Write the vectors of this moment, each layer under its path; returns before they are written."""
        layers = _embedding_layers(model)
        for name in self._unknown(layers):
            run.report(f"embedding {name} unknown", f"{_ARGUMENT} name a layer {name!r}; {_known(layers, name)}.")
        for path, layer in layers.items():
            rows = self._rows_of(path, layer)
            labels, columns = rows.labels, rows.columns
            if rows.file is not None:
                labels, columns = _labels_in(rows.file, run, path, layer.input_dim)
            if layer.built:
                vectors = weights.take(layer.embeddings)
                run.embedding(path, vectors, labels=labels, columns=columns, sprite=rows.sprite, step=step)

    def _unknown(self, layers: Mapping[str, Any]) -> list[str]:
        names = {name for path, layer in layers.items() for name in (path, layer.name)}
        return [name for name in self._by_layer if name not in names]

    def _rows_of(self, path: str, layer: Any) -> _Rows:
        for name in (path, layer.name):
            if name in self._by_layer:
                return self._by_layer[name]
        return self._for_all or _Rows()


def _embedding_layers(model: Any) -> dict[str, Any]:
    """Return the Embedding layers of a model by path."""
    return {path: layer for path, layer in layer_paths(model).items() if isinstance(layer, keras.layers.Embedding)}


def _known(layers: Mapping[str, Any], name: str) -> str:
    known = ", ".join(map(repr, layers)) or "none"
    return f"the Embedding layers of this model are: {known}.{did_you_mean(name, layers)}".removesuffix(".")


def _take(name: Any, rows: Any) -> _Rows:
    if isinstance(rows, (str, os.PathLike)):
        return _Rows(Path(rows))
    if isinstance(rows, Mapping):
        if unknown := rows.keys() - {"labels", "columns", "sprite"}:
            raise ArgumentError(_ARGUMENT, sorted(map(str, unknown)), f"what layer {name!r} has is not known; {_FORMS}")
        labels = rows.get("labels")
        return _Rows(None, None if labels is None else list(labels), rows.get("columns"), rows.get("sprite"))
    if isinstance(rows, Sequence) or hasattr(rows, "__array__"):
        return _Rows(None, list(rows))
    raise ArgumentError(_ARGUMENT, rows, f"layer {name!r} needs something else: {_FORMS}")


def _check_numbers(path: str, rows: _Rows, number: int) -> None:
    for what, given in (("labels", rows.labels), ("pictures", rows.sprite)):
        if given is not None and len(given) != number:
            raise ArgumentError(_ARGUMENT, f"{len(given)} {what}", f"layer {path!r} has {number} rows, and each needs one")


def _labels_in(file: Path, run: Run, path: str, number: int) -> tuple[list[list[str]] | None, list[str] | None]:
    """Return rows and names of columns of a file; None for both, and a report, if it cannot be read or does not fit."""
    place = Path(run.log_dir) / file
    try:
        lines = place.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, ValueError) as error:
        _refuse(run, path, place, f"cannot be read ({type(error).__name__}: {error})")
        return None, None
    cells = [line.removesuffix("\r").split("\t") for line in lines]
    columns = cells.pop(0) if len(cells[0]) > 1 else None
    if len(cells) != number:
        _refuse(run, path, place, f"has {len(cells)} rows{' and a header' if columns else ''}, where {number} are needed")
        return None, None
    if {len(row) for row in cells} != {len(columns or cells[0])}:
        _refuse(run, path, place, "has rows of different numbers of cells")
        return None, None
    return cells, columns


def _refuse(run: Run, path: str, place: Path, problem: str) -> None:
    cause = f"metadata of embedding {path}"
    run.report(cause, f"the {cause} are left out: {str(place)!r} {problem}; the vectors are written.")
