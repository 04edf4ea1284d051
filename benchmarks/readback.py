"""What a logger has really written: read back completely after the clocks have stopped.

Nobody checks themselves: the files of multiboard are read with TensorBoard's loader, those of the peers with `multiboard.read`,
or with the few lines for their formats here.
"""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import struct
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

Point = tuple[str, int, float]


def check_scalars(form: str, log_dir: str, expected: dict[str, npt.NDArray[Any]]) -> str:
    """Compare the numbers in a directory, as float32 and in the order of their steps, with what was logged.

    Args:
        form: of `contenders.Logger`.
        log_dir: closed.
        expected: numbers by tag; the step of the first is 0, of the next 1, ...

    Returns:
        Who read them.

    Raises:
        ValueError: a number is missing, wrong, or at another step.
    """
    reader, read = _SCALAR_READERS[_independent(form)]
    found: dict[str, dict[int, float]] = defaultdict(dict)
    count = 0
    for tag, step, value in read(Path(log_dir)):
        found[tag][step] = value
        count += 1
    if count != sum(map(len, expected.values())) or found.keys() != expected.keys():
        raise ValueError(f"{count} numbers of {len(found)} tags instead of {sum(map(len, expected.values()))} of {len(expected)}")
    for tag, numbers in expected.items():
        read_back = np.array([found[tag].get(step, np.nan) for step in range(len(numbers))], np.float32)
        if not np.array_equal(read_back, numbers.astype(np.float32)):
            raise ValueError(f"{tag}: wrong numbers or steps")
    return reader


def check_images(form: str, log_dir: str, expected: npt.NDArray[np.uint8]) -> str:
    """Compare the pictures in a directory with what was logged, pixel by pixel; see `check_scalars`.

    Args:
        form: of `contenders.Logger`.
        log_dir: closed.
        expected: pixels `[N, H, W, C]`; the step of a picture is its index.
    """
    from PIL import Image

    reader, read = _IMAGE_READERS[_independent(form)]
    pictures = list(read(Path(log_dir)))
    if len(pictures) != len(expected):
        raise ValueError(f"{len(pictures)} pictures instead of {len(expected)}")
    for picture, pixels in zip(pictures, expected, strict=True):
        if not np.array_equal(np.asarray(Image.open(io.BytesIO(picture))), pixels):
            raise ValueError("wrong pixels")
    return reader


def numbers_of(form: str, log_dir: Path) -> Iterator[Point]:
    """Yield tag, step and value of all scalars in a directory where there are histograms, too."""
    if form != "ours":
        yield from _SCALAR_READERS[form][1](log_dir)
        return
    for step, value in _values_of_tensorboard(log_dir):
        if value.tensor.float_val:
            yield value.tag, step, value.tensor.float_val[0]


def _independent(form: str) -> str:
    return "events" if form == "ours" and not find_spec("tensorboard") else form


def _event_files(log_dir: Path) -> list[str]:
    return sorted(map(str, log_dir.rglob("*tfevents*")))


def _values_of_tensorboard(log_dir: Path) -> Iterator[tuple[int, Any]]:
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    for path in _event_files(log_dir):
        for event in LegacyEventFileLoader(path).Load():
            for value in event.summary.value:
                if not value.tag.startswith("_hparams_/"):  # the run facts
                    yield event.step, value


def _scalars_of_tensorboard(log_dir: Path) -> Iterator[Point]:
    from tensorboard.util.tensor_util import make_ndarray

    for step, value in _values_of_tensorboard(log_dir):
        yield value.tag, step, float(make_ndarray(value.tensor))


def _scalars_of_multiboard(log_dir: Path) -> Iterator[Point]:
    import multiboard

    for tag, column in multiboard.read(log_dir)["."].scalars.items():
        for step, value in zip(column.step.tolist(), column.value.tolist(), strict=True):
            yield tag, step, value


def _scalars_of_csv(log_dir: Path) -> Iterator[Point]:
    with (log_dir / "scalars.csv").open(newline="") as file:
        for tag, value, step in csv.reader(file):
            yield tag, int(step), float(value)


def _scalars_of_trackio(log_dir: Path) -> Iterator[Point]:
    with sqlite3.connect(log_dir / "bench.db") as database:
        for step, metrics in database.execute("SELECT step, metrics FROM metrics"):
            for tag, value in json.loads(metrics).items():
                yield tag, step, value


def _history_of_wandb(log_dir: Path) -> Iterator[tuple[str, int, Any]]:
    """Yield key, step and value of everything that was logged."""
    from wandb.proto.wandb_internal_pb2 import Record

    for data in _records_of_wandb(next(log_dir.glob("wandb/offline-run-*/run-*.wandb")).read_bytes()):
        history = Record.FromString(data).history
        for item in history.item:
            tag = item.key or ".".join(item.nested_key)
            if not tag.startswith("_"):
                yield tag, history.step.num, json.loads(item.value_json)


def _records_of_wandb(data: bytes) -> Iterator[bytes]:
    """Yield the records of a LevelDB log: blocks of 32 KiB; each part behind checksum, length and type; 7 bytes first."""
    position, record = 7, b""
    while position + 7 <= len(data):
        if 32768 - position % 32768 < 7:
            position += 32768 - position % 32768
            continue
        _, length, part = struct.unpack_from("<IHB", data, position)
        record += data[position + 7 : position + 7 + length]
        position += 7 + length
        if part in {1, 4}:  # whole, or the last part
            yield record
            record = b""


def _images_of_tensorboard(log_dir: Path) -> Iterator[bytes]:
    for _, value in _values_of_tensorboard(log_dir):
        yield value.tensor.string_val[2]  # after width and height


def _images_of_multiboard(log_dir: Path) -> Iterator[bytes]:
    import multiboard

    for column in multiboard.read(log_dir)["."].images.values():
        for files in column.value:
            yield from files


def _images_of_wandb(log_dir: Path) -> Iterator[bytes]:
    files = next(log_dir.glob("wandb/offline-run-*/files"))
    for key, _, value in _history_of_wandb(log_dir):
        if key.endswith(".path"):
            yield (files / value).read_bytes()


def _images_of_pillow(log_dir: Path) -> Iterator[bytes]:
    return (path.read_bytes() for path in sorted(log_dir.glob("*.png")))


_SCALAR_READERS: dict[str, tuple[str, Callable[[Path], Iterator[Point]]]] = {
    "ours": ("TensorBoard", _scalars_of_tensorboard),
    "events": ("multiboard", _scalars_of_multiboard),
    "csv": ("csv", _scalars_of_csv),
    "trackio": ("sqlite3", _scalars_of_trackio),
    "wandb": ("its own messages", _history_of_wandb),
}
_IMAGE_READERS: dict[str, tuple[str, Callable[[Path], Iterator[bytes]]]] = {
    "ours": ("TensorBoard", _images_of_tensorboard),
    "events": ("multiboard", _images_of_multiboard),
    "wandb": ("Pillow", _images_of_wandb),
    "png": ("Pillow", _images_of_pillow),
}
