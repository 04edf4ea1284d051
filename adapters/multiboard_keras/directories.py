"""Directories of runs and sessions: readable names, and one that nobody else has."""

from __future__ import annotations

import os
import re
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME_LENGTH: Final = 120
"""Characters, all ASCII: file systems take 255 bytes, and a suffix may follow."""


def trial_name(hparams: Mapping[str, Any]) -> str:
    """Return hyper-parameters as the name of a directory; two sets may have the same one.

    >>> trial_name({"lr": 0.001, "optimizer/name": "adam w"})
    'lr=0.001,optimizer_name=adam_w'
    """
    name = ",".join(f"{key}={value}" for key, value in hparams.items())
    return re.sub(r"[^\w.,=+-]", "_", name, flags=re.ASCII)[:_NAME_LENGTH] or "trial"


def claim_directory(parent: str | os.PathLike[str], name: str) -> str:
    """Make a directory that did not exist and return it: of this name, or with '_1', '_2' and so on behind it.

    If none can be made, the first one is returned, for its user to say why.
    """
    for number in count():
        directory = Path(parent, f"{name}_{number}" if number else name)
        try:
            directory.mkdir(parents=True)
        except FileExistsError:
            if Path(parent).is_dir():
                continue
        except OSError:
            pass  # whoever writes there says why
        return os.fspath(directory)
    raise AssertionError  # count() has no end
