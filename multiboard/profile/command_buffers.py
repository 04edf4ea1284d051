"""Which operation of a program each kernel of a command buffer is.

On GPUs, XLA records many operations into one graph of CUDA and launches that. The profiler then names all its kernels after the
buffer, `command_buffer_1`. What is left is the number of each kernel's node, which counts the commands in the order of the
program, and its name, which is that of an operation, or of another one with the same code (a kernel is compiled once). Kernels of
cuBLAS and cuDNN have names of their own, and are nodes of an inner graph, numbered behind the others: they are what the program
has between the kernels before and after them.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from multiboard.profile.op_names import full_name
from multiboard.profile.xspace import PlaneBuilder, value_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multiboard.profile.hlo import Programs
    from multiboard.profile.messages import XEvent, XPlane, XSpace

_NODE: Final = "cuda_graph_node_id"
_BUFFER: Final = "command_buffer"
_STATS: Final = ("hlo_op", "program_id", "hlo_module", "correlation_id", "tf_op", _NODE)
_INDEX: Final = (1 << 32) - 1
"""The part of a node's id that counts; above it is the id of the graph."""
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9_]")
_NUMBERS: Final = re.compile(r"(_(\d+|clone|remat\d*))+$")
_PREPARES: Final = re.compile(r"Mem(set|cpy)", re.IGNORECASE)
_FINISHES: Final = re.compile(r"split_?k", re.IGNORECASE)
_ENOUGH: Final = 0.9
"""Of the kernels with names of operations: fewer in their places, and the order is that of something else."""


class Kernel(NamedTuple):
    """A kernel, or a copy, of one launch of a graph.

    Attributes:
        begin: picoseconds.
        node: its number in the graph.
        name: as compiled.
    """

    begin: int
    node: int
    name: str


def tell_kernels(space: XSpace, programs: Programs) -> None:
    """Let the kernels of command buffers say which operation they are, in place.

    The stat `hlo_op` becomes the name of the operation, where it can be told, and `tf_op` the kind of the kernel elsewhere.
    """
    for plane in space.planes:
        names = {stat.name for stat in plane.stat_metadata.values()}
        if _NODE in names and "hlo_op" in names:
            _Plane(plane, programs).tell()


class _Plane:
    """The command buffers in the plane of a device."""

    def __init__(self, plane: XPlane, programs: Programs) -> None:
        self._plane, self._programs = plane, programs
        self._builder = PlaneBuilder(plane)
        self._ids = {name: self._builder.stat_id(name) for name in _STATS}
        self._events: dict[Any, dict[Any, list[tuple[Kernel, XEvent]]]] = defaultdict(lambda: defaultdict(list))

    def tell(self) -> None:
        for line in self._plane.lines:
            for event in line.events:
                self._take(event)
        for (program, _), launches in self._events.items():
            longest = max(launches.values(), key=len)
            found = operations_of([kernel for kernel, _ in longest], self._programs.program(program).sequences)
            for kernel, event in (one for launch in launches.values() for one in launch):
                self._name(event, kernel, found.get(kernel.node))

    def _take(self, event: XEvent) -> None:
        stats = {stat.metadata_id: value_of(stat, self._plane) for stat in event.stats}
        node, buffer = stats.get(self._ids[_NODE]), stats.get(self._ids["hlo_op"])
        program = stats.get(self._ids["program_id"], stats.get(self._ids["hlo_module"]))
        if isinstance(node, int) and isinstance(buffer, str) and isinstance(program, int | str):
            known = self._programs.program(program).operations
            if known and buffer not in known:
                kernel = Kernel(event.offset_ps, node & _INDEX, self._plane.event_metadata[event.metadata_id].name)
                launch = stats.get(self._ids["correlation_id"])
                self._events[program, (buffer, node >> 32)][launch].append((kernel, event))

    def _name(self, event: XEvent, kernel: Kernel, operation: str | None) -> None:
        stats = {stat.metadata_id: stat for stat in event.stats}
        buffer = str(value_of(stats[self._ids["hlo_op"]], self._plane))
        if operation is not None:
            stats[self._ids["hlo_op"]].ref_value = self._builder.stat_id(operation)
            self._builder.add_stat(event.stats, _BUFFER, buffer)
        elif self._ids["tf_op"] in stats:
            stats[self._ids["tf_op"]].ref_value = self._builder.stat_id(full_name("", _stem(kernel.name)))


def operations_of(kernels: list[Kernel], sequences: list[list[str]]) -> dict[int, str]:
    """Return the operation of each kernel by the number of its node; those that cannot be told are missing.

    Args:
        kernels: of one launch.
        sequences: see `hlo.Program`.

    >>> kernels = [Kernel(0, 0, "add_1"), Kernel(5, 3, "sm90_gemm"), Kernel(9, 2, "add_1")]
    >>> operations_of(kernels, [["copy.1", "add.1", "cublas.7", "add.2"]])
    {0: 'add.1', 2: 'add.2', 3: 'cublas.7'}
    """
    for names in sequences:
        places = _places(kernels, names)
        if places:
            between = _between(sorted(kernels), places, names)
            return {node: names[place] for node, place in (places | between).items()}
    own = {_plain(name): name for names in sequences for name in names}
    count = Counter(kernel.name for kernel in kernels)
    return {one.node: own[one.name] for one in kernels if one.name in own and count[one.name] == 1}


def _places(kernels: list[Kernel], names: list[str]) -> dict[int, int]:
    """Return where in a sequence the kernels are that are called like operations, by node; empty if that cannot be told."""
    plain = [_plain(name) for name in names]
    stems = [_stem(name) for name in plain]
    numbers = {stem: number for number, stem in enumerate(dict.fromkeys(stems))}
    own = [one for one in kernels if _stem(one.name) in numbers]
    if not own:
        return {}
    sequence = np.array([numbers[stem] for stem in stems])
    nodes, kinds = np.array([one.node for one in own]), np.array([numbers[_stem(one.name)] for one in own])
    fitting = [int((sequence[nodes + start] == kinds).sum()) for start in range(len(names) - max(nodes))]
    if max(fitting, default=0) < _ENOUGH * len(own):
        return _in_order(own, stems)
    exact = {
        start: sum(plain[start + one.node] == one.name for one in own)
        for start, count in enumerate(fitting)
        if count == max(fitting)
    }
    best = [start for start, count in exact.items() if count == max(exact.values())]
    if len(best) > 1:
        return {}
    fits = sequence[nodes + best[0]] == kinds
    return {one.node: best[0] + one.node for one, fit in zip(own, fits, strict=True) if fit}


def _in_order(own: list[Kernel], stems: list[str]) -> dict[int, int]:
    """Return the places of kernels that come in the order of a whole sequence, where numbers of nodes count something else."""
    kinds = {_stem(one.name) for one in own}
    places = [place for place, stem in enumerate(stems) if stem in kinds]
    own = sorted(own, key=lambda one: one.node)
    matcher = SequenceMatcher(None, [_stem(one.name) for one in own], [stems[place] for place in places], autojunk=False)
    blocks = matcher.get_matching_blocks()
    if sum(block.size for block in blocks) < _ENOUGH * max(len(own), len(places)):
        return {}
    return {own[ours + i].node: places[theirs + i] for ours, theirs, size in blocks for i in range(size)}


def _between(kernels: list[Kernel], places: dict[int, int], names: list[str]) -> dict[int, int]:
    """Return where the others are, by node: between those that ran before and after them, in the order in which they ran."""
    found: dict[int, int] = {}
    taken = set(places.values())
    for before, run, after in _runs(kernels, places):
        free = [place for place in range(before + 1, len(names) if after is None else after) if place not in taken]
        groups = _calls(run)
        if after is None:
            free = free[: len(groups)]
        if len(groups) == len(free):
            found.update((one.node, place) for place, group in zip(free, groups, strict=True) for one in group)
    return found


def _runs(kernels: list[Kernel], places: dict[int, int]) -> Iterator[tuple[int, list[Kernel], int | None]]:
    """Yield what ran between two kernels whose places are known, with these places."""
    before, run = min(places.values()) - min(places) - 1, list[Kernel]()
    for one in kernels:
        place = places.get(one.node)
        if place is None:
            run.append(one)
            continue
        if run:
            yield before, run, place
        before, run = place, []
    if run:
        yield before, run, None


def _calls(run: list[Kernel]) -> list[list[Kernel]]:
    """Return kernels of libraries by call: one clears memory before, or adds up parts behind."""
    calls: list[list[Kernel]] = []
    is_open = False
    for one in run:
        if is_open or (calls and _FINISHES.search(one.name) and "reduce" in one.name.lower()):
            calls[-1].append(one)
        else:
            calls.append([one])
        is_open = bool(_PREPARES.match(one.name))
    return calls


def _plain(name: str) -> str:
    """Return the name of a kernel that is compiled for an operation."""
    return _NOT_IN_A_NAME.sub("_", name)


def _stem(name: str) -> str:
    """Return a name without its numbers, which operations with the same code have in common.

    >>> _stem("loop_add_fusion_157"), _stem("fusion_3_clone_1")
    ('loop_add_fusion', 'fusion')
    """
    return _NUMBERS.sub("", name)
