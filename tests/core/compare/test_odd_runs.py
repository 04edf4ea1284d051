"""Runs that hold little, or numbers that are none, are compared, diagnosed and printed like any others."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import multiboard as mb
from multiboard.buckets import measure
from multiboard.layer_rows import LayerRow, LayerRows, RoleRow
from multiboard.reader import Column, RunData

ODD = (0.0, np.nan, np.inf, -np.inf, 1e-300, 1e300, 5e-324, -1.0, 1.0)
TENSORS = (
    "activations/conv", "activations/norm", "activations/dense", "params/conv/kernel", "params/norm/scale", "params/dense/kernel",
    "grads/dense/kernel", "grads/dense/bias", "updates/dense/kernel", "updates/norm/scale",
    "buffers/norm/mean", "buffers/norm/var",
)  # fmt: skip
SCALARS = (
    "train/loss",
    "val/loss",
    "train/learning_rate",
    "norm/grads",
    "update_ratio/dense/kernel",
    "nonfinite/grads/dense/kernel",
)
TABLE = LayerRows(
    "jax",
    tuple(
        LayerRow(path, cls, order, (RoleRow(role, f"{path}/{role}", role, shape),))
        for order, (path, cls, role, shape) in enumerate(
            [
                ("conv", "ConvFilter", "kernel", (5,)),
                ("norm", "BatchNorm", "scale", (0,)),
                ("dense", "Dense", "kernel", (8, 8)),
                ("head", "Dense", "kernel", (8, 2)),
            ]
        )
    ),
)


def column(values, steps):
    return Column(np.array(steps, np.int64), np.zeros(len(steps)), values)


def run(rng, name, steps, scalars=(*SCALARS, *(f"norm/{tag}" for tag in TENSORS)), tensors=TENSORS, table=TABLE):
    """Return a run of random numbers."""
    rows = [measure(rng.normal(size=64) * 10.0 ** rng.integers(-3, 3)).rows() for _ in steps]
    return RunData(
        Path(name),
        scalars={tag: column(np.abs(rng.normal(size=len(steps))), steps) for tag in scalars},
        histograms={tag: column(rows, steps) for tag in tensors},
        tensors={"multiboard/run_info": column([np.array(table.to_json().encode(), object)], [0])} if table else {},
    )


def spoiled(rng, held, name, part):
    """Return a run with some of its numbers replaced, each with the same chance."""
    scalars = {
        tag: column(np.where(rng.random(len(one)) < part, rng.choice(ODD, len(one)), one.value), one.step)
        for tag, one in held.scalars.items()
    }
    rows = [np.zeros((0, 3)), np.array([[0.0, 0.0, 9.0]]), np.array([[-np.inf, 0.0, 3.0], [0.0, np.inf, 1.0]])]
    histograms = {
        tag: column([rows[rng.integers(3)] if rng.random() < part else value for value in one.value], one.step)
        for tag, one in held.histograms.items()
    }
    return replace(held, path=Path(name), scalars=scalars, histograms=histograms)


@pytest.mark.parametrize("part", [0.02, 0.1, 0.5, 1.0])
@pytest.mark.parametrize(
    "holds",
    [
        {"steps": (0, 1, 2, 3)},
        {"steps": (0, 5, 5, 1)},
        {"steps": (7,)},
        {"steps": ()},
        {"steps": (0, 1, 2), "tensors": (), "scalars": SCALARS, "table": None},
        {"steps": (0, 1, 2), "scalars": (), "table": None},
    ],
    ids=["all", "steps that come again", "one step", "no step", "only scalars", "only histograms"],
)
def test_nothing_that_runs_may_hold_is_an_error(part, holds):
    for seed in range(2):
        rng = np.random.default_rng(seed)
        whole = run(rng, "a", **holds)
        found = mb.compare(whole, spoiled(rng, whole, "b", part), oracle=spoiled(rng, whole, "c", part), tolerance=1e-4)
        assert found.code in {0, 1, 2}
        assert str(found)
        assert found.to_json()
        assert found.to_junit()
        assert len(list(found.layers)) == len(found.layers)


def test_a_rate_that_is_nan_is_no_schedule_that_is_off_by_one(tmp_path):
    for name, rates in (("a", (0.4, np.nan, np.nan, 0.1)), ("b", (0.2, 0.5, 0.3, 0.7))):
        with mb.Run(tmp_path / name) as run:
            for step, rate in enumerate(rates):
                run.log({"train/learning_rate": rate}, step)
    assert [one.title for one in mb.compare(tmp_path / "a", tmp_path / "b").diagnoses] == ["another schedule"]


@pytest.mark.parametrize("odd", [np.inf, np.nan])
def test_an_update_ratio_that_is_infinite_in_one_run_parts_in_either_order(tmp_path, odd):
    for name, ratio in (("a", 0.5), ("b", odd)):
        with mb.Run(tmp_path / name) as run:
            run.log({"update_ratio/fc/kernel": ratio}, 0)
    for pair in (("a", "b"), ("b", "a")):
        assert mb.compare(*(tmp_path / name for name in pair)).divergence[0].distance == np.inf


def test_the_frameworks_of_the_tables_count_and_not_what_the_process_had_loaded(tmp_path):
    def write(name, framework, paths):
        with mb.Run(tmp_path / name, facts={"framework": "torch, jax"}) as run:
            roles = {path: (RoleRow("kernel", f"{path}/kernel", "kernel", (8, 8)),) for path in paths}
            run.describe_layers(LayerRows(framework, tuple(LayerRow(path, "", None, of) for path, of in roles.items())), 0)
        return tmp_path / name

    later = ("dense_2", "dense_3")
    a, b, other = write("a", "torch", ("dense_1", "dense_2")), write("b", "torch", later), write("other", "jax", later)
    trusted, counted = (mb.compare(a, one).alignments[one.name].pairs for one in (b, other))
    assert ("dense_2", "dense_2", "agreed") in {pair[:3] for pair in trusted}
    assert {pair.level for pair in counted} == {"guess"}


def test_a_path_that_somebody_chose_is_as_certain_within_one_framework_as_between_two(tmp_path):
    def write(name, framework):
        with mb.Run(tmp_path / name, facts={"framework": framework}) as run:
            run.describe_layers(TABLE._replace(framework=framework), 0)
        return tmp_path / name

    a, b, other = write("a", "torch"), write("b", "torch"), write("other", "jax")
    for one in (b, other):
        assert {pair.level for pair in mb.compare(a, one).alignments[one.name].pairs if pair.a == "head"} == {"certain"}
