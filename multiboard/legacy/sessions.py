"""Hyper-parameters of other writers: numbers that are not finite become strings, for as numbers they vanish from the table.

Messages: HParamsPluginData (tensorboard/plugins/hparams/plugin_data.proto).
"""

from __future__ import annotations

import math

from multiboard import proto


def without_nonfinite(content: bytes) -> bytes:
    """Return the content of the metadata of a session; the bytes are the same if all its numbers are finite.

    Args:
        content: a serialised HParamsPluginData.
    """
    data = proto.HParams.FromString(content)
    bad = [
        entry.value
        for entry in data.start.hparams
        if entry.value.WhichOneof("kind") == "number_value" and not math.isfinite(entry.value.number_value)
    ]
    for value in bad:
        value.string_value = str(value.number_value)
    changed: bytes = data.SerializeToString()
    return changed if bad else content
