"""clu's MetricWriter: step first, a mapping of one kind of value after it, each method one call of a `Run` for each entry."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from multiboard.clu import lines
from multiboard.urls import is_url, join
from multiboard.writer.runs import open_run
from multiboard.writer.summaries import step_of, write_tensor, write_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from multiboard.run import Run
    from multiboard.values import Foreign


class MetricWriter:
    """Writes metrics into a run directory, into the log, or both. Usable as a context manager.

    Arguments that all methods share:

    - `step`: an integer, or an array of one element.
    - the mapping: names and values; one name has one kind in a run. Values may be arrays of any framework.

    Args:
        logdir: the run directory; created if missing. What it holds already stays. None writes no files.
        log: write all values to the log `multiboard.clu` at level INFO, too.
        asynchronous: write to the log in a thread; files are always written in one.
        collection: name of a sub-directory, and in each line of the log.

    Attributes:
        run: what is behind the files; None without `logdir`.

    Raises:
        LogDirError: the directory cannot be written.

    Example:
        >>> import tempfile, multiboard.clu
        >>> with multiboard.clu.MetricWriter(tempfile.mkdtemp()) as writer:
        ...     for step in range(3):
        ...         writer.write_scalars(step, {"loss": 1 / (step + 1)})
    """

    def __init__(
        self,
        logdir: str | os.PathLike[str] | None = None,
        *,
        log: bool = False,
        asynchronous: bool = True,
        collection: str | None = None,
    ) -> None:
        self._lines = lines.Lines(collection, asynchronous=asynchronous) if log else None
        self.run = None if logdir is None else open_run(_directory(os.fspath(logdir), collection or ""))

    def write_scalars(self, step: int, scalars: Mapping[str, Foreign]) -> None:
        """Log numbers of one step; they share an event, see `Run.log`."""
        if self._lines:
            self._lines.add(step, scalars, lines.scalars)
        if self.run:
            self.run.log(scalars, step_of(step, self.run))

    def write_images(self, step: int, images: Mapping[str, Foreign]) -> None:
        """Log pictures, see `Run.image`.

        Args:
            step: see the class.
            images: `[N, H, W, C]` or `[H, W, C]`, uint8 (0 to 255) or float (0 to 1).
        """
        if self._lines:
            self._lines.add(step, images, lines.shapes("images"))
        for run, name, value, at in self._entries(step, images):
            run.image(name, value, at, dataformats="HWC" if _rank(value) == len("HWC") else "NHWC")

    def write_videos(self, step: int, videos: Mapping[str, Foreign]) -> None:
        """Log clips as animated pictures, see `Run.video`. Needs Pillow: `multiboard[media]`.

        Args:
            step: see the class.
            videos: `[N, T, H, W, C]` or `[T, H, W, C]`, uint8 (0 to 255) or float (0 to 1).
        """
        if self._lines:
            self._lines.add(step, videos, lines.shapes("videos"))
        for run, name, value, at in self._entries(step, videos):
            run.video(name, value, at, dataformats="THWC" if _rank(value) == len("THWC") else "NTHWC")

    def write_audios(self, step: int, audios: Mapping[str, Foreign], *, sample_rate: int) -> None:
        """Log sound, see `Run.audio`.

        Args:
            step: see the class.
            audios: `[N, T, C]`, float from -1 to 1.
            sample_rate: Hz.
        """
        if self._lines:
            self._lines.add(step, audios, lines.shapes("audios"))
        for run, name, value, at in self._entries(step, audios):
            run.audio(name, value, at, sample_rate=sample_rate)

    def write_texts(self, step: int, texts: Mapping[str, str]) -> None:
        """Log markdown texts, see `Run.text`."""
        if self._lines:
            self._lines.add(step, texts, lines.texts)
        for run, name, value, at in self._entries(step, texts):
            write_text(run, name, value, at)

    def write_histograms(self, step: int, arrays: Mapping[str, Foreign], num_buckets: Mapping[str, int] | None = None) -> None:
        """Log distributions, see `Run.histogram`.

        Args:
            step: see the class.
            arrays: of any shape; may be empty or hold NaN and infinities.
            num_buckets: by name, used in the log. In the files the bucket edges are the same for all tensors, so that
                histograms can be compared.
        """
        if self._lines:
            self._lines.add(step, arrays, lines.histograms(num_buckets or {}))
        for run, name, value, at in self._entries(step, arrays):
            run.histogram(name, value, at)

    def write_summaries(self, step: int, values: Mapping[str, Foreign], metadata: Any = None) -> None:
        """Log tensors with the metadata that names their plugin.

        Args:
            step: see the class.
            values: numbers or strings of any shape. With metadata, a tensor on a device is waited for.
            metadata: by name, or one for all: a SummaryMetadata message or its bytes. Without, numbers are logged for
                `multiboard.read`, see `Run.tensor`.

        Raises:
            ArgumentError: `metadata` is something else.
        """
        if self._lines:
            self._lines.add(step, values, lines.shapes("raw tensors"))
        for run, name, value, at in self._entries(step, values):
            write_tensor(run, name, value, at, metadata.get(name) if isinstance(metadata, Mapping) else metadata)

    def write_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Record the hyper-parameters, once, see `Run.hparams`.

        Args:
            hparams: bools, numbers and strings by name; may be nested, also a `ConfigDict`.
        """
        if self._lines:
            self._lines.add("Hyperparameters", {"": str(hparams)}, lambda values: iter(values.values()))
        if self.run:
            self.run.hparams(_plain(hparams))

    def _entries(self, step: Any, values: Any) -> Iterator[tuple[Run, Any, Any, Any]]:
        """Yield run, name, value and step of each entry; nothing without files."""
        if self.run is None:
            return
        at = step_of(step, self.run)
        if not isinstance(values, Mapping):
            self.run.log(values, at)  # which refuses it
            return
        for name, value in values.items():
            yield self.run, name, value, at

    def flush(self) -> None:
        """Wait until all that was written is in the file and in the log."""
        if self._lines:
            self._lines.flush()
        if self.run:
            self.run.flush()

    def close(self) -> None:
        """Write all that was logged and close the file; a second call does nothing."""
        self._close(success=True)

    def _close(self, *, success: bool) -> None:
        if self._lines:
            self._lines.flush()
        if self.run:
            self.run.close(success=success)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close(success=kind is None)


def create_default_writer(
    logdir: str | os.PathLike[str] | None = None,
    *,
    just_logging: bool = False,
    asynchronous: bool = True,
    collection: str | None = None,
) -> MetricWriter:
    """Return a writer into the log and, on one process of many, into files.

    Args:
        logdir: the run directory; None writes no files.
        just_logging: write no files, e.g. `jax.process_index() > 0`.
        asynchronous: write to the log in a thread; files are always written in one.
        collection: name of a sub-directory, and in each line of the log.

    Raises:
        LogDirError: the directory cannot be written.
    """
    return MetricWriter(None if just_logging else logdir, log=True, asynchronous=asynchronous, collection=collection)


@contextlib.contextmanager
def ensure_flushes(*writers: MetricWriter) -> Iterator[MetricWriter]:
    """Flush writers at the end of a block, however it is left; the first of them is the block's value."""
    try:
        yield writers[0]
    finally:
        for writer in writers:
            writer.flush()


def _directory(logdir: str, collection: str) -> str:
    if is_url(logdir):
        return join(logdir, collection) if collection else logdir
    return os.fspath(Path(logdir, collection))


def _rank(value: Any) -> int:
    return len(getattr(value, "shape", ()))


def _plain(config: Any) -> Any:
    """Return nested mappings as dicts, also those that only behave like one; anything else as it is."""
    return {str(name): _plain(value) for name, value in config.items()} if hasattr(config, "items") else config
