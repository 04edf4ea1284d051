"""Mirrors: observers that send what a run writes on to another place, found by name.

A package offers one by an entry point of the group `multiboard.mirrors`, which names something that is called with the run and
returns an `Observer`:

    [project.entry-points."multiboard.mirrors"]
    mine = "my_package.mirror:Mirror"
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from multiboard.entry_points import declared
from multiboard.errors import ArgumentError, MissingFrameworkError, did_you_mean

if TYPE_CHECKING:
    from multiboard.protocols import Observer
    from multiboard.run import Run

GROUP: Final = "multiboard.mirrors"
_BUILT_IN: Final = {"wandb": ("multiboard_bridges.wandb", "W&B")}
"""By name: the module of its `Mirror`, and what it needs."""


def open_mirror(name: str, run: Run) -> Observer:
    """Open a mirror for a run.

    Args:
        name: 'wandb', or one that an installed package offers.
        run: that is mirrored.

    Raises:
        ArgumentError: there is no such mirror, or it is broken.
        MissingFrameworkError: it needs a package that is not installed.
    """
    if name in _BUILT_IN:
        module, needed = _BUILT_IN[name]
        try:
            mirror: Any = import_module(module).Mirror
        except ImportError as error:
            raise MissingFrameworkError(f"mirror={name!r}", needed, name) from error
        return mirror(run)  # type: ignore[no-any-return]
    offered = declared(GROUP)
    if name not in offered:
        known = [*_BUILT_IN, *offered]
        hint = did_you_mean(name, known)
        raise ArgumentError("mirror", name, f"use any of {', '.join(map(repr, known))}, or an Observer.{hint}".removesuffix("."))
    try:
        mirror = offered[name].load()
    except Exception as error:  # whatever a foreign package does when it is imported
        problem = f"its package cannot be imported ({type(error).__name__}: {error}); install what it needs, or another version"
        raise ArgumentError("mirror", name, problem) from error
    return mirror(run)  # type: ignore[no-any-return]
