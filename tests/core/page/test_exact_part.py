"""Tensors that were kept element by element, and what a reference tells, as the page gets them."""

import operator

import numpy as np
import pytest

import multiboard as mb
from multiboard.page.exact import most_different
from multiboard.page.limits import Limits
from multiboard.page.pack import pack, unpack
from multiboard.page.parts import Board

NAMES = ("first", "second", "third")
RNG = np.random.default_rng(0)
KERNELS = dict(zip(NAMES, RNG.normal(size=(3, 16, 16)).astype(np.float32), strict=True))


def train(directory, change=lambda kernel, _name, _step: kernel, steps=(0, 5), *, exact=True):
    """Write kernels as a watch would: histogram, norm, and all elements."""
    with mb.Run(directory) as run:
        for step in steps:
            for name, kernel in KERNELS.items():
                values = change(kernel, name, step)
                run.histogram(f"params/{name}/kernel", values, step, description=f"`{name}.kernel` of Dense")
                run.log({f"norm/params/{name}/kernel": float(np.linalg.norm(values))}, step)
                if exact:
                    told = f"`{name}.kernel` of Dense; float32 [16, 16]"
                    run.tensor(f"exact/params/{name}/kernel", values, step, description=told)
    return directory


def off(kernel, name, step):
    """Return a kernel that is off the more, the later it is in the model and in the training."""
    return kernel * np.float32(1 + 1e-6 * (1 + NAMES.index(name)) * (1 + step))


def turned(kernel, name, _step):
    return kernel.T.copy() if name == "second" else kernel


def larger(kernel, name, _step):
    return kernel * np.float32(1.3) if name == "second" else kernel


@pytest.fixture
def board(tmp_path):
    """A function that makes a board of a baseline and other trainings."""

    def make(limits=None, oracle=None, **others):
        directories = {name: train(tmp_path / name, change) for name, change in others.items()}
        return Board({name: mb.read(one)["."] for name, one in directories.items()}, limits=limits, oracle=oracle)

    return make


def test_the_numbers_are_those_of_the_comparison_with_the_most_different_first(board):
    shown = board(a=turned, b=turned, c=off)
    part = unpack(pack(shown.part("exact")))
    expected = [row._asdict() for row in shown.comparison.exact]
    key = operator.itemgetter("run", "name", "step")
    assert sorted(part["rows"], key=key) == sorted(expected, key=key)
    sizes = [row["relative_l2"] for row in part["rows"]]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 1
    assert part["counts"] == {"b": 6, "c": 6}


def test_of_many_rows_each_step_of_each_run_keeps_its_most_different_ones(board):
    shown = board(a=turned, b=turned, c=off, limits=Limits(exact=2))
    part = shown.part("exact")
    kept = {(row["run"], row["step"], row["name"]) for row in part["rows"]}
    assert {one for one in kept if one[0] == "c"} == {("c", 0, "second/kernel"), ("c", 5, "second/kernel")}
    assert part["counts"] == {"b": 6, "c": 6}
    assert len(most_different(shown.comparison.exact, 5)) == 5


def test_infinite_differences_come_first_and_are_packed(board):
    shown = board(a=off, b=lambda kernel, name, step: kernel * np.float32(np.nan if (name, step) == ("third", 5) else 1))
    first = unpack(pack(shown.part("exact")))["rows"][0]
    assert (first["name"], first["step"], first["relative_l2"], first["cosine"]) == ("third/kernel", 5, "inf", None)


def test_runs_tell_whether_they_kept_elements(tmp_path):
    train(tmp_path / "with")
    train(tmp_path / "without", exact=False)
    shown = Board(dict(mb.read(tmp_path)))
    assert {row["name"]: row["exact"] for row in shown.part("runs")["runs"]} == {"with": True, "without": False}
    assert shown.part("exact") == {"rows": [], "counts": {}}


def test_a_difference_of_the_elements_alone_is_marked(board):
    part = board(a=off, b=lambda *given: turned(off(*given), *given[1:])).part("comparison")
    (row,) = part["divergence"]
    assert (row["name"], row["exact"]) == ("second/kernel", True)
    assert "the difference of the elements is" in row["sentence"]


def test_what_both_have_wrong_alike_is_in_the_comparison_and_in_the_verdict(board, tmp_path):
    shown = board(a=larger, b=larger, oracle=train(tmp_path / "double"))
    part = unpack(pack(shown.part("comparison")))
    assert part["same_wrong"] == [row._asdict() for row in shown.comparison.same_wrong]
    assert [(row["kind"], row["name"], row["step"]) for row in part["same_wrong"]] == [("params", "second/kernel", 0)]
    assert (part["code"], part["reference"]) == (1, "double")
    assert part["verdict"] == "b against a: as wrong as the baseline, double shows."
    assert any(line.startswith("same wrong: params second/kernel") for line in part["oracle"])


def test_without_a_reference_nothing_is_said_of_one(board):
    part = board(a=larger, b=larger).part("comparison")
    assert (part["same_wrong"], part["reference"], part["oracle"], part["code"]) == ([], "", [], 0)
