"""The backend of Keras: a process has one."""

from __future__ import annotations

from typing import Final

import keras

BACKEND: Final[str] = keras.backend.backend()
"""'tensorflow', 'torch' or 'jax'."""
