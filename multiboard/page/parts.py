"""What the page shows, as data: one part per panel or per thing that is looked at."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from multiboard.compare import comparison
from multiboard.compare.tolerances import KINDS
from multiboard.errors import ArgumentError
from multiboard.page import curves, exact, graphs, heat, histograms, media, overview, profiles, verdict
from multiboard.page.limits import Limits
from multiboard.page.shortlist import shortlist, tensors_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from multiboard.compare.comparison import Comparison, LayerMap
    from multiboard.compare.findings import Finding
    from multiboard.compare.sources import Source
    from multiboard.compare.tolerances import Tolerance
    from multiboard.reader import RunData

Part: TypeAlias = dict[str, Any]


class Board:
    """Runs that are looked at side by side. Not for several threads at once.

    Args:
        runs: by name, the baseline first.
        fixed: whether the page cannot ask for other runs.
        limits: how much of long runs it gets.
        tolerance: the largest relative difference that is none, as in `multiboard.compare`.
        noise: repeats of one training, or 'f32' or 'bf16'.
        layers: paths of layers that belong together.
        kinds: what is compared.
        guesses: whether layers are compared also if it is a guess that they belong together.
        oracle: a run of the same training that computes more exactly.
        compared: the comparison of these runs, by these rules and names, if there is one; None makes it when it is asked for.

    Attributes:
        runs: the same.
        names: of the runs.
        fixed: the same.
        limits: the same.

    Raises:
        ArgumentError: there is no run.
    """

    def __init__(
        self,
        runs: Mapping[str, RunData],
        *,
        fixed: bool = False,
        limits: Limits | None = None,
        tolerance: Tolerance = None,
        noise: str | Sequence[Source] | None = None,
        layers: LayerMap | None = None,
        kinds: Sequence[str] = KINDS,
        guesses: bool = False,
        oracle: Source | None = None,
        compared: Comparison | None = None,
    ) -> None:
        if not runs:
            raise ArgumentError("runs", list(runs), "name a run")
        self.runs = dict(runs)
        self.names = tuple(runs)
        self.fixed = fixed
        self.limits = limits or Limits()
        self._compared = compared
        self._rules: dict[str, Any] = {
            "tolerance": tolerance, "noise": noise, "layers": layers, "kinds": kinds, "guesses": guesses,
            "oracle": oracle,
        }  # fmt: skip

    @property
    def baseline(self) -> RunData:
        """What the first run holds."""
        return self.runs[self.names[0]]

    @cached_property
    def comparison(self) -> Comparison | None:
        """The comparison with the baseline; None if there is one run only."""
        if len(self.names) == 1:
            return None
        return self._compared or comparison.compare(*self.runs.values(), names=self.names, **self._rules)

    @cached_property
    def user_layers(self) -> dict[str, str]:
        """The layers that the user says belong together."""
        return comparison.layer_map(self._rules["layers"]) or {}

    @cached_property
    def tensors(self) -> dict[tuple[str, str, str], Finding]:
        """What was compared of tensors, by run, kind and the baseline's name."""
        found = self.comparison.findings if self.comparison else ()
        return {(one.run, one.kind, one.name): one for one in found if one.measures is not None}

    @cached_property
    def scalars(self) -> dict[str, list[Finding]]:
        """What was compared of scalars, by tag."""
        found: dict[str, list[Finding]] = {}
        for one in self.comparison.findings if self.comparison else ():
            if one.measures is None:
                found.setdefault(one.name, []).append(one)
        return found

    @cached_property
    def maps(self) -> dict[tuple[str, str], heat.Map]:
        """The rows and columns of the maps of layers and steps, by run and kind."""
        return heat.maps(self.tensors.values(), self.limits.cells, self.comparison.parted if self.comparison else ())

    @cached_property
    def held(self) -> dict[str, list[str]]:
        """The tensors that the baseline has something of, by kind."""
        return tensors_of(self.baseline)

    @cached_property
    def shortlist(self) -> dict[str, list[str]]:
        """Those of which a file holds histograms and norms."""
        parted = self.comparison.parted if self.comparison else ()
        return shortlist(self.held, self.tensors.values(), parted, self.limits.tensors)

    def pieces(self, kind: str, name: str) -> list[tuple[str, tuple[str, ...]]]:
        """Return what each run calls the pieces of a tensor of the baseline, without the group, as far as that is known.

        Args:
            kind: the group.
            name: in the baseline; '' for the whole group, which all have. A run that holds it in other pieces than most, e.g.
                query, key and value as one, is left out.
        """
        others = self.names[1:]
        if not name:
            return [(run, ("",)) for run in self.names]
        found = {run: one.pieces for run in others if (one := self.tensors.get((run, kind, name)))}
        held = [ours for ours, _ in found.values()]
        mine = max(held, key=held.count, default=(name,))  # with another run it may be another number of pieces
        return [(self.names[0], mine), *((run, theirs) for run, (ours, theirs) in found.items() if ours == mine)]

    def parted_at(self, kind: str, name: str) -> list[int]:
        """Return the steps at which runs part in a tensor."""
        parted = self.comparison.parted if self.comparison else ()
        return [one.step for one in parted if one.kind == kind and one.name == name]

    def part(self, name: str, query: Mapping[str, str] | None = None) -> Part:
        """Return a part.

        Args:
            name: 'runs', 'comparison', 'heat', 'scalars', 'curve', 'histogram', 'norms', 'graph', 'profile', 'media', 'medium' or
                'exact'.
            query: what of it, by the names that the part asks for.

        Returns:
            What `multiboard.page.pack` takes; the texts are those of the user.

        Raises:
            ArgumentError: there is no such part, or a name, run, tag or step of the query is none.
        """
        if name not in _PARTS:
            raise ArgumentError("part", name, f"the parts are {', '.join(_PARTS)}")
        make, wanted = _PARTS[name]
        query = query or {}
        for one in wanted:
            if one not in query:
                raise ArgumentError(one, "", f"the part {name!r} needs {' and '.join(wanted)}")
        for one in query:
            if one not in wanted:
                raise ArgumentError(one, query[one], f"the part {name!r} takes {' and '.join(wanted) or 'nothing'}")
        return make(self, *(query[one] for one in wanted))

    def run(self, name: str, *, other: bool = False) -> RunData:
        """Return what a run holds.

        Args:
            name: of the run.
            other: it must not be the baseline.

        Raises:
            ArgumentError: there is no such run.
        """
        names = self.names[1:] if other else self.names
        if name not in names:
            raise ArgumentError("run", name, f"the runs are {', '.join(names) or 'the baseline only'}")
        return self.runs[name]


_PARTS: Final[dict[str, tuple[Callable[..., Part], tuple[str, ...]]]] = {
    "runs": (overview.runs, ()),
    "comparison": (verdict.comparison, ()),
    "heat": (heat.heat, ("kind", "measure", "run")),
    "scalars": (curves.scalars, ()),
    "curve": (curves.curve, ("tag",)),
    "histogram": (histograms.histogram, ("kind", "name")),
    "norms": (curves.norms, ("kind", "name")),
    "graph": (graphs.graph, ("run",)),
    "profile": (profiles.profile, ()),
    "media": (media.media, ()),
    "medium": (media.medium, ("run", "step", "tag")),
    "exact": (exact.exact, ()),
}
"""What makes each part, and the names that its query has."""
