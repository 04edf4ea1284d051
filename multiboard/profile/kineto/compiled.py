"""The layers of what runs in compiled graphs, whose kernels are called in the order of the program that they were compiled to.

Inductor puts a range around each call of a graph, `## Call CompiledFxGraph f... ##`. What is called in it is compared with the
programs that are known, one of which it is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, Final

from multiboard.profile.kineto.inductor import layered_calls

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from multiboard.profile.kineto.events import Events, Range

GRAPH: Final = "## Call CompiledFxGraph"
_ENOUGH: Final = 0.8
"""Of the calls in a trace that are those of a program in their order: of less it is another one."""
UNREAD: Final = "Layers of a compiled graph are missing: what Inductor has written cannot be read"

Calls = list[tuple[str, str]]
"""Names and layers of the calls of a program."""


def find_compiled(events: Events, programs: Iterable[Mapping[str, Any]]) -> None:
    """Set `layer` of what runs in compiled graphs.

    Args:
        events: of the trace, nested.
        programs: facts of the tracer, see `inductor`.
    """
    known = _known(events, programs)
    inside: dict[int, list[Range]] = defaultdict(list)
    if not known:
        return
    graphs = {id(one): one for ranges in events.threads.values() for one in ranges if one.name.startswith(GRAPH)}
    for ranges in events.threads.values():
        for one in ranges:
            if one.parent is not None and one.kind == "op" and id(one.parent) in graphs:
                inside[id(one.parent)].append(one)
    found: dict[tuple[str, ...], list[str]] = {}
    for calls in inside.values():
        names = tuple(_name(one) for one in calls)
        if names not in found:
            found[names] = _layers(names, known)
        for one, layer in zip(calls, found[names], strict=True):
            one.layer = layer


def _known(events: Events, programs: Iterable[Mapping[str, Any]]) -> list[Calls]:
    known: list[Calls] = []
    for program in programs:
        try:
            known += layered_calls(program)
        except (SyntaxError, ValueError, TypeError, AttributeError, RecursionError) as error:
            if not any(warning.startswith(UNREAD) for warning in events.warnings):
                events.warnings.append(f"{UNREAD}: {type(error).__name__}: {error}")
    return [calls for calls in known if calls]


def _layers(names: Sequence[str], known: list[Calls]) -> list[str]:
    """Return the layers of calls, '' where they are not known, or where several programs are alike and do not agree."""
    everything = {name for calls in known for name, _ in calls}
    best, found = _ENOUGH * sum(name in everything for name in names), list[list[str]]()
    there = Counter(names)
    for calls in known:
        if (there & Counter(name for name, _ in calls)).total() < best:
            continue
        count, layers = _compared(names, calls)
        if count > best:
            best, found = count, []
        if count and count == best:
            found.append(layers)
    return [layers[0] if len(set(layers)) == 1 else "" for layers in zip(*found, strict=True)] or [""] * len(names)


def _compared(names: Sequence[str], calls: Calls) -> tuple[int, list[str]]:
    """Return how many calls in a trace are those of a program, in its order, and their layers.

    What only one of them has is left out first: on CPUs, a trace does not show the kernels of Inductor.
    """
    both = set(names) & {name for name, _ in calls}
    places, layers = [place for place, name in enumerate(names) if name in both], [""] * len(names)
    shown = [call for call in calls if call[0] in both]
    ours, theirs = [names[place] for place in places], [name for name, _ in shown]
    blocks = SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks() if ours != theirs else [(0, 0, len(ours))]
    for begin, there, size in blocks:
        for offset in range(size):
            layers[places[begin + offset]] = shown[there + offset][1]
    return sum(size for _, _, size in blocks), layers


def _name(one: Range) -> str:
    return one.name.rpartition("::")[2]
