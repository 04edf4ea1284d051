"""Embeddings as the files of TensorBoard's Projector tab; no event carries them.

Each tag and step has a folder of data files below `projector/` in the run, and a block in the run's `projector_config.pbtxt`
(ProjectorConfig, plugins/projector/projector_config.proto).
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import numpy as np
from google.protobuf import text_encoding

from multiboard import media
from multiboard.arrays import fetch_array, framework_of, take_array
from multiboard.errors import ArgumentError, ValueShapeError
from multiboard.kinds.checks import same_shape, shape_before_fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt

    from multiboard.values import Foreign

CONFIG: Final = "projector_config.pbtxt"
LARGEST_SIDE: Final = 8192
"""Pixels of a sprite's side that the Projector can show."""
_BLOCK: Final = re.compile(r"^embeddings \{\n.*?^\}\n", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Embedding:
    """Vectors with what the Projector shows for each.

    Attributes:
        directory: of the run.
        vectors: `[N, D]`.
        metadata: N lines, and a header in front if there are two columns or more; empty for none.
        sprite: pictures `[N, H, W, C]` as taken, with their axes; None for none.
        step: None for an embedding without steps.
        report: receives cause and message of what the Projector cannot draw.
    """

    tag: str
    directory: Path
    vectors: Foreign
    metadata: tuple[str, ...]
    sprite: tuple[Foreign, str] | None
    step: int | None
    report: Callable[[str, str], None]

    def expand(self) -> Iterable[Any]:
        """Write the data files, then the config; there are no values for the event file."""
        folder = Path(
            "projector", quote(self.tag, safe=" ").replace(".", "%2E"), *([] if self.step is None else [str(self.step)])
        )
        (self.directory / folder).mkdir(parents=True, exist_ok=True)
        fields = [("tensor_name", self.name), ("tensor_path", self._write_vectors(folder))]
        if self.metadata:
            fields.append(("metadata_path", self._write(folder / "metadata.tsv", "\n".join(self.metadata).encode() + b"\n")))
        block = "".join(f"  {key}: {_quoted(value)}\n" for key, value in fields)
        _update_config(
            self.directory / CONFIG, self.name, block + (self._write_sprite(folder, *self.sprite) if self.sprite else "")
        )
        return ()

    @property
    def name(self) -> str:
        """The name of the tensor in the Projector."""
        return self.tag if self.step is None else f"{self.tag} (step {self.step})"

    def _write(self, path: Path, data: bytes) -> str:
        (self.directory / path).write_bytes(data)
        return path.as_posix()

    def _write_vectors(self, folder: Path) -> str:
        vectors = fetch_array(self.vectors).astype(np.float32)
        wrong = int((~np.isfinite(vectors).all(axis=1)).sum())
        if wrong:
            message = f"embedding {self.tag!r} has {wrong} of {len(vectors)} vectors that are not finite"
            self.report(f"embedding {self.tag} not finite", f"{message}; the Projector cannot place them.")
        lines = ("\t".join(map(str, row)) for row in vectors)  # a float32 as text is the shortest that reads back exactly
        return self._write(folder / "tensors.tsv", "".join(f"{line}\n" for line in lines).encode())

    def _write_sprite(self, folder: Path, pictures: Foreign, axes: str) -> str:
        pixels = media.to_nhwc(fetch_array(pictures), axes)
        path = self._write(folder / "sprite.png", media.png(grid(pixels)))
        height, width = pixels.shape[1:3]
        return (
            f"  sprite {{\n    image_path: {_quoted(path)}\n    single_image_dim: {width}\n    single_image_dim: {height}\n  }}\n"
        )


def grid(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return pictures `[N, H, W, C]` as one square grid, row by row; empty places are black."""
    number, height, width, channels = pictures.shape
    side = grid_side(number)
    cells = np.zeros((side * side, height, width, channels), np.uint8)
    cells[:number] = pictures
    rows = cells.reshape(side, side, height, width, channels).swapaxes(1, 2)
    return rows.reshape(side * height, side * width, channels)


def grid_side(number: int) -> int:
    """Return how many pictures a row of the square grid holds."""
    return math.isqrt(max(number - 1, 0)) + 1


def _quoted(text: str) -> str:
    return f'"{text_encoding.CEscape(text.encode(), as_utf8=False)}"'


def _update_config(path: Path, name: str, block: str) -> None:
    """Put the block of one tensor into the config, in place of an older one of the same name, by rename."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    first = f"embeddings {{\n  tensor_name: {_quoted(name)}\n"
    kept = _BLOCK.sub(lambda match: "" if match[0].startswith(first) else match[0], text)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(f"{kept.rstrip()}\n".lstrip() + f"embeddings {{\n{block}}}\n", encoding="utf-8")
    new.replace(path)


def take(
    tag: str,
    vectors: Foreign,
    labels: Any,
    columns: Sequence[str] | None,
    sprite: Foreign | None,
    directory: str,
    step: int | None,
    report: Callable[[str, str], None],
) -> Embedding:
    """Return the embedding of one call.

    Raises:
        ValueShapeError: the vectors are not `[N, D]`, or labels or sprite do not fit.
        ArgumentError: the columns do not fit the labels.
    """
    taken = take_array(tag, vectors)
    shape = shape_before_fetch(vectors, taken)
    if len(shape) != 2 or 0 in shape:  # noqa: PLR2004
        raise ValueShapeError(tag, shape, "an embedding is an array [N, D] of N vectors.")
    metadata = () if labels is None else _metadata(tag, labels, columns, shape[0])
    pictures = None if sprite is None else _take_sprite(tag, sprite, shape[0])
    return Embedding(tag, Path(directory), taken, metadata, pictures, step, report)


def _metadata(tag: str, labels: Any, columns: Sequence[str] | None, number: int) -> tuple[str, ...]:
    listed = fetch_array(take_array(tag, labels)).tolist() if framework_of(type(labels)) else list(labels)
    rows = [list(row) if isinstance(row, (list, tuple)) else [row] for row in listed]
    if len(rows) != number:
        raise ValueShapeError(tag, (len(rows),), f"there are {number} vectors, and each needs one label.")
    width = len(rows[0])
    names = list(columns) if columns is not None else [f"label {i}" for i in range(width)]
    if {len(row) for row in rows} != {len(names)}:
        raise ArgumentError("columns", columns, f"every label is a row of one cell per column; the first has {width}")
    return (*(["\t".join(map(_field, names))] if width > 1 else []), *("\t".join(map(_field, row)) for row in rows))


def _field(value: object) -> str:
    return re.sub(r"\s", " ", str(value))


def _take_sprite(tag: str, sprite: Foreign, number: int) -> tuple[Foreign, str]:
    taken = take_array(tag, sprite)
    shape = shape_before_fetch(sprite, taken)
    axes = "NHW" if len(shape) == 3 else media.infer_dataformats(tag, shape)  # noqa: PLR2004
    sizes = dict(zip(axes, shape, strict=True))
    same_shape(tag, "a sprite with one picture for each vector", (sizes.get("N", 1),), (number,))
    if grid_side(number) * max(sizes["H"], sizes["W"]) > LARGEST_SIDE:
        most = LARGEST_SIDE // grid_side(number)
        rule = f"the Projector shows at most {LARGEST_SIDE} pixels a side, so make each picture at most {most} x {most}."
        raise ValueShapeError(tag, shape, rule)
    return taken, axes
