"""The walk through a jaxpr that records its graph: bodies of calls, loops and branches are part of it.

Nothing is computed, and nothing is known of the functions that were traced but what JAX has kept with the equations. See
`bodies` for what has a body, and `frames` for how scopes come about.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from jax.extend.core import Literal

from multiboard.graph.ir import CONSTANT, INPUT, OPTIMIZER, Node, modules
from multiboard.graph.recorder import Weight
from multiboard_jax._compat import name_stack_of, traceback_of
from multiboard_jax.tracing import ends
from multiboard_jax.tracing.bodies import body_walk
from multiboard_jax.tracing.calls import RULE, Call, Calls
from multiboard_jax.tracing.flops import flops_of
from multiboard_jax.tracing.frames import Frames
from multiboard_jax.tracing.parts import Part, Place, place_of
from multiboard_jax.tracing.values import Constant, Context, spec_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from jax.extend.core import ClosedJaxpr, JaxprEqn

    from multiboard.graph.ir import Attribute, Scope
    from multiboard.graph.recorder import Recorder
    from multiboard_jax.tracing.values import Argument, Source

_ALIASES: Final = frozenset({
    "copy", "copy_p", "name", "optimization_barrier", "pbroadcast", "pvary", "pcast", "sharding_constraint", "stop_gradient",
    "multiboard_tag",
})  # fmt: skip
"""Equations that return what they are given."""
_OPTIMIZER: Final = Part("region", OPTIMIZER)
_LONGEST: Final = 60


def walk(
    closed: ClosedJaxpr,
    recorder: Recorder,
    arguments: Sequence[Argument],
    modules: Mapping[str, str] | None = None,
    outputs: Sequence[str] = (),
) -> None:
    """Record all equations of a jaxpr, its inputs and its outputs.

    What fails is noted in the recorder; the walk goes on with the next equation.

    Args:
        closed: the jaxpr.
        recorder: takes the nodes.
        arguments: what its flat arguments are, in order.
        modules: classes of modules that have opened plain scopes, by the names of the scopes down to them, joined by '/'. Those
            that were called in a `parts.module_scope` are known without.
        outputs: names of its flat results, in order; those without are called 'output'.
    """
    walker = Walker(recorder, modules or {})
    sources: list[Source] = [
        argument if isinstance(argument, Weight) else (recorder.add(Node(INPUT, (), (), (spec_of(var),), argument[1])), 0)
        for argument, var in zip(arguments, closed.jaxpr.invars, strict=True)
    ]
    results = walker.body(closed.jaxpr, sources, Context())
    if not walker.optimizes:
        ends.without_optimizer(recorder)
    found = [(walker.result(source), spec_of(var)) for source, var in zip(results, closed.jaxpr.outvars, strict=True)]
    ends.add_outputs(recorder, found, outputs, walker.updated)
    ends.add_unused(recorder, [a for a in arguments if isinstance(a, Weight) and a.trainable and a.key not in walker.used])


class Walker:
    """Records equations one after the other.

    Args:
        recorder: takes the nodes.
        classes: as of `walk`.

    Attributes:
        recorder: as given.
        used: keys of the weights that a model has used.
        updated: numbers of the nodes that compute gradients or what comes of them outside of the model.
        optimizes: something outside of the model brings gradients and parameters, or states, together.
    """

    def __init__(self, recorder: Recorder, classes: Mapping[str, str]) -> None:
        self.recorder, self._classes = recorder, classes
        self.used: set[Hashable] = set()
        self.updated: set[int] = set()
        self.optimizes = False
        self._frames, self._calls = Frames(recorder), Calls()
        self._places: dict[Hashable, Place] = {}
        self._visits: Counter[int] = Counter()
        self._ends: dict[Hashable, int] = {}
        self._recent: tuple[Part, ...] = ()
        self._rules: dict[tuple[Part, ...], Part] = {}

    def body(self, jaxpr: Any, inputs: Sequence[Source], context: Context) -> list[Source]:
        """Record the equations of a body and return where its results come from."""
        self._visits[id(jaxpr)] += 1
        if self._visits[id(jaxpr)] > 1:
            context = context._replace(visit=(context.visit, self._visits[id(jaxpr)]))
        known: dict[Any, Source] = {var: Constant(id(var), spec_of(var)) for var in jaxpr.constvars}
        known.update(zip(jaxpr.invars, inputs, strict=True))

        def read(atom: Any) -> Source:
            if not isinstance(atom, Literal):
                return known.get(atom)
            return Constant(id(atom), spec_of(atom)) if getattr(atom.val, "shape", ()) else None

        for eqn in jaxpr.eqns:
            sources = [read(atom) for atom in eqn.invars]
            try:
                results = self._equation(eqn, sources, context)
            except Exception as error:  # noqa: BLE001  # of a version of JAX that has other equations: the rest can be drawn
                self.recorder.note(f"An operation {eqn.primitive.name} could not be recorded: {type(error).__name__}: {error}")
                results = self._unknown(eqn, sources)
            known.update(zip(eqn.outvars, results, strict=False))
        return [read(atom) for atom in jaxpr.outvars]

    def _equation(self, eqn: JaxprEqn, sources: list[Source], context: Context) -> list[Source]:
        if eqn.primitive.name in _ALIASES and len(eqn.outvars) <= len(sources):
            return sources[: len(eqn.outvars)]
        inside = self._inside(eqn, sources, context)
        into = body_walk(eqn)
        if into is not None:
            return into(self, eqn, sources, inside)
        return self.leaf(eqn, sources, self.scope(inside), inside)

    def _unknown(self, eqn: JaxprEqn, sources: Sequence[Source]) -> list[Source]:
        """Record what is known for sure of an equation: that it is there."""
        inputs = tuple(source for source in sources if isinstance(source, tuple))
        number = self.recorder.add(Node(str(eqn.primitive.name), (), inputs, tuple(map(spec_of, eqn.outvars))))
        return [(number, slot) for slot in range(len(eqn.outvars))]

    def result(self, source: Source) -> Source:
        """Return where a result comes from; a constant that is one is recorded."""
        return (self._end(source.key, _constant(source, ())), 0) if isinstance(source, Constant) else source

    def scope(self, context: Context) -> Scope:
        """Return the scope of what stands directly in a context."""
        return self._frames.scope(context.parts, backward=context.backward)

    def _inside(self, eqn: JaxprEqn, sources: Sequence[Source], context: Context) -> Context:
        """Return the context of an equation: that of the body around it, with what its own name stack and traceback say."""
        place = self._place(eqn)
        parts = (*context.parts, *(place.parts if not context.visit else _marked(place.parts, context.visit)))
        call = Call() if context.sealed else self._calls.of(*traceback_of(eqn))
        backward, optimizer = context.backward or place.backward, context.optimizer
        if not (optimizer or backward or place.derived or any(part.kind == "module" for part in parts)):
            optimizer = call.optimizer or any(isinstance(s, tuple) and s[0] in self.updated for s in sources)
            parts = (_OPTIMIZER, *(part for part in parts if part != _OPTIMIZER)) if optimizer else parts
        part = self._named(call.part, parts, backward=backward)
        sealed = context.sealed or part is not None
        parts = parts if part is None else (*parts, part)
        self._recent = parts
        return context._replace(parts=parts, backward=backward, optimizer=optimizer, sealed=sealed)

    def _named(self, part: Part | None, parts: tuple[Part, ...], *, backward: bool) -> Part | None:
        """Return a function of the API; in place of a rule that one which was called before, in the same module."""
        if part is None or part.name != RULE:
            return part
        before, depth = self._recent, len(parts)
        if not backward and before[:depth] == parts and len(before) > depth and before[depth].kind == "call":
            self._rules[parts] = before[depth]
        return self._rules.get(parts)

    def _place(self, eqn: JaxprEqn) -> Place:
        stack = name_stack_of(eqn)
        place = self._places.get(stack)
        if place is None:
            place = self._places[stack] = place_of(stack, self._classes)
        return place

    def leaf(self, eqn: JaxprEqn, sources: Sequence[Source], scope: Scope, context: Context) -> list[Source]:
        """Record an equation as one node and return where its results come from."""
        inputs = [found for found in (self._input(source, scope, context) for source in sources) if found is not None]
        outputs = tuple(spec_of(var) for var in eqn.outvars)
        flops = context.times * self._flops(eqn)
        number = self.recorder.add(Node(str(eqn.primitive.name), scope, tuple(inputs), outputs, "", _facts(eqn), flops=flops))
        if context.backward or context.optimizer:
            self.updated.add(number)
        return [(number, slot) for slot in range(len(outputs))]

    def _flops(self, eqn: JaxprEqn) -> int:
        try:
            return flops_of(eqn)
        except Exception as error:  # noqa: BLE001  # parameters of another version of JAX: the operation can be drawn without
            self.recorder.note(f"The FLOPs of {eqn.primitive.name} are not counted: {type(error).__name__}: {error}")
            return 0

    def _input(self, source: Source, scope: Scope, context: Context) -> tuple[int, int] | None:
        if isinstance(source, Weight):
            if context.optimizer:
                self.optimizes = True
                return self._end(source.key, ends.in_optimizer(source, scope[:1])), 0
            self.used.add(source.key)
            return self.recorder.weight(source, scope), 0
        if isinstance(source, Constant):
            return self._end(source.key, _constant(source, modules(scope))), 0
        return source

    def _end(self, key: Hashable, node: Node) -> int:
        """Return the number of a node without inputs that stands once in every scope in which it is used."""
        place = key, node.scope
        if place not in self._ends:
            self._ends[place] = self.recorder.add(node)
        return self._ends[place]


def _constant(constant: Constant, scope: Scope) -> Node:
    return Node(CONSTANT, scope, (), (constant.spec,), "constant")


def _marked(parts: tuple[Part, ...], visit: Hashable) -> tuple[Part, ...]:
    return tuple(part._replace(key=(part.key, visit)) if part.kind == "module" else part for part in parts)


def _facts(eqn: JaxprEqn) -> dict[str, Attribute]:
    """Return the parameters of an equation that can be read at a glance, and the numbers in it."""
    facts: dict[str, Attribute] = {}
    for name, value in eqn.params.items():
        if isinstance(value, (bool, int, float, str)):
            facts[name] = value
        elif isinstance(value, tuple) and value and len(text := str(value)) <= _LONGEST:
            facts[name] = text
    for i, atom in enumerate(eqn.invars):
        if isinstance(atom, Literal) and not getattr(atom.val, "shape", ()):
            facts[f"operand{i}"] = str(atom.val)
    return facts
