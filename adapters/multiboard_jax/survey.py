"""What a walk through a jaxpr will find, known before it is run: loops need it for what they carry."""

from __future__ import annotations

import math
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from multiboard import tags
from multiboard.buckets import CHUNK
from multiboard_jax._compat import CALLS, REMATS, bodies_of, body_of
from multiboard_jax.tagging import BY_SHAPE, HISTOGRAM, SCALAR, Label, tag_p

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jax.extend.core import JaxprEqn

    from multiboard_jax.distributed import Placement


STACKED: Final = CHUNK
"""So many values of all iterations of a loop are kept as an array: to count few values in every iteration would take longer."""


CONSTRUCTS: Final = frozenset({"scan", "while", "cond", "shard_map"})
"""What runs apart from the rest of a program; a tag in it changes how it is run."""


class Part(Enum):
    """Which tags are looked for.

    Attributes:
        ALL: all.
        OUTSIDE: those of what a step hands from one part to the next, e.g. gradients, which the compiler keeps anyway.
        INSIDE: all others.
    """

    ALL = auto()
    OUTSIDE = auto()
    INSIDE = auto()

    def has(self, name: str) -> bool:
        """Return whether a tag that is not in a loop, branch or shard is looked for."""
        handed_over = name.partition("/")[0] in tags.GROUPS or name.startswith(tags.LEARNING_RATE)
        return self is Part.ALL or handed_over == (self is Part.OUTSIDE)


class Setting(NamedTuple):
    """Where in the program a body is.

    Attributes:
        part: which tags are looked for.
        placement: where the arguments of the step live; None inside `shard_map`, where every device has its own.
        looped: it runs many times, so that a value without axes is one of many.
        manual: axes of all `shard_map` around it.
        first: names that are computed elsewhere than in a recomputation of the backward pass.
        skipped: names that are not looked for, because this is a recomputation of them.
    """

    part: Part = Part.ALL
    placement: Placement | None = None
    looped: bool = False
    manual: tuple[str, ...] = ()
    first: frozenset[str] = frozenset()
    skipped: frozenset[str] = frozenset()

    def inside(self, eqn: JaxprEqn) -> Setting:
        """Return the setting of the bodies in an equation."""
        if eqn.primitive.name in CONSTRUCTS:
            return self._replace(part=Part.ALL)
        if not _recomputes(eqn):
            return self
        return self._replace(skipped=self.first, first=self.first.union(*map(names_first, bodies_of(eqn))))


class Expected(NamedTuple):
    """A tag that will be found.

    Attributes:
        label: its kind is HISTOGRAM or SCALAR.
        size: number of values if they come as an array, None if they come summed up.
    """

    label: Label
    size: int | None = None


def settled(label: Label, axes: int, *, looped: bool) -> Label:
    """Return a label with the kind of a value with so many axes."""
    if label.kind != BY_SHAPE:
        return label
    return label._replace(kind=HISTOGRAM if axes or looped else SCALAR)


def names_first(jaxpr: Any) -> frozenset[str]:
    """Return the names that are tagged in a body, without those in recomputations."""
    tagged = frozenset(eqn.params["label"].name for eqn in jaxpr.eqns if eqn.primitive is tag_p)
    opened = (body for eqn in jaxpr.eqns if not _recomputes(eqn) for body in bodies_of(eqn))
    return tagged.union(*map(names_first, opened))


def names_in(eqn: JaxprEqn, setting: Setting) -> list[str]:
    """Return the names inside an equation that are looked for."""
    if eqn.primitive is tag_p:
        name = eqn.params["label"].name
        return [name] if name not in setting.skipped and setting.part.has(name) else []
    if setting.part is Part.OUTSIDE and eqn.primitive.name in CONSTRUCTS:
        return []
    inner = setting.inside(eqn)
    return [name for body in bodies_of(eqn) for each in body.eqns for name in names_in(each, inner)]


def survey(jaxpr: Any, setting: Setting) -> list[Expected]:
    """Return what a walk through a body will find, in that order."""
    return [expected for eqn in jaxpr.eqns for expected in _in_equation(eqn, setting)]


def _in_equation(eqn: JaxprEqn, setting: Setting) -> list[Expected]:
    if not names_in(eqn, setting):
        return []
    if eqn.primitive is tag_p:
        shape: tuple[int, ...] = getattr(eqn.invars[0].aval, "shape")  # noqa: B009  # the common class has none
        return [Expected(settled(eqn.params["label"], len(shape), looped=setting.looped), math.prod(shape))]
    name = eqn.primitive.name
    if name in CALLS | REMATS:
        return survey(body_of(eqn)[0], setting.inside(eqn))
    if name == "scan":
        inside = survey(eqn.params["jaxpr"].jaxpr, setting._replace(looped=True))
        return [stacked(expected, eqn.params["length"]) for expected in inside]
    if name == "while":
        return _summed(survey(eqn.params["body_jaxpr"].jaxpr, setting._replace(looped=True)))
    if name == "cond":
        return _summed(united([survey(branch.jaxpr, setting) for branch in eqn.params["branches"]]))
    return _summed(survey(next(bodies_of(eqn)), setting)) if name == "shard_map" else []


def _summed(found: Iterable[Expected]) -> list[Expected]:
    return [expected._replace(size=None) for expected in found]


def stacked(expected: Expected, length: int) -> Expected:
    """Return how a tag in the body of a scan comes out of it: as an array while that is small, else summed up."""
    size = None if expected.size is None else expected.size * length
    return expected._replace(size=size if size is not None and size <= STACKED else None)


def united(branches: Sequence[Sequence[Expected]]) -> list[Expected]:
    """Return what is found in any of some branches; the same name and kind in several of them is one."""
    found: dict[Any, Expected] = {}
    for branch in branches:
        found |= {key: found.get(key, expected) for key, expected in zip(keys(branch), branch, strict=True)}
    return list(found.values())


def keys(found: Iterable[Any]) -> list[tuple[str, str, int]]:
    """Return what identifies each tag of a branch: its name and kind, and how often they came before."""
    result: list[tuple[str, str, int]] = []
    for one in found:
        name, kind = one.label.name, one.label.kind
        result.append((name, kind, sum(key[:2] == (name, kind) for key in result)))
    return result


def _recomputes(eqn: JaxprEqn) -> bool:
    return eqn.primitive.name in REMATS and bool(eqn.params.get("differentiated"))
