"""Which parameters are meant by patterns on the names of parameters and layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiboard import tags

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from multiboard.selection import Selection
    from multiboard_torch.layers import Named


def among(selection: Selection, named: Sequence[Named], model: nn.Module) -> list[Named]:
    """Return the parameters that are meant by their own names or by that of their layer.

    Raises:
        ArgumentError: there are none.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    found = []
    for one in named:
        layer = one.native.rpartition(".")[0]
        names = [tags.layer_path(name) for name in (one.native, one.path, layer) if name]
        if any(selection.has(name, modules[layer]) for name in names):
            found.append(one)
    selection.check_found(found, [tags.layer_path(one.native) for one in named])
    return found
