"""The hparams session of one run: its one start with hyper-parameters and run facts, and its end.

The start waits for the first value of the run, because frameworks and devices are often not in use before; it costs the caller
nothing, because the facts are gathered in the writer thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import time
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from multiboard.errors import ArgumentError, ValueKindError
from multiboard.gathering import Gathering
from multiboard.tags import FACTS
from multiboard.values import HParams, SessionEnd, Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from multiboard.kinds.hparams import Experiment, HParam
    from multiboard.values import Value

StatedFacts: TypeAlias = "Mapping[str, HParam | None] | None"


def check_facts(option: object) -> StatedFacts:
    """Return the argument `facts` of a run: what the user states, flat, None for a fact to leave out; None for no facts at all.

    Raises:
        ArgumentError: it is neither a bool nor a mapping.
    """
    if isinstance(option, Mapping):
        from multiboard.kinds import hparams

        stated = hparams.leaves(option, FACTS)
        return {name: None if value is None else hparams.plain(value) for name, value in stated}
    if isinstance(option, bool):
        return {} if option else None
    raise ArgumentError("facts", option, "pass True, False, or facts of your own, e.g. {'dataset': 'cifar10'}")


class SessionStart(NamedTuple):
    """The start of a session, whose facts are still to be gathered.

    Attributes:
        hparams: of the user, flat; they win over facts of the same name.
        facts: what `check_facts` returns.
        experiment: what the run states of its hyper-parameters and metrics.
        gathering: of the facts.
    """

    hparams: Mapping[str, HParam]
    facts: StatedFacts
    experiment: Experiment | None
    wall_time: float
    gathering: Gathering

    @property
    def awaited(self) -> Gathering | None:
        """What the writer waits for before it expands this value."""
        return None if self.facts is None else self.gathering

    def expand(self) -> Iterator[HParams | Summary]:
        """Yield the start, with the facts, and what goes with it."""
        values = {**self.hparams, **self._gather(), **self.hparams}
        yield HParams(values, self.wall_time)
        if self.experiment is not None:
            yield self.experiment.summary(values, self.wall_time)

    def _gather(self) -> dict[str, HParam]:
        if self.facts is None:
            return {}
        found: dict[str, HParam | None] = {**self.gathering.fetch()}
        if "seed" in self.hparams:
            found.setdefault(f"{FACTS}seed", self.hparams["seed"])
        found |= self.facts
        return {name: value for name, value in found.items() if value is not None}


class Session:
    """Writes the start and the end of one run's session.

    Args:
        put: enqueues a value of the run.
        stated: what `check_facts` returns.
        parent: of a child run: the session of the run above it.
        at_once: write hyper-parameters when they come, not with the first value.

    Attributes:
        alone: whether the end writes facts even if there are no hyper-parameters. Not for child runs, and not for runs whose
            children have sessions of their own: TensorBoard shows a row for each session.
    """

    def __init__(
        self, put: Callable[[Value], None], stated: StatedFacts, parent: Session | None = None, *, at_once: bool = False
    ) -> None:
        self.alone = parent is None and stated is not None
        self._stated = stated
        self._put = put
        self._parent = parent
        self._opened = time()
        self._waiting: list[SessionStart] = []
        self._has_start = False
        self._at_once = at_once
        self._running = at_once
        self._children: list[Session] = []

    def child(self, put: Callable[[Value], None]) -> Session:
        """Return the session of a child run, which has facts of its own once it has hyper-parameters."""
        child = Session(put, self._stated, self, at_once=self._at_once)
        self._children.append(child)
        return child

    def _forget(self, child: Session) -> None:
        if child in self._children:
            self._children.remove(child)

    def configure(self, config: object, domains: object, metrics: object) -> None:
        """Take the hyper-parameters; they are written before the next value, or now if there were values.

        Raises:
            ValueKindError: they are no mapping, or the run has hyper-parameters.
            ArgumentError: see `hparams.take_experiment`.
        """
        from multiboard.kinds import hparams

        taken = hparams.take(config)
        experiment = hparams.take_experiment(taken, domains, metrics)
        if self._has_start:
            raise ValueKindError(
                "hparams",
                config,
                "this run has its hyper-parameters already; pass all of them at once, or give others a run of their own: "
                "run.child(...), with SummaryWriter run_name=... or sub_runs=True.",
            )
        self._has_start = True
        self._waiting.append(SessionStart(taken, self._stated, experiment, time(), Gathering()))
        above = self._parent
        while above is not None:
            above.alone, above = False, above._parent  # noqa: SLF001  # another Session
        if self._running:
            self.start()

    def start(self, put: Callable[[Value], None] | None = None) -> None:
        """Enqueue the start if there is one that waits: called before the first value, and by flush.

        Args:
            put: another way to enqueue it.
        """
        self._running = True
        if not self._waiting:
            return
        try:
            waiting = self._waiting.pop()
        except IndexError:  # another thread was first
            return
        (put or self._put)(waiting)

    def start_all(self) -> None:
        """Do the same for the sessions of all runs below."""
        self.start()
        for child in tuple(self._children):
            child.start_all()

    def end(self, *, success: bool, put: Callable[[Value], None] | None = None) -> None:
        """Enqueue what is left of the session, if the run has one.

        Args:
            success: its status.
            put: another way to enqueue it; in a signal handler one that takes no lock.
        """
        if self.alone and not self._has_start:
            self._has_start = True
            self._waiting.append(SessionStart({}, self._stated, None, self._opened, Gathering()))
        self.start(put)
        if self._parent is not None:
            self._parent._forget(self)  # noqa: SLF001  # another Session
        if self._has_start:
            (put or self._put)(SessionEnd(success, time()))
