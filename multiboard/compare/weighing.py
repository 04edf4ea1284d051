"""Weighs the evidence for pairs of layers and chooses partners, signature by signature."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import groupby, product
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import numpy as np

from multiboard.compare import evidence
from multiboard.compare.assignment import assign
from multiboard.compare.equal_weights import EqualWeights
from multiboard.compare.evidence import CALLS, MAP, NAMES, NUMBERS, PATH, PLACE, SEQUENCE, SHAPE, WEIGHTS
from multiboard.compare.signatures import detail_of, signatures
from multiboard.compare.surroundings import nearness, partners
from multiboard.compare.tokens import CLASS_WORDS, likenesses, ranked

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence

    import numpy.typing as npt

    from multiboard.compare.signatures import Unit
    from multiboard.compare.tokens import Name

Level: TypeAlias = Literal["certain", "agreed", "guess"]
LEVELS: Final[tuple[Level, ...]] = ("certain", "agreed", "guess")
"""From the surest on."""
_VALUE: Final = {PATH: 4.0, NAMES: 3.0, CALLS: 2.5, PLACE: 2.0, NUMBERS: 1.5, SEQUENCE: 1.0}
"""What a partner chosen by a kind of evidence is worth."""
_SOURCES: Final = {PATH: NAMES, NAMES: NAMES, NUMBERS: NAMES, CALLS: CALLS, PLACE: PLACE, SEQUENCE: SEQUENCE, SHAPE: SHAPE}
"""Kinds of evidence that come from one source count once."""
_ROUNDS: Final = 4
"""How often what was settled may settle more between it."""
_FINE: Final = 2


class Partners:
    """The partners of the units of two models.

    Args:
        a: units of the first model.
        b: units of the second.
    """

    def __init__(self, a: Sequence[Unit], b: Sequence[Unit]) -> None:
        self._a, self._b = a, b
        self._detail = min(detail_of(a), detail_of(b))
        self._keys = signatures(a, b, self._detail)
        self._crowds = [Counter(key[:2] for key in side) for side in self._keys]
        self._names = [ranked((unit.name, unit.kind) for unit in side) for side in (a, b)]
        self._known = self._told(0), self._told(1)
        self._votes: dict[str, tuple[dict[int, int], dict[int, int]]] = defaultdict(lambda: ({}, {}))
        self._doubted: set[tuple[str, int, int]] = set()
        self._trusted: set[tuple[int, int]] = set()
        self._found: dict[int, tuple[int, Level, tuple[str, ...]]] = {}
        self._taken: set[int] = set()

    def settle(self, a: str, b: str) -> None:
        """Take two layers as partners because the user says so."""
        ours = next((i for i, unit in enumerate(self._a) if a in unit.members), None)
        theirs = next((j for j, unit in enumerate(self._b) if b in unit.members), None)
        if ours is not None and theirs is not None:
            self._put(ours, theirs, "certain", (MAP,))

    def add_weights(self, equal: Callable[[tuple[str, ...], tuple[str, ...]], bool]) -> None:
        """Take layers as partners whose weights are equal, if each has but one such partner."""
        self._collect()
        for left, right in list(self._groups()):
            same = [(i, j) for i, j in self._candidates(left, right, equal) if equal(self._a[i].members, self._b[j].members)]
            crowds = Counter(i for i, _ in same), Counter(j for _, j in same)
            for i, j in same:
                if crowds[0][i] == crowds[1][j] == 1:
                    against = [kind for kind in (PATH, NAMES) if self._votes[kind][0].get(i, j) != j]
                    self._put(i, j, "certain", (WEIGHTS, *(f"against it: {kind}" for kind in against)))
        self._votes.clear()

    def _candidates(self, left: Sequence[int], right: Sequence[int], equal: Any) -> Iterable[tuple[int, int]]:
        if not isinstance(equal, EqualWeights):
            return product(left, right)
        found = equal.candidates([self._a[i].members for i in left], [self._b[j].members for j in right])
        return ((left[i], right[j]) for i, j in found)

    def trust_paths(self) -> None:
        """Take layers of one path as partners if nothing else that is known of them differs."""
        for i, j in evidence.paths(self._a, self._b):
            if self._keys[0][i] == self._keys[1][j]:
                self._put(i, j, "agreed" if self._numbered(i) else "certain", (PATH,))

    def choose(self) -> None:
        """Choose partners: first what is sure, then what stands between that, then guesses."""
        self._collect()
        self._decide_what_is_sure()
        self._drop_parts()
        self._collect()
        self._decide_what_is_sure()
        self._decide(guess=True)
        self._guess_names()

    def pairs(self) -> Iterator[tuple[Unit, Unit, Level, tuple[str, ...]]]:
        """Return the partners in the order of the first model, how sure they are, and why."""
        for i, (j, level, why) in sorted(self._found.items()):
            yield self._a[i], self._b[j], level, why

    def _put(self, i: int, j: int, level: Level, why: tuple[str, ...]) -> None:
        if i not in self._found and j not in self._taken:
            self._found[i] = (j, level, why)
            self._taken.add(j)

    def _groups(self) -> Iterator[tuple[list[int], list[int]]]:
        """Return the units without partner of each signature that both models have."""
        sides: list[dict[Hashable, list[int]]] = []
        for keys, taken in zip(self._keys, self._settled(), strict=True):
            of: dict[Hashable, list[int]] = defaultdict(list)
            for number, signature in enumerate(keys):
                if number not in taken:
                    of[signature].append(number)
            sides.append(of)
        for key, left in sides[0].items():
            if key in sides[1]:
                yield left, sides[1][key]

    def _drop_parts(self) -> None:
        """Let parts of an attention that only one model tells by name look for layers of which that is not known."""
        open_keys = [
            {keys[n] for n in range(len(keys)) if n not in taken} for keys, taken in zip(self._keys, self._settled(), strict=True)
        ]
        for keys, taken, others in zip(self._keys, self._settled(), reversed(open_keys), strict=True):
            for number, key in enumerate(keys):
                if number not in taken and key not in others:
                    keys[number] = (*key[:2], "any")

    def _settled(self) -> tuple[Collection[int], Collection[int]]:
        return self._found.keys(), self._taken

    def _sure(self) -> list[tuple[int, int]]:
        return [(i, j) for i, (j, level, _) in self._found.items() if level != "guess"]

    def _vote(self, kind: str, i: int, j: int) -> None:
        if i not in self._found and j not in self._taken:
            self._votes[kind][0][i] = j
            self._votes[kind][1][j] = i

    def _collect(self) -> None:
        for i, j in evidence.paths(self._a, self._b):
            if self._keys[0][i] == self._keys[1][j]:
                self._vote(PATH, i, j)
        for kind, chosen in ((CALLS, evidence.calls), (SEQUENCE, evidence.sequence)):
            for _, row in groupby(chosen(self._a, self._keys[0], self._b, self._keys[1]), lambda pair: self._keys[0][pair[0]]):
                pairs = list(row)
                # Layers side by side may be called in any order: where names contradict one, none of the row speaks for a pair.
                crossed = {pair for pair in pairs if self._crossed(*pair)}
                for i, j in pairs:
                    if (i, j) not in crossed:
                        self._vote(kind, i, j)
                    if crossed:
                        self._doubted.add((kind, i, j))
        for left, right in list(self._groups()):
            self._collect_names(left, right)

    def _collect_names(self, left: list[int], right: list[int]) -> None:
        ours, theirs = [self._names[0][i] for i in left], [self._names[1][j] for j in right]
        for i, j, kind in evidence.names(ours, theirs):
            self._vote(kind, left[i], right[j])
        for i, j in evidence.same_names(ours, theirs).items():
            self._trusted.add((left[i], right[j]))
            self._vote(NAMES, left[i], right[j])
        if {self._a[i].members for i in left} == {self._b[j].members for j in right}:
            self._trusted |= {(i, self._votes[PATH][0][i]) for i in left if i in self._votes[PATH][0]}

    def _collect_places(self) -> None:
        settled = self._sure()
        for chosen in (evidence.neighbours, evidence.places):
            for i, j in chosen(self._a, self._keys[0], self._b, self._keys[1], settled):
                if not self._crossed(i, j):
                    self._vote(PLACE, i, j)

    def _crossed(self, i: int, j: int) -> bool:
        """Return whether each of two names has a word that the other model uses for layers of that size, but not for this one."""
        known = self._known[0][self._keys[0][i][:2]] & self._known[1][self._keys[1][j][:2]]
        mine, other = (names[at].told & known for names, at in zip(self._names, (i, j), strict=True))
        return bool(mine - other) and bool(other - mine)

    def _told(self, side: int) -> dict[Hashable, set[str]]:
        """Return the words that a model uses for layers of each kind and size."""
        told: dict[Hashable, set[str]] = defaultdict(set)
        for key, name in zip(self._keys[side], self._names[side], strict=True):
            told[key[:2]] |= name.told
        return told

    def _decide_what_is_sure(self) -> None:
        for _ in range(_ROUNDS):
            before = len(self._found)
            self._decide(guess=False)
            if len(self._found) == before:
                break
            self._collect_places()

    def _decide(self, *, guess: bool) -> None:
        partner = partners([(self._a[i], self._b[j]) for i, j in self._sure()])
        for left, right in list(self._groups()):
            nearby = nearness([self._a[i] for i in left], [self._b[j] for j in right], partner)
            for row, column in assign(-self._worth(left, right) - nearby):
                self._judge(left[row], right[column], (len(left), len(right)), guess=guess)

    def _worth(self, left: list[int], right: list[int]) -> npt.NDArray[np.float64]:
        """Return how good each pair is `[n, m]`; the order in which layers were listed tells only equals apart."""
        worth = np.zeros((len(left), len(right)))
        columns = {j: column for column, j in enumerate(right)}
        for kind, value in _VALUE.items():
            for row, i in enumerate(left):
                j = self._votes[kind][0].get(i)
                if j in columns and (kind, i, j) not in self._doubted:
                    worth[row, columns[j]] += value
        worth += likenesses([self._names[0][i].words for i in left], [self._names[1][j].words for j in right])
        apart = np.linspace(0, 1, len(left))[:, None] - np.linspace(0, 1, len(right))[None, :]
        biases = [
            np.array([side[number].bias is True for number in numbers]) for side, numbers in ((self._a, left), (self._b, right))
        ]
        worth -= 0.3 * np.abs(apart) + 0.5 * (biases[0][:, None] != biases[1][None, :])
        return worth

    def _judge(self, i: int, j: int, group: tuple[int, int], *, guess: bool) -> None:
        """Make two units partners if the evidence is enough."""
        kinds = [kind for kind in _VALUE if self._votes[kind][0].get(i) == j and (kind, i, j) not in self._doubted]
        against = [kind for kind in _VALUE if self._votes[kind][0].get(i, j) != j or self._votes[kind][1].get(j, i) != i]
        if self._crowds[0][self._keys[0][i][:2]] == self._crowds[1][self._keys[1][j][:2]] == 1:
            kinds.append(SHAPE)
        level = self._level(i, j, kinds, against)
        if level != "guess":
            self._put(i, j, level, tuple(kinds))
        elif guess and (kinds or group[0] == group[1]):
            crowd = [f"one of {max(group)} of one shape"] if max(group) > 1 else []
            self._put(i, j, "guess", (*kinds, *(f"against it: {kind}" for kind in against), *crowd))

    def _level(self, i: int, j: int, kinds: Sequence[str], against: Sequence[str]) -> Level:
        trusted = (i, j) in self._trusted
        if PATH in kinds and (not self._numbered(i) or (trusted and not against)):
            return "certain"
        if SHAPE in kinds and trusted:
            return "certain"
        if SHAPE in kinds and self._detail == _FINE and self._a[i].shape != () and not {NAMES, PATH} & set(against):
            return "agreed"
        independent = len({_SOURCES[kind] for kind in kinds})
        return "agreed" if not against and (independent > 1 or trusted) else "guess"

    def _numbered(self, i: int) -> bool:
        """Return whether a layer is called by its class or by a number, which nobody may have chosen."""
        return self._a[i].name.words[-1] in CLASS_WORDS or self._a[i].path[-1:].isdigit()

    def _guess_names(self) -> None:
        """Guess what signatures left over: layers of the same names whose sizes differ."""
        at: dict[tuple[str, Name], list[int]] = defaultdict(list)
        for j, unit in enumerate(self._b):
            if j not in self._taken:
                at[unit.kind, self._names[1][j]].append(j)
        for i, unit in enumerate(self._a):
            same = at.get((unit.kind, self._names[0][i]), [])
            if i not in self._found and len(same) == 1:
                self._put(i, same[0], "guess", (NAMES, "against it: shape"))
