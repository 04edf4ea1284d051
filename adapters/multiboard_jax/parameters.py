"""Parameters that the arguments of a step hold, also those that no tap shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import jax

from multiboard import tags
from multiboard_jax.collected import Tagged
from multiboard_jax.paths import places
from multiboard_jax.reachable import Arguments, holds_optimizer, is_bare_optimizer, is_equinox_module
from multiboard_jax.tagging import HISTOGRAM, Label, is_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from multiboard_jax.harvest import Harvest

Held: TypeAlias = list[tuple[str, Any]]
"""Trees of parameters, each with a name for what is in front of the paths in it."""


def held(arguments: Arguments, found: Harvest) -> Held:
    """Return what holds parameters in the arguments: training states, and modules of equinox if no tap has shown them."""
    states = [(name, node) for name, node in arguments.found(holds_optimizer) if not is_bare_optimizer(node)]
    holders = [(name, node.params) for name, node in states if hasattr(node, "params")]
    return holders or ([] if _shown(found) else arguments.given(is_equinox_module))


def add_parameters(found: Harvest, holders: Held) -> None:
    """Add the parameters that are held and that no tap has shown, e.g. frozen ones."""
    shown = _shown(found)
    identities = {id(value) for value in shown.values()}
    for name, tree in holders:
        prefix = f"{tags.PARAMS}/{name}/" if name else f"{tags.PARAMS}/"
        for leaf, place in zip(jax.tree.leaves(tree), places(tree), strict=True):
            tag = f"{prefix}{place.layer}"
            again = tag in shown or id(leaf) in identities or (name and _is_shown(place.layer, leaf, shown))
            if is_number(leaf) and not again:
                description = tags.description(place.native, place.layer_class)
                found.add(tag, Tagged(leaf, Label(tag, HISTOGRAM, description)))


def _is_shown(path: str, leaf: Any, shown: Mapping[str, Any]) -> bool:
    """Tell whether a parameter is shown under the name of its optimizer, where there are several."""
    shape = getattr(leaf, "shape", ())
    return any(name.endswith(f"/{path}") and getattr(value, "shape", shape) == shape for name, value in shown.items())


def _shown(found: Harvest) -> dict[str, Any]:
    return {name: tagged.value for name, tagged in found.found.items() if name.startswith(f"{tags.PARAMS}/")}
