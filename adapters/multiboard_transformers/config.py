"""The hyper-parameters of a Trainer: its arguments and the configuration of the model, without secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

_SECRET: Final = re.compile(r"token$|api_?key|passw|pwd|secret|credential", re.IGNORECASE)
_LABELS: Final = {"id2label", "label2id"}
"""Of a classifier: one entry per class, which would be a column each."""


def hyper_parameters(arguments: Any, model: Any) -> dict[str, Any]:
    """Return what `Run.hparams` takes: the TrainingArguments by name, the model's configuration below 'model'.

    Left out are entries that are None, tables of labels, and names that sound like secrets, such as 'hub_token'.
    """
    found = _shown(arguments.to_dict())
    config: Any = getattr(model, "config", None)
    if hasattr(config, "to_dict"):
        found["model"] = _shown(config.to_dict())
    return found


def _shown(entries: Mapping[str, Any]) -> dict[str, Any]:
    shown = {}
    for name, value in entries.items():
        if value is None or name in _LABELS or _SECRET.search(str(name)):
            continue
        shown[str(name)] = _shown(value) if isinstance(value, Mapping) else value
    return shown
