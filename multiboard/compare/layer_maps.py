"""Which layers belong together as the user says it: for all runs, or for each."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from multiboard import tags
from multiboard.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

LayerMap: TypeAlias = Mapping[str, str] | Mapping[str, Mapping[str, str]] | str | os.PathLike[str]


def layer_maps(given: LayerMap | None, runs: Sequence[str], reference: str = "") -> dict[str, dict[str, str] | None]:
    """Return by run the canonical paths that belong to those of the baseline; None for a run of which nothing was said.

    Args:
        given: paths in all other runs by paths in the baseline; or such a map by run; or a TOML file of either.
        runs: names of the other runs.
        reference: name of a run that may be among those of a map by run; '' if there is none.

    Raises:
        ArgumentError: the file cannot be read, or holds something else, or a name is of no run.
    """
    if given is None:
        return dict.fromkeys((*runs, reference))
    found: Mapping[str, Any] = given if isinstance(given, Mapping) else _from_file(Path(given))
    if not any(isinstance(value, Mapping) for value in found.values()):
        return {reference: None} | dict.fromkeys(runs, _canonical(found))
    known = [*runs, reference] if reference else runs
    for name, value in found.items():
        if not isinstance(value, Mapping):
            raise ArgumentError("layers", value, f"map all of {name!r} and its like in the runs that are named, or no run")
        if name not in known:
            raise ArgumentError("layers", name, f"the runs beside the baseline are {', '.join(known)}")
    return {name: _canonical(found[name]) if name in found else None for name in (*runs, reference)}


def from_reference(
    held: Collection[str], own: Mapping[str, str] | None, mapped: Mapping[str, str] | None
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the paths of the baseline, and those of another run, that belong to paths of the reference.

    Args:
        held: all paths of the reference.
        own: those of the reference by those of the baseline, as far as the user named them; elsewhere the reference has the words
            of the baseline, or of the other run.
        mapped: paths of the other run by those of the baseline.
    """
    own, mapped = own or {}, mapped or {}
    baseline: dict[str, str] = {}
    other: dict[str, str] = {}
    for path in dict.fromkeys((*own, *mapped)):
        there = own.get(path) or next((one for one in (path, mapped.get(path)) if one in held), None)
        if there is not None:
            baseline[there] = path
            other |= {there: mapped[path]} if path in mapped else {}
    return baseline, other


def layer_map(given: LayerMap | None) -> dict[str, str] | None:
    """Return the same for all runs together; None if nothing was given.

    Args:
        given: as in `layer_maps`.

    Raises:
        ArgumentError: the file cannot be read, or holds something else.
    """
    if given is None:
        return None
    found: Mapping[str, Any] = given if isinstance(given, Mapping) else _from_file(Path(given))
    merged: dict[str, str] = {}
    for name, value in found.items():
        merged |= _canonical(value if isinstance(value, Mapping) else {name: value})
    return merged


def _canonical(given: Mapping[str, str]) -> dict[str, str]:
    return {tags.layer_path(mine): tags.layer_path(other) for mine, other in given.items()}


def _from_file(path: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ArgumentError("layers", os.fspath(path), f"the file cannot be read as TOML ({error})") from error
    for name, value in found.items():
        for inner, path_there in value.items() if isinstance(value, dict) else [(name, value)]:
            if not isinstance(path_there, str):
                raise ArgumentError("layers", path_there, f'write lines such as "{inner}" = "path/in/the/other/run"')
    return found
