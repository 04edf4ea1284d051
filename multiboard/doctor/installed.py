"""Installed packages by their metadata: versions, and what they require."""

from __future__ import annotations

import re
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class Installed:
    """The packages of this interpreter; none of them is imported.

    Attributes:
        can_compare: whether versions can be compared: the package `packaging`, which TensorBoard brings, is there.
    """

    def __init__(self) -> None:
        self.can_compare = find_spec("packaging") is not None
        self._found: dict[str, metadata.Distribution | None] = {}

    def version(self, name: str) -> str:
        """Return the version of a distribution, '' if it is not installed, '?' if it does not say."""
        found = self._distribution(name)
        if found is None:
            return ""
        return found.metadata["Version"] or "?"

    def first(self, *names: str) -> str:
        """Return the first of some distributions that is installed, '' if none is."""
        return next((name for name in names if self.version(name)), "")

    def requirements(self, name: str, extra: str = "") -> Iterator[tuple[str, Any]]:
        """Yield the name of each distribution that one requires here, and the versions that it takes.

        Args:
            name: of the distribution.
            extra: one of its extras, whose requirements come as well.
        """
        found = self._distribution(name)
        if found is None or not self.can_compare:
            return
        from packaging.requirements import InvalidRequirement, Requirement

        for text in found.requires or ():
            try:
                one = Requirement(text)
            except InvalidRequirement:
                continue
            if one.marker is None or one.marker.evaluate({"extra": extra}):
                yield one.name, one.specifier

    def fits(self, name: str, versions: Any) -> bool:
        """Tell whether the installed version of a distribution is one of those that are taken."""
        from packaging.version import InvalidVersion

        try:
            return bool(versions.contains(self.version(name), prereleases=True))
        except InvalidVersion:
            return True

    def entry_points(self, group: str) -> dict[str, str]:
        """Return the distribution of each entry point of a group by its name."""
        return {point.name: point.dist.name if point.dist else "?" for point in metadata.entry_points(group=group)}

    def _distribution(self, name: str) -> metadata.Distribution | None:
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key not in self._found:
            try:
                self._found[key] = metadata.distribution(name)
            except metadata.PackageNotFoundError:
                self._found[key] = None
        return self._found[key]


def directory_of(module: str) -> Path | None:
    """Return the directory of a top-level package, None if it is not there; it is not imported."""
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(next(iter(spec.submodule_search_locations))) if spec and spec.submodule_search_locations else None
