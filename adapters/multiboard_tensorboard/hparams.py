"""Hyper-parameters, run facts and the status of a run, from the metadata of its hparams session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from multiboard import proto, tags

if TYPE_CHECKING:
    from collections.abc import Iterable

    Values: TypeAlias = dict[str, bool | float | str]

_MARK: Final = f"{tags.FACTS}version/multiboard".encode()
_STATUS: Final = {1: "success", 2: "failure"}


def split(contents: Iterable[bytes]) -> tuple[Values, Values, str]:
    """Return the hyper-parameters, the run facts without their prefix, and the status: 'success', 'failure' or ''.

    Args:
        contents: HParamsPluginData messages (plugins/hparams/plugin_data.proto of tensorflow/tensorboard).
    """
    hparams: Values = {}
    facts: Values = {}
    status = ""
    for content in contents:
        data = _message(content)
        for entry in data.start.hparams:
            value = getattr(entry.value, entry.value.WhichOneof("kind") or "string_value")
            if entry.key.startswith(tags.FACTS):
                facts[entry.key.removeprefix(tags.FACTS)] = value
            else:
                hparams[entry.key] = value
        if data.HasField("end"):
            status = _STATUS.get(data.end.status, "")
    return hparams, facts, status


def _message(content: bytes) -> Any:
    """Return a message, an empty one if the bytes are none: one run that is damaged does not cost the others."""
    try:
        return proto.HParams.FromString(content)
    except Exception:  # noqa: BLE001  # protobuf's DecodeError has moved between versions
        return proto.HParams()


def is_of_multiboard(content: bytes) -> bool:
    """Tell whether multiboard wrote the start of a session: the run facts name its version."""
    return _MARK in content
