"""What XLA's profiler leaves out of a profile of JAX: which layer and which primitive an operation is.

On CPUs operations carry only the name of an instruction of XLA, and XProf has no table of them. What they were in the source is
in the programs that come with the profile.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from multiboard.profile import name_stacks, op_names
from multiboard.profile.command_buffers import tell_kernels
from multiboard.profile.hlo import HloOp, Programs
from multiboard.profile.memory_line import add_samples
from multiboard.profile.step_links import tie_computations
from multiboard.profile.step_marks import mark_steps
from multiboard.profile.xspace import HOST_PLANE, PlaneBuilder, find_plane, value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from multiboard.profile.messages import XPlane, XSpace

TF_OP: Final = "tf_op"
_GPU: Final = "/device:GPU:"
_OPTIMIZER_FILES: Final = re.compile(r"/optax/(?!losses/)|/flax/nnx/training/optimizer\.py$")
NO_KERNELS: Final = (
    "The profile has no kernels of the GPUs: another profiler has had them, as after a profile of PyTorch in the same process, "
    "which has one profiler of GPUs."
)
_STACK: Final = re.compile(r"\b(jit|jvp|transpose|vmap)\(")


def enrich(space: XSpace, facts: Mapping[str, Any]) -> None:
    """Name the operations of a profile of JAX, and mark its steps, in place.

    Args:
        space: the profile.
        facts: see `op_names.LayerPaths`; with `host_only`, what devices did is taken out. `memory` is what allocators have in
            the end, `gpus` how many there are, and `notes` what the profiler could not do, which become warnings of the
            profile.
    """
    drop_devices(space, facts)
    if facts.get("gpus") and not facts.get("host_only") and not any(p.lines for p in space.planes if p.name.startswith(_GPU)):
        space.warnings.append(NO_KERNELS)
    host = find_plane(space, HOST_PLANE)
    if host is not None:
        add_samples(host, facts.get("memory") or {})
    space.warnings.extend(facts.get("notes") or ())
    mark_steps(space)
    tie_computations(space)
    layers = op_names.LayerPaths(facts)
    name_operations(space, lambda operation: jax_name(operation, layers))
    rename(space, lambda name: jax_name(HloOp("", name.rpartition(":")[0] or name, ()), layers) if _STACK.search(name) else None)


def jax_name(operation: HloOp, layers: op_names.LayerPaths) -> str:
    """Return what an operation of XLA in a program of JAX is called in tables.

    An operation with a name that has no path is named after an argument: only the opcode says what it is. Whatever is called in
    files of optax, but not for a derivative, belongs to the optimizer.
    """
    stack = name_stacks.parse(operation.op_name if "/" in operation.op_name else "")
    scopes = list(stack.scopes)
    if scopes[:1] == [op_names.MULTIBOARD]:
        return op_names.full_name(op_names.MULTIBOARD, stack.primitive or operation.opcode or "call")
    if scopes and layers.is_root(scopes[0].partition(".")[0]):
        scopes = scopes[1:]
    kind = stack.primitive or operation.opcode or "call"
    path = layers.locate(scopes)
    if path is None and "." in "".join(scopes):
        scopes = [scope.partition(".")[0] or scope for scope in scopes]
        path = layers.locate(scopes)
    if path is None:
        path = op_names.OPTIMIZER if _is_optimizer(stack, scopes, operation, layers) else "/".join(scopes)
    return op_names.full_name(path, kind, backward=stack.backward)


def _is_optimizer(stack: name_stacks.NameStack, scopes: list[str], operation: HloOp, layers: op_names.LayerPaths) -> bool:
    if scopes:
        return scopes[0] == op_names.OPTIMIZER or layers.is_optimizer(scopes[0])
    derived = stack.backward or "jvp(" in operation.op_name
    return not derived and any(_OPTIMIZER_FILES.search(file) for file in operation.files)


def drop_devices(space: XSpace, facts: Mapping[str, Any]) -> None:
    """Take out what devices did, where another profiler of the same process has it."""
    if facts.get("host_only"):
        for i in reversed(range(len(space.planes))):
            name = space.planes[i].name
            if name.startswith("/device:") and not name.startswith("/device:CUSTOM:"):
                del space.planes[i]


def name_operations(space: XSpace, name: Callable[[HloOp], str]) -> None:
    """Name the events that are operations of XLA by what they were in the source.

    Args:
        space: the profile, changed in place.
        name: returns what an operation is called in tables.
    """
    programs = Programs(space)
    if programs:
        tell_kernels(space, programs)
        for plane in space.planes:
            if any(stat.name == "hlo_op" for stat in plane.stat_metadata.values()):
                _Namer(plane, programs, name).run()


class _Namer:
    """Names the operations in a plane.

    An event tells its instruction and its program by stats, of which the one of the instruction comes first.
    """

    def __init__(self, plane: XPlane, programs: Programs, name: Callable[[HloOp], str]) -> None:
        self._plane, self._programs, self._name = plane, programs, name
        self._builder = PlaneBuilder(plane)
        self._ids = {stat.name: number for number, stat in plane.stat_metadata.items()}
        self._tf_op = self._builder.stat_id(TF_OP)
        self._known: dict[tuple[Any, Any], int] = {}

    def run(self) -> None:
        hlo_op, program, module = (self._ids.get(name, -1) for name in ("hlo_op", "program_id", "hlo_module"))
        for line in self._plane.lines:
            for event in line.events:
                stats = {stat.metadata_id: stat for stat in event.stats}
                if hlo_op not in stats:
                    continue
                where = stats.get(program, stats.get(module))
                key = value_of(stats[hlo_op], self._plane), None if where is None else value_of(where, self._plane)
                reference = self._known.get(key)
                if reference is None:
                    reference = self._known[key] = self._reference(*key)
                if not reference:
                    continue
                if self._tf_op in stats:
                    stats[self._tf_op].ref_value = reference
                else:
                    event.stats.add(metadata_id=self._tf_op, ref_value=reference)

    def _reference(self, instruction: Any, program: Any) -> int:
        operation = None if program is None else self._programs.program(program).operations.get(instruction)
        return 0 if operation is None else self._builder.stat_id(self._name(operation))


def rename(space: XSpace, name: Callable[[str], str | None]) -> None:
    """Rename the operations that the profiler has named itself.

    Args:
        space: the profile, changed in place.
        name: returns another name, or None for one that stays.
    """
    for plane in space.planes:
        numbers = {number for number, stat in plane.stat_metadata.items() if stat.name == TF_OP}
        if not numbers:
            continue
        builder, known = PlaneBuilder(plane), dict[str, str | None]()
        holders = [plane.event_metadata.values(), *(line.events for line in plane.lines)]
        for stat in (stat for holder in holders for one in holder for stat in one.stats if stat.metadata_id in numbers):
            before = str(value_of(stat, plane))
            if before not in known:
                known[before] = name(before)
            after = known[before]
            if after is not None:
                stat.ref_value = builder.stat_id(after)
