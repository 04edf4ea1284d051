"""A plugin of tox: where CI is set, an environment that has passed is deleted, as all of them take 19 GB of a disk."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from tox.plugin import impl

if TYPE_CHECKING:
    from tox.execute.api import Outcome
    from tox.tox_env.api import ToxEnv


@impl
def tox_after_run_commands(tox_env: ToxEnv, exit_code: int, outcomes: list[Outcome]) -> None:  # noqa: ARG001  # tox names them
    """Delete the environment whose commands have passed."""
    if os.environ.get("CI") and exit_code == 0:
        shutil.rmtree(tox_env.env_dir, ignore_errors=True)
