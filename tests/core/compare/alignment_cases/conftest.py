"""What a test of the aligner gets: architectures by name, and the scores of all of them."""

import itertools
import runpy
from pathlib import Path
from typing import NamedTuple

import pytest

from multiboard.compare.align import align

HERE = Path(__file__).parent
FOLDERS = ("developed", "held_out", "fresh", "later", "unseen", "afterwards", "well_known")
Case = runpy.run_path(str(HERE / "case_tables.py"))["Case"]
HELD = ("hold the same layers",)


def _cases(folder):
    for file in sorted((HERE / folder).glob("*.py")):
        yield from (made(Case) for name, made in runpy.run_path(str(file)).items() if callable(made) and name[0] != "_")


class Score(NamedTuple):
    """What became of the true pairs of an architecture in two frameworks."""

    truth: int
    right: int
    guessed: int
    wrong: int
    misled: list


def _score(case, a, b, graph):
    truth = case.truth(a, b)
    aligned = align(case.layers(a, graph=graph), case.layers(b, graph=graph))
    pairs = [pair for pair in aligned.pairs if pair.evidence != HELD]
    right = [pair for pair in pairs if (pair.a, pair.b) in truth]
    misled = [(case.name, pair) for pair in pairs if pair not in right and pair.level != "guess"]
    return Score(len(truth), len(right), sum(pair.level == "guess" for pair in right), len(pairs) - len(right), misled)


@pytest.fixture
def scores():
    """A function that returns the scores of all architectures in a folder, in each two frameworks."""

    def count(folder, *, graph):
        return [_score(case, a, b, graph) for case in _cases(folder) for a, b in itertools.combinations(case.frameworks(), 2)]

    return count


@pytest.fixture
def made():
    """A function that returns an architecture by its name."""
    known = {case.name: case for folder in FOLDERS for case in _cases(folder)}
    return known.__getitem__


@pytest.fixture
def stack():
    """A function that returns dense layers of equal sizes, called in the order of their names if there is a graph."""

    def layers(*names, sizes=(64, 64), graph=True):
        case = Case("stack")
        for name in names:
            case.add("dense", sizes, torch=name)
        return case.layers("torch", graph=graph)

    return layers


@pytest.fixture
def alignment_of():
    """A function that aligns an architecture in two frameworks."""
    return lambda case, a, b: align(case.layers(a), case.layers(b))
