"""How a running train step is looked at: methods of instances are replaced for a while, and nothing of ours raises into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from multiboard_keras._compat import trace_level

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager


_NOTHING: Final = object()


class replaced:  # noqa: N801  # used like a function
    """Replaces a method of one instance for a while, without the attribute tracking of Keras; to be entered once.

    A class, because every batch enters it, and that of a generator takes three times as long.

    Args:
        target: the instance.
        name: of the method.
        replacement: what stands there meanwhile.
    """

    __slots__ = ("_before", "_name", "_namespace", "_replacement")

    def __init__(self, target: Any, name: str, replacement: Callable[..., Any]) -> None:
        self._namespace: dict[str, Any] = vars(target)
        self._name, self._replacement = name, replacement

    def __enter__(self) -> None:
        """Put the replacement there."""
        self._before = self._namespace.get(self._name, _NOTHING)  # the instance has as a rule none of its own
        self._namespace[self._name] = self._replacement

    def __exit__(self, *_: object) -> None:
        """Put back what was there."""
        if self._before is _NOTHING:
            del self._namespace[self._name]
        else:
            self._namespace[self._name] = self._before


class Replacements:
    """Replaces methods of instances for a while; to be entered any number of times."""

    def __init__(self) -> None:
        self._methods: list[_Method] = []

    def add(self, target: Any, name: str, make: Callable[[Any], Callable[..., Any]]) -> None:
        """Add a method; a second time it is ignored, as that of a metric which Keras lists twice.

        Args:
            target: the instance.
            name: of the method.
            make: returns what stands there meanwhile, for what stood there before.
        """
        if not any(method.target is target and method.name == name for method in self._methods):
            self._methods.append(_method(target, name, make))

    def __enter__(self) -> None:
        """Put the replacements there."""
        for place, (namespace, name, before, replacement, _, _) in enumerate(self._methods):
            if namespace.get(name, _NOTHING) is not before:
                namespace[name] = self._made_anew(place)
            else:
                namespace[name] = replacement

    def __exit__(self, *_: object) -> None:
        """Put back what was there."""
        for namespace, name, before, *_rest in reversed(self._methods):
            if before is _NOTHING:
                namespace.pop(name, None)
            else:
                namespace[name] = before

    def _made_anew(self, place: int) -> Callable[..., Any]:
        """Return the replacement of what somebody else has put there since it was made."""
        old = self._methods[place]
        self._methods[place] = new = _method(old.target, old.name, old.make)
        return new.replacement


class _Method(NamedTuple):
    """A method that is replaced.

    Attributes:
        namespace: of the instance.
        name: of the method.
        before: what stood in the namespace, `_NOTHING` if the instance had none of its own.
        replacement: what stands there meanwhile.
        target: the instance.
        make: makes the replacement.
    """

    namespace: dict[str, Any]
    name: str
    before: object
    replacement: Callable[..., Any]
    target: Any
    make: Callable[[Any], Callable[..., Any]]


def _method(target: Any, name: str, make: Callable[[Any], Callable[..., Any]]) -> _Method:
    return _Method(vars(target), name, vars(target).get(name, _NOTHING), make(getattr(target, name)), target, make)


class Sight:
    """Tells in one run of a train step what can be seen, and keeps what goes wrong in looking.

    Args:
        problems: gets the last error of each kind of extras.
    """

    def __init__(self, problems: dict[str, Exception]) -> None:
        self._problems = problems
        self._guards: dict[str, _Guard] = {}
        self.begin()

    def begin(self) -> None:
        """Begin a run."""
        self._busy = False
        self._level = trace_level()

    @property
    def busy(self) -> bool:
        """Whether a computation of ours is running."""
        return self._busy

    def is_clear(self) -> bool:
        """Whether tensors seen here can leave the step: not those inside a gradient, a condition or a computation of ours."""
        return not self._busy and trace_level() == self._level

    def guarded(self, kind: str) -> AbstractContextManager[None]:
        """Return a context to look at something for one kind of extras; an error becomes a problem."""
        guard = self._guards.get(kind)
        if guard is None:
            guard = self._guards[kind] = _Guard(self, kind)
        return guard

    def look(self, *, begins: bool) -> None:
        """Begin or end a computation of ours."""
        self._busy = begins

    def keep(self, kind: str, problem: Exception) -> None:
        """Keep what has gone wrong."""
        self._problems[kind] = problem


class _Guard:
    """What `Sight.guarded` returns; a class, because every step on PyTorch enters it many times."""

    __slots__ = ("_kind", "_sight")

    def __init__(self, sight: Sight, kind: str) -> None:
        self._sight, self._kind = sight, kind

    def __enter__(self) -> None:
        self._sight.look(begins=True)

    def __exit__(self, _: object, error: BaseException | None, *__: object) -> bool:
        self._sight.look(begins=False)
        if isinstance(error, Exception):  # nothing of ours may end a training
            self._sight.keep(self._kind, error)
            return True
        return False
