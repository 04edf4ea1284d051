"""How large updates are beside their parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiboard import tags

if TYPE_CHECKING:
    from collections.abc import Mapping


def update_ratios(norms: Mapping[str, float]) -> dict[str, float]:
    """Return the norm of each update over that of its parameter, and of all updates over all their parameters, by tag.

    The ratio to a parameter of zeros is left out.

    Args:
        norms: by tag, e.g. 'updates/dense/kernel' and 'params/dense/kernel'.

    >>> update_ratios({"params/a": 4.0, "params/b": 3.0, "params/frozen": 9.0, "updates/a": 1.0, "updates/b": 0.0})
    {'update_ratio/a': 0.25, 'update_ratio/b': 0.0, 'update_ratio': 0.2}
    """
    prefix = f"{tags.UPDATES}/"
    pairs = {tag.removeprefix(prefix): norm for tag, norm in norms.items() if tag.startswith(prefix)}
    found = {path: (norm, norms.get(f"{tags.PARAMS}/{path}", 0.0)) for path, norm in pairs.items()}
    found = {path: pair for path, pair in found.items() if pair[1]}
    result = {tags.update_ratio(path): update / norm for path, (update, norm) in found.items()}
    if found:
        updates, params = (sum(pair[side] ** 2 for pair in found.values()) for side in (0, 1))
        result[tags.UPDATE_RATIO] = float((updates / params) ** 0.5)
    return result
