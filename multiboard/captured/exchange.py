"""The classes of torch.utils.tensorboard and tensorboardX, made to write what `SummaryWriter` writes.

Their methods are exchanged in place, so that code which imported a class before, inherits from it or asks for it with isinstance
is captured, too. Every writer that is opened then has a `SummaryWriter` of multiboard inside; one without, opened before, goes on
with the methods that it had.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from typing import TYPE_CHECKING, Any, Final, Self

from multiboard.captured.inside import KINDS, Inside
from multiboard.reports import Reports
from multiboard.summary_writer import SummaryWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_INSIDE: Final = "_multiboard"
"""Attribute of a captured object that takes its calls."""
_OTHERS: Final = (
    "add_scalars",
    "add_hparams",
    "add_graph",
    "add_onnx_graph",
    "add_embedding",
    "add_custom_scalars",
    "add_custom_scalars_multilinechart",
    "add_custom_scalars_marginchart",
    "export_scalars_to_json",
    "flush",
)
_FILE_METHODS: Final = (
    "get_logdir",
    "add_event",
    "add_summary",
    "add_graph",
    "add_onnx_graph",
    "flush",
    "close",
    "reopen",
    "use_metadata",
)
_ARGUMENTS: Final = ("comment", "purge_step", "max_queue", "flush_secs", "filename_suffix", "write_to_disk")
_reports: Final = Reports()


class Capture:
    """Undoes a capture; usable as a context manager.

    Attributes:
        active: whether this capture is in force.
    """

    def __init__(self, patch: _Patch) -> None:
        self._patch = patch
        self.active = True
        patch.begin()

    def restore(self) -> None:
        """Give the classes their own methods back, if no other capture needs them; a second call does nothing.

        Writers that were captured are closed, and go on with their own methods, in new files, if they are used again.
        """
        self._end(success=True)

    def _end(self, *, success: bool) -> None:
        if self.active:
            self.active = False
            self._patch.end(success=success)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end(success=kind is None)


def capture_classes(writer_class: type, file_class: type, *, sub_runs: bool) -> Capture:
    """Capture a package.

    Args:
        writer_class: its SummaryWriter.
        file_class: its FileWriter.
        sub_runs: as in `SummaryWriter`; the first capture that is in force decides.
    """
    if writer_class not in _patches:
        _patches[writer_class] = _Patch(writer_class, file_class)
    patch = _patches[writer_class]
    patch.sub_runs = patch.sub_runs if patch.depth else sub_runs
    return Capture(patch)


class _Patch:
    """The methods of one package, its own and ours.

    Args:
        writer_class: its SummaryWriter.
        file_class: its FileWriter.

    Attributes:
        depth: captures that are in force.
        sub_runs: see `capture_classes`.
    """

    def __init__(self, writer_class: type, file_class: type) -> None:
        self.depth, self.sub_runs = 0, False
        self._writer_class, self._file_class = writer_class, file_class
        self._originals: dict[tuple[type, str], Any] = {}
        self._captured: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()

    def begin(self) -> None:
        """Exchange the methods at the first capture."""
        self.depth += 1
        if self.depth > 1:
            return
        self._exchange(self._writer_class, "__init__", self._writer_init)
        self._exchange(self._writer_class, "_get_file_writer", self._file_writer_method)
        self._exchange(self._writer_class, "close", _closing)
        self._exchange(self._writer_class, "__exit__", _exiting)
        for name in (*KINDS, *_OTHERS):
            self._exchange(self._writer_class, name, functools.partial(_calling, name))
        self._exchange(self._file_class, "__init__", self._file_init)
        for name in _FILE_METHODS:
            self._exchange(self._file_class, name, functools.partial(_passing, name))

    def _exchange(self, owner: type, name: str, make: Callable[[Any], Any]) -> None:
        original = owner.__dict__.get(name)
        if original is not None:
            self._originals[owner, name] = original
            setattr(owner, name, functools.wraps(original)(make(original)))

    def end(self, *, success: bool) -> None:
        """Give the methods back at the end of the last capture.

        Args:
            success: whether the writers that are open have come to a good end.
        """
        self.depth -= 1
        if self.depth:
            return
        for (owner, name), original in self._originals.items():
            setattr(owner, name, original)
        self._originals.clear()
        for writer in list(self._captured.values()):
            inside = vars(writer).pop(_INSIDE)
            inside.succeeds = inside.succeeds and success
            inside.close()
            writer.file_writer = writer.all_writers = writer.purge_step = None
        self._captured.clear()

    def _writer_init(self, original: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(original)

        def init(writer: Any, *arguments: Any, **named: Any) -> None:
            bound = signature.bind(writer, *arguments, **named)
            bound.apply_defaults()
            given = bound.arguments
            first = next(name for name in ("log_dir", "logdir") if name in given)
            inside = Inside(functools.partial(self._open, given), sub_runs=self.sub_runs)
            given |= {name: None for name in ("log_dir", "logdir") if name in given} | {first: inside.writer.log_dir}
            vars(writer)[_INSIDE] = inside
            self._captured[id(writer)] = writer
            original(*bound.args, **bound.kwargs)  # its attributes; it opens no file, for `_get_file_writer` is ours

        return init

    def _open(self, given: dict[str, Any], log_dir: str | None) -> SummaryWriter:
        known = {name: given[name] for name in _ARGUMENTS if given.get(name) is not None}
        return SummaryWriter(log_dir or given.get("log_dir") or given.get("logdir"), **known, sub_runs=self.sub_runs)

    def _file_writer_method(self, original: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def get_file_writer(writer: Any) -> Any:
            inside = vars(writer).get(_INSIDE)
            if inside is None:
                return original(writer)
            if vars(writer).get("file_writer") is None or vars(writer).get("all_writers") is None:
                writer.file_writer = self._wrapped(inside)
                writer.all_writers = {inside.writer.log_dir: writer.file_writer}
            return writer.file_writer

        return get_file_writer

    def _file_init(self, original: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(original)

        def init(writer: Any, *arguments: Any, **named: Any) -> None:
            given = signature.bind(writer, *arguments, **named).arguments
            _take_over(writer, Inside(functools.partial(self._open, given)))

        return init

    def _wrapped(self, inside: Inside) -> Any:
        """Return a file writer of the package, so that isinstance and methods of its own find what they know."""
        return _take_over(object.__new__(self._file_class), inside)


_patches: Final[dict[type, _Patch]] = {}


def _take_over(file_writer: Any, inside: Inside) -> Any:
    vars(file_writer).update({_INSIDE: inside, "event_writer": inside.writer.file_writer.event_writer, "_default_metadata": {}})
    return file_writer


def _calling(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def method(writer: Any, *arguments: Any, **named: Any) -> Any:
        inside = vars(writer).get(_INSIDE)
        if inside is None:
            _say_open_before(writer)
            return original(writer, *arguments, **named)
        return inside.call(name, arguments, named)

    return method


def _passing(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def method(writer: Any, *arguments: Any, **named: Any) -> Any:
        inside = vars(writer).get(_INSIDE)
        return original(writer, *arguments, **named) if inside is None else inside.call_file_writer(name, arguments, named)

    return method


def _closing(original: Callable[[Any], None]) -> Callable[[Any], None]:
    def close(writer: Any) -> None:
        inside = vars(writer).get(_INSIDE)
        if inside is None:
            original(writer)
        else:
            inside.close()
            writer.file_writer = writer.all_writers = None

    return close


def _exiting(original: Callable[..., None]) -> Callable[..., None]:
    def leave(writer: Any, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        inside = vars(writer).get(_INSIDE)
        if inside is not None:
            inside.succeeds = kind is None
        original(writer, kind, error, trace)  # calls `close`, perhaps that of a subclass

    return leave


def _say_open_before(writer: Any) -> None:
    message = (
        f"a {type(writer).__name__} of {type(writer).__module__} was open before capture(); it goes on as it was. "
        "Call capture() first, or open the writer again."
    )
    _reports.add("open before capture", message)
