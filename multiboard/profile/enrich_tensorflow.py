"""What TensorFlow's profiler spells in its own way in a profile: operations by layer, and how often each was called.

Operations that are not compiled are events named `<node>:<type>`, those that XLA compiles carry the name of an instruction.
Allocations are marked with the operation that wanted them, for which XProf takes them for further calls of it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from multiboard.profile import op_names
from multiboard.profile.enrich_jax import drop_devices, name_operations, rename
from multiboard.profile.memory_line import move_allocations
from multiboard.profile.step_links import tie_computations
from multiboard.profile.step_marks import mark_steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from multiboard.profile.hlo import HloOp
    from multiboard.profile.messages import XSpace

_NODE: Final = re.compile(r"([\w.\-/>\\]+):([A-Z_]\w*)", re.ASCII)
_CALLS: Final = re.compile(r"(Stateful)?PartitionedCall(_\d+)?|__inference_\w+")
_MODEL: Final = re.compile(r"(functional|sequential)(_\d+)?")
_NUMBER: Final = re.compile(r"_\d+$")
_TAPE: Final = "gradient_tape"


def enrich(space: XSpace, facts: Mapping[str, Any]) -> None:
    """Name the operations of a profile of TensorFlow, and mark its steps, in place.

    Args:
        space: the profile.
        facts: see `op_names.LayerPaths`; with `host_only`, what devices did is taken out.
    """
    drop_devices(space, facts)
    mark_steps(space)
    tie_computations(space)
    layers = op_names.LayerPaths(facts)
    for plane in space.planes:
        move_allocations(plane)
        for metadata in plane.event_metadata.values():
            name = node_name(metadata.name, layers)
            if name is not None:
                metadata.display_name, metadata.name = metadata.name, name
    rename(space, lambda name: _marked_name(name, layers))
    name_operations(space, lambda operation: _compiled_name(operation, layers))


def node_name(name: str, layers: op_names.LayerPaths) -> str | None:
    """Return what an operation is called in tables; None for the name of something else."""
    node = _NODE.fullmatch(name)
    return None if node is None else _name(node[1], node[2], layers)


def _marked_name(name: str, layers: op_names.LayerPaths) -> str:
    """Return what an operation is called that an event is marked with, with its type or without."""
    return node_name(name, layers) or _name(name, _NUMBER.sub("", name.rpartition("/")[2]), layers)


def _compiled_name(operation: HloOp, layers: op_names.LayerPaths) -> str:
    return _name(operation.op_name if "/" in operation.op_name else "", operation.opcode, layers)


def _name(node: str, kind: str, layers: op_names.LayerPaths) -> str:
    parts = [part for part in node.split("/") if part and not _CALLS.fullmatch(part)]
    backward = _TAPE in parts
    parts = [part for part in parts if part != _TAPE]
    path = layers.locate(parts)
    if path is None:
        scopes = parts[1:-1] if len(parts) > 1 and _MODEL.fullmatch(parts[0]) else parts[:-1]
        path = op_names.OPTIMIZER if scopes and layers.is_optimizer(scopes[0]) else "/".join(scopes)
    return op_names.full_name(path, kind, backward=backward)
