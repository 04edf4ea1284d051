"""What a captured writer of another package writes to: a `SummaryWriter`, and one for each forked process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from multiboard.errors import MultiboardError, cause_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from multiboard.summary_writer import SummaryWriter

KINDS: Final = {
    "add_scalar": "scalar",
    "add_histogram": "histogram",
    "add_histogram_raw": "histogram",
    "add_image": "image",
    "add_images": "image",
    "add_image_with_boxes": "image",
    "add_figure": "image",
    "add_video": "video",
    "add_audio": "audio",
    "add_text": "text",
    "add_pr_curve": "pr_curve",
    "add_pr_curve_raw": "pr_curve",
    "add_mesh": "mesh",
    "add_tensor": "tensor",
}
"""Kind of a tag by the method that logs it."""
_OWN: Final = {"add_hparams": "_add_hparams", "add_scalars": "_add_scalars"}
_ENDS: Final = frozenset({"flush", "close"})
"""Methods that a forked process need not call for what its parent has logged."""


class Inside:
    """What a captured writer writes to.

    Args:
        open_writer: opens a writer in a directory; None is the one that its caller has named.
        sub_runs: whether the writer opens a run for each `add_hparams`.

    Attributes:
        succeeds: whether what it logs has come to a good end so far.
    """

    def __init__(self, open_writer: Callable[[str | None], SummaryWriter], *, sub_runs: bool = False) -> None:
        self._open, self._sub_runs = open_writer, sub_runs
        self._writer = open_writer(None)
        self.succeeds = True
        self._process = os.getpid()
        self._tags: dict[str, str] = {}
        self._hparams = ""

    @property
    def _is_of_parent(self) -> bool:
        return os.getpid() != self._process

    @property
    def writer(self) -> SummaryWriter:
        """The writer of this process: a forked one has its own, for it cannot write into the file of its parent."""
        if self._is_of_parent:
            self._process = os.getpid()
            self._writer = self._open(os.path.join(self._writer.log_dir, f"process_{self._process}"))  # noqa: PTH118
        return self._writer

    def close(self) -> None:
        """Close the writer, unless it is that of the parent."""
        if not self._is_of_parent:
            error = None if self.succeeds else RuntimeError
            self._writer.__exit__(error, None, None)

    def call(self, name: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call a method; what multiboard refuses is said, and raises nothing where the peers would not have raised."""
        if name in _ENDS and self._is_of_parent:
            return None
        writer = self.writer
        if kind := KINDS.get(name):
            arguments, named = self._with_own_tag(kind, arguments, named)
        method = getattr(self, _OWN[name]) if name in _OWN else getattr(writer, name)
        try:
            return method(*arguments, **named)
        except MultiboardError as error:
            writer.run.report(cause_of(error, name), f"{name}: {error}")
            return None

    def call_file_writer(self, name: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call a method of the file writer."""
        if name in _ENDS and self._is_of_parent:
            return None
        return getattr(self.writer.file_writer, name)(*arguments, **named)

    def _with_own_tag(
        self, kind: str, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        tag = arguments[0] if arguments else named.get("tag")
        if type(tag) is not str or self._tags.setdefault(tag, kind) == kind:
            return arguments, named
        own = self._own_tag(tag, kind)
        return ((own, *arguments[1:]), named) if arguments else ((), {**named, "tag": own})

    def _own_tag(self, tag: str, kind: str) -> str:
        """Return the tag, or another one for its second kind: the peers take both, TensorBoard shows one of them."""
        known = self._tags.setdefault(tag, kind)
        if known == kind:
            return tag
        other = f"{tag}/{kind}"
        message = f"tag {tag!r} is a {known} in this run; what is {kind} is written as {other!r}."
        self._writer.run.report(f"two kinds of {tag}, {kind}", message)
        return other

    def _add_scalars(self, main_tag: Any, tag_scalar_dict: Any, *arguments: Any, **named: Any) -> None:
        if isinstance(tag_scalar_dict, Mapping) and not self._sub_runs:
            begin = len(f"{main_tag}/")
            own = {name: self._own_tag(f"{main_tag}/{name}", "scalar")[begin:] for name in tag_scalar_dict}
            tag_scalar_dict = {own[name]: value for name, value in tag_scalar_dict.items()}
        self.writer.add_scalars(main_tag, tag_scalar_dict, *arguments, **named)

    def _add_hparams(self, hparam_dict: Any, metric_dict: Any, *arguments: Any, **named: Any) -> None:
        """Record the first set in the run, and each further one in a run of its own, as the peers do with all."""
        writer = self.writer
        is_named = any(isinstance(text, str) for text in (*arguments, named.get("name"), named.get("run_name")))
        if is_named or self._sub_runs:
            writer.add_hparams(hparam_dict, metric_dict, *arguments, **named)
            return
        self._hparams = self._hparams or repr(dict(hparam_dict))
        if self._hparams != repr(dict(hparam_dict)):
            writer.add_hparams(hparam_dict, metric_dict, *arguments, **named, sub_runs=True)
            return
        writer.add_hparams(hparam_dict, metric_dict, *arguments, **named)
