"""Events of other writers to events as multiboard writes them: the tensor form, one kind per tag, metadata with the first value.

Wall times, steps and everything that is no summary stay as they are. An event that is in this form comes back unchanged but for
metadata that an earlier one has given.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from multiboard import proto, wire
from multiboard.decode import CONCEPTUAL_GRAPHS, GRAPHS, TIMED_GRAPHS
from multiboard.fields import fields
from multiboard.legacy.forms import (
    AUDIO,
    HISTO,
    IMAGE,
    ONE,
    SIMPLE_VALUE,
    TENSOR,
    Content,
    Formed,
    audio,
    images,
    wav_content,
)
from multiboard.legacy.sessions import without_nonfinite
from multiboard.legacy.values import Value, is_event, is_message, read_value, samples

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_BYTES: Final = 2
_VERSION, _SUMMARY = (3, _BYTES), (5, _BYTES)
_TIME, _STEP = 1, 2
_METADATA: Final = 9
_PLUGINS: Final = {SIMPLE_VALUE: "scalars", HISTO: "histograms", IMAGE: "images", AUDIO: "audio"}
"""Of the older fields."""
_GRAPHS: Final = frozenset({GRAPHS, TIMED_GRAPHS, CONCEPTUAL_GRAPHS})
_DATA_CLASSES: Final = {"scalars": wire.SCALAR, "images": wire.BLOB_SEQUENCE, "audio": wire.BLOB_SEQUENCE}
"""Of plugins whose values are not TENSOR."""
_RAW, _RAW_VERSION = "multiboard", b"\x01"
"""Plugin of tensors that only `multiboard.read` returns, and the content of their metadata."""
_NAMES: Final = {"scalars": "scalar", "histograms": "histogram", "images": "image", "pr_curves": "pr_curve", _RAW: "tensor"}
"""Kind by plugin, where the names differ."""
_TORCH_TENSOR: Final = "tensor"
"""What `add_tensor` of torch.utils.tensorboard calls its plugin, which TensorBoard does not have."""


class Say(Protocol):
    """Takes what was changed on the way."""

    def __call__(self, cause: str, message: str, count: int = 1) -> None:
        """Count a cause.

        Args:
            cause: a short key, the same for all occurrences.
            message: one sentence that names a tag.
            count: how often.
        """


class Normaliser:
    """Brings the events of one run into the form that multiboard writes.

    Args:
        say: receives what could not be kept as it was.
        renamed: new tags by old ones.
        always_describe: every value has its metadata; for a writer that begins new files without telling.

    Attributes:
        counts: values so far by kind.
    """

    def __init__(self, say: Say, *, renamed: Mapping[str, str] | None = None, always_describe: bool = False) -> None:
        self.counts: Counter[str] = Counter()
        self._described: set[str] = set()
        self._say = say
        self._renamed = renamed or {}
        self._always = always_describe
        self._plugins: dict[str, str] = {}
        self._metadata: dict[str, bytes] = {}

    def begin_file(self) -> None:
        """Describe all tags once more: every file can be read alone."""
        self._described = set()

    def event(self, payload: bytes) -> bytes:
        """Return an event in the tensor form, empty if nothing of it is left (a file version).

        Args:
            payload: a serialised Event.

        Raises:
            ValueError: the bytes are no Event, or hold less than they say.
        """
        parts: list[bytes] = []
        values: list[Value] = []
        last, holds = 0, False
        for number, kind, begin, end in fields(payload, 0, len(payload)):
            if (number, kind) == _SUMMARY:
                values += [read_value(payload, b, e) for n, w, b, e in fields(payload, begin, end) if (n, w) == (1, _BYTES)]
            elif (number, kind) != _VERSION:
                parts.append(payload[last:end])
                holds = holds or number not in {_TIME, _STEP}
            last = end
        if holds and not is_event(rest := b"".join(parts)):
            raise ValueError(f"{len(rest)} bytes beside the values are no part of an Event")
        if values:
            parts.append(wire.message(5, *self._normalised(values)))
        return b"".join(parts) if values or holds else b""

    @property
    def tags(self) -> Collection[str]:
        """All tags so far."""
        return self._plugins.keys()

    def new_tag(self, tag: str) -> str:
        """Return the tag that values of a tag get."""
        return self._renamed.get(tag, tag)

    def has_described_scalar(self, tag: str) -> bool:
        """Tell whether a new tag is a scalar and has its metadata in the file, so that its numbers only go on."""
        return tag in self._described and self._plugins.get(tag) == "scalars"

    def _normalised(self, values: list[Value]) -> Iterator[bytes]:
        for group in samples(values):
            try:
                yield self._one(group)
            except Exception as error:  # noqa: BLE001  # protobuf's DecodeError, a shape that lies: one value does not cost the others
                self._say("unreadable values", f"tag {group[0].tag!r} has content that cannot be read: {error}", len(group))
                yield b"".join(wire.message(1, value.data) for value in group if is_message(value))

    def _one(self, group: list[Value]) -> bytes:
        """Return the Summary.Value field of a value, or of several samples of one step."""
        first = group[0]
        tag = self.new_tag(first.tag if len(group) == 1 else first.tag.rpartition("/")[0])
        given = proto.SummaryMetadata.FromString(first.metadata)
        plugin = _PLUGINS.get(first.content.form) or given.plugin_data.plugin_name or self._plugins.get(tag) or _lone(first)
        plugin = _RAW if plugin == _TORCH_TENSOR else plugin
        if not first.content.form and plugin != "hparams":
            self._say("values without content", f"tag {tag!r} has a value without content, which is left out.")
            return b""
        with np.errstate(over="ignore", invalid="ignore"):  # signalling NaNs and doubles where floats belong are data
            formed = _formed(plugin, [value.content for value in group])
        plugin = _RAW if formed.alien else plugin
        self.counts[_NAMES.get(plugin, plugin)] += 1
        for cause, rest in formed.lost:
            self._say(cause, f"tag {tag!r} {rest}")
        name = self._claimed(tag, plugin)
        if name not in self._metadata:
            self._metadata[name] = _described(first, plugin)
        new = self._always or name not in self._described or plugin == "hparams"
        self._described.add(name)
        return wire.summary_value(name, self._metadata_of(name, plugin, first) if new else b"", formed.field)

    def _metadata_of(self, name: str, plugin: str, value: Value) -> bytes:
        """Return the metadata of a tag; of hparams, where it is the value, that of each."""
        if plugin != "hparams" or not value.metadata:
            return self._metadata[name]
        given = proto.SummaryMetadata.FromString(value.metadata)
        given.plugin_data.content = without_nonfinite(given.plugin_data.content)
        return _described(value._replace(metadata=given.SerializeToString()), plugin)

    def _claimed(self, tag: str, plugin: str) -> str:
        """Return the tag, or another one if this one has another kind: TensorBoard shows one of them only."""
        name, kind = tag, _NAMES.get(plugin, plugin)
        while self._plugins.setdefault(name, plugin) != plugin:
            name = f"{name}/{kind}"
        if name != tag:
            self._say("two kinds of one tag", f"tag {tag!r} has two kinds; what is {kind} goes on as {name!r}.")
        return name


def _formed(plugin: str, contents: list[Content]) -> Formed:
    if plugin == "images":
        return images(contents)
    if plugin == "audio":
        return audio(contents)
    form = ONE.get(plugin)
    return form(contents[0]) if form else Formed(contents[0].field)


def _lone(value: Value) -> str:
    """Return the plugin of a value that nothing describes: one number is a scalar, anything else is for `multiboard.read`."""
    tensor = value.content.tensor() if value.content.form == TENSOR else None
    is_number = tensor is not None and not tensor.tensor_shape.dim and tensor.dtype != wire.DT_STRING
    return "scalars" if is_number else _RAW


def _described(value: Value, plugin: str) -> bytes:
    """Return the metadata field of a tag; what the first value says stays, and what TensorBoard needs is added."""
    metadata = proto.SummaryMetadata.FromString(value.metadata)
    if metadata.plugin_data.plugin_name != plugin:
        content = _RAW_VERSION if plugin == _RAW else b""
        metadata.plugin_data.content = wav_content([value.content]) if plugin == "audio" else content
        metadata.data_class = 0
    metadata.plugin_data.plugin_name = plugin
    if not metadata.data_class and plugin not in _GRAPHS:
        metadata.data_class = _DATA_CLASSES.get(plugin, wire.TENSOR)
    data: bytes = metadata.SerializeToString()
    return wire.message(_METADATA, data)
