"""The programs of XLA that a profile carries: what each of their operations was in the source.

XLA's profiler puts every program that ran into the plane `/host:metadata`, as a stat "Hlo Proto" of an event metadata. The
messages are HloProto (xla/service/hlo.proto) and OpMetadata (xla/xla_data.proto) of openxla/xla, as far as they are read.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from google.protobuf.message import DecodeError

from multiboard.profile.xspace import find_plane, stats_of
from multiboard.proto.schema import message_classes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.profile.messages import XSpace

METADATA_PLANE: Final = "/host:metadata"
_STAT: Final = "Hlo Proto"

_SCHEMA: Final = {
    "HloProto": "1 hlo_module HloModule",
    "HloModule": "1 name string, 3 computations Computation*, 5 id int64, 6 entry_computation_id int64, 7 schedule Schedule, "
    "17 stack_frame_index StackFrames",
    "Schedule": "1 sequences Sequence{}",
    "Sequence": "1 instruction_ids int64*",
    "Computation": "2 instructions Instruction*, 5 id int64, 6 root_id int64",
    "Instruction": "1 name string, 2 opcode string, 7 metadata OpMetadata, 35 id int64, 36 operand_ids int64*, "
    "38 called_computation_ids int64*",
    "OpMetadata": "2 op_name string, 3 source_file string, 15 stack_frame_id int32",
    "StackFrames": "1 file_names string*, 3 file_locations Location*, 4 stack_frames Frame*",
    "Location": "1 file_name_id int32",
    "Frame": "1 file_location_id int32, 2 parent_frame_id int32",
}
_HloProto: Final = message_classes("hlo", _SCHEMA)["HloProto"]
_SILENT: Final = re.compile(
    r"parameter|constant|bitcast|tuple|get-tuple-element|after-all|opt-barrier|add-dependency|partition-id|replica-id|.*-done"
)
"""Operations for which nothing is launched."""
_DEPTH: Final = 200
"""Frames of a stack that are looked at: a damaged index may be a circle."""


class HloOp(NamedTuple):
    """An operation of a program.

    Attributes:
        opcode: of XLA, e.g. 'convolution'; of a fusion that of its result.
        op_name: what the framework called it, e.g. 'jit(step)/jvp(CNN)/fc1/dot_general'; '' if nothing tells it.
        files: of Python's stack where it was called, the innermost first; empty if that was not recorded.
    """

    opcode: str
    op_name: str
    files: tuple[str, ...]


class Program(NamedTuple):
    """A program.

    Attributes:
        operations: by name.
        sequences: for each part that runs in an order, the entry first, the names of what it launches in that order; empty for
            a program without a schedule, as on CPUs.
    """

    operations: dict[str, HloOp]
    sequences: list[list[str]]


class Programs:
    """The programs in a profile, each read when it is first asked for."""

    def __init__(self, space: XSpace) -> None:
        self._bytes: dict[int | str, bytes] = {}
        self._read: dict[int | str, Program] = {}
        for number, name, content in _contents(space):
            self._bytes[number] = self._bytes[name] = content

    def __bool__(self) -> bool:
        return bool(self._bytes)

    def program(self, program: int | str) -> Program:
        """Return a program.

        Args:
            program: its id, or the name of its module. One that the profile does not have, or only parts of, has no operations.
        """
        if program not in self._read:
            try:
                module = _HloProto.FromString(self._bytes.get(program, b"")).hlo_module
                self._read[program] = Program(_operations(module), _sequences(module))
            except DecodeError:
                self._read[program] = Program({}, [])
        return self._read[program]


def _contents(space: XSpace) -> Iterator[tuple[int, str, bytes]]:
    """Yield id, module name and HloProto of every program: `jit_step(66)` is the name of the one with the id 66."""
    plane = find_plane(space, METADATA_PLANE)
    if plane is None:
        return
    for number, metadata in plane.event_metadata.items():
        stats = stats_of(metadata, plane)
        content = stats.get(_STAT)
        if isinstance(content, bytes):
            named = re.fullmatch(r"(.*)\((\d+)\)", metadata.name)
            program = stats.get("program_id", named[2] if named else number)
            yield int(program or 0), named[1] if named else metadata.name, content


def _operations(module: Any) -> dict[str, HloOp]:
    computations = {computation.id: computation for computation in module.computations}
    files = _Files(module.stack_frame_index)
    found = {}
    for computation in module.computations:
        for instruction in computation.instructions:
            source, opcode = _source(instruction, computations)
            metadata = source.metadata
            found[instruction.name] = HloOp(
                opcode, metadata.op_name, files.of(metadata.stack_frame_id) or tuple(filter(None, [metadata.source_file]))
            )
    return found


def _sequences(module: Any) -> list[list[str]]:
    found = []
    for computation in sorted(module.computations, key=lambda one: one.id != module.entry_computation_id):
        if computation.id in module.schedule.sequences:
            launched = {one.id: one.name for one in computation.instructions if not _SILENT.fullmatch(one.opcode)}
            order = module.schedule.sequences[computation.id].instruction_ids
            found.append([launched[number] for number in order if number in launched])
    return [names for names in found if names]


def _source(instruction: Any, computations: dict[int, Any]) -> tuple[Any, str]:
    """Return the instruction that tells what an instruction is, and the opcode.

    A fusion without a name is what its root is; a root without one, such as a copy, what is nearest before it.
    """
    inside = computations.get(instruction.called_computation_ids[0]) if instruction.called_computation_ids else None
    if instruction.opcode != "fusion" or inside is None:
        return instruction, instruction.opcode
    by_id = {one.id: one for one in inside.instructions}
    root = by_id.get(inside.root_id, instruction)
    if _tells(instruction):
        return instruction, root.opcode
    waiting, seen = deque([root]), {root.id}
    while waiting:
        one = waiting.popleft()
        if _tells(one):
            return one, one.opcode
        new = [number for number in one.operand_ids if number not in seen and number in by_id]
        seen.update(new)
        waiting.extend(by_id[number] for number in new)
    return instruction, root.opcode


def _tells(instruction: Any) -> bool:
    """Return whether an instruction is named after an operation, and not after an argument, which has no path."""
    return instruction.opcode != "parameter" and "/" in instruction.metadata.op_name


class _Files:
    """The files of stack frames, by the numbers that operations have."""

    def __init__(self, index: Any) -> None:
        self._names = index.file_names
        self._locations = [location.file_name_id for location in index.file_locations]
        self._frames = [(frame.file_location_id, frame.parent_frame_id) for frame in index.stack_frames]
        self._known: dict[int, tuple[str, ...]] = {}

    def of(self, frame: int) -> tuple[str, ...]:
        if frame not in self._known:
            self._known[frame] = tuple(self._walk(frame))
        return self._known[frame]

    def _walk(self, frame: int) -> Iterator[str]:
        for _ in range(_DEPTH):
            if not 0 < frame <= len(self._frames):
                return
            location, frame = self._frames[frame - 1]
            if 0 < location <= len(self._locations) and 0 < self._locations[location - 1] <= len(self._names):
                yield self._names[self._locations[location - 1] - 1]
