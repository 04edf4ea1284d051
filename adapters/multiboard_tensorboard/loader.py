"""Offers the Compare tab to TensorBoard, and keeps whatever is wrong with it away from TensorBoard.

TensorBoard imports this module at its start without a safeguard, see `get_dynamic_plugins` of tensorboard/default.py. That is why
it is not a part of `multiboard`: to import that imports numpy and others, and what is broken there would end TensorBoard.
"""

from __future__ import annotations

import logging
from typing import Any

from tensorboard.plugins import base_plugin


class Loader(base_plugin.TBLoader):  # type: ignore[misc]  # tensorboard has no annotations
    """Makes the plugin, or nothing."""

    def load(self, context: Any) -> base_plugin.TBPlugin | None:
        """Return the plugin; None, and one line in TensorBoard's log, if anything is wrong with it.

        Args:
            context: tensorboard.plugins.base_plugin.TBContext.
        """
        try:
            from multiboard_tensorboard.plugin import Plugin

            return Plugin(context) if context.data_provider is not None else None
        except Exception as error:  # noqa: BLE001  # of any package that is broken
            cause = " ".join(f"{type(error).__name__}: {error}".split())
            logging.getLogger("tensorboard").warning("There is no Compare tab, for multiboard cannot be loaded: %s", cause)
            return None
