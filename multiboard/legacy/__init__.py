"""Summaries of other writers and older times in the tensor form that multiboard writes (see `multiboard.legacy.normaliser`).

`multiboard convert` and the file writers that other packages hand finished messages to go through the same function.
"""

from multiboard.legacy.normaliser import Normaliser, Say

__all__ = ["Normaliser", "Say"]
