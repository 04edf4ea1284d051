"""The same CNN and transformer in PyTorch, linen, NNX and Keras on three backends: six trainings each, one Profile tab."""

import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from xprof.convert.raw_to_tool_data import xspace_to_tool_data

import multiboard as mb

PROGRAMS = Path(__file__).parent / "programs"
FIRST, STEPS = 4, 5
SLEEP_MS = 20.0
STYLES = ("torch", "linen", "nnx", "keras_jax", "keras_torch", "keras_tensorflow")
MODELS = ("cnn", "transformer")
RUNS = [f"{style}_{model}" for style in STYLES for model in MODELS]
LAYERS = {
    "cnn": {"conv1", "conv2", "fc1", "head"},
    "transformer": {"head"}
    | {f"block{n}/{layer}" for n in range(2) for layer in ("fc", "proj", "attn/q", "attn/k", "attn/v", "attn/out")},
}
"""Layers with a product or a convolution, which no compiler does without."""
PRODUCT = re.compile(r"addmm|mm|convolution|dot_general|conv_general_dilated|\w*(MatMul|Conv2D)")
"""An operation that each of them calls once, by its name in one of the frameworks."""


def start(program, out, backend=None):
    """Start a training program."""
    environment = os.environ | {"KERAS_BACKEND": backend or "jax", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(PROGRAMS / f"profile_{program}.py"), str(out), str(SLEEP_MS)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.fixture(scope="module")
def trained(own_board_dir):
    """The directory of all trainings, made by three processes at a time."""
    waiting = [("keras", "tensorflow"), ("keras", "jax"), ("keras", "torch"), ("jax", None), ("torch", None)]
    for batch in (waiting[:2], waiting[2:]):
        started = [start(program, own_board_dir, backend) for program, backend in batch]
        for process in started:
            output, _ = process.communicate(timeout=200)
            assert process.returncode == 0, output[-3000:]
            assert "MultiboardWarning" not in output, output[-3000:]
    return own_board_dir


def space_of(trained, run):
    (path,) = (trained / run).glob("plugins/profile/step_000004/*.xplane.pb")
    return path


def tables(path, tool):
    """Return what XProf makes of a profile: the rows of each table as dicts, and its properties."""
    data, _ = xspace_to_tool_data([str(path)], tool, {"use_saved_result": False})
    found = json.loads(data)
    for table in found if isinstance(found, list) else [found]:
        names = [column["id"] for column in table["cols"]]
        rows = [{name: cell and cell["v"] for name, cell in zip(names, row["c"], strict=False)} for row in table.get("rows", ())]
        yield rows, table.get("p", {})


@pytest.fixture(params=RUNS)
def run(request):
    return request.param


@pytest.mark.usefixtures("trained")
def test_every_profile_is_listed_by_tensorboard(own_board):
    listed = own_board.wait_for(lambda: own_board.json("data/plugin/profile/runs"), lambda runs: len(runs) == len(RUNS))
    assert sorted(listed) == sorted(f"{run}/step_000004" for run in RUNS)


@pytest.mark.usefixtures("trained")
def test_tensorboard_serves_the_timeline_with_the_steps(own_board, run):
    session = f"{run}/step_000004"
    (host,) = own_board.wait_for(lambda: own_board.json("data/plugin/profile/hosts", run=session, tag="trace_viewer@"), bool)
    trace = own_board.json("data/plugin/profile/data", run=session, tag="trace_viewer@", host=host["hostname"])
    named = {event.get("name") for event in trace["traceEvents"]}
    assert {f"train {step}" for step in range(FIRST, FIRST + STEPS)} <= named


def steps_of(path):
    """Return the row of each step in XProf's analysis of the input pipeline."""
    return next(rows for rows, _ in tables(path, "input_pipeline_analyzer") if rows and "stepnum" in rows[0])


def infeed_ms(path):
    """Return how long a step waits for input in XProf, in ms, without the first, which the summary leaves out.

    The median, as one of them may have waited for a processor.
    """
    return statistics.median(row["infeedTimeMs"] for row in steps_of(path)[1:])


def test_xprof_finds_the_steps_and_what_they_are_made_of(trained, run):
    steps = steps_of(space_of(trained, run))
    assert [row["stepnum"] for row in steps] == [f"train {step}" for step in range(FIRST, FIRST + STEPS)]
    assert all(row["hostComputeTimeMs"] > 0 for row in steps), steps


def test_waiting_for_input_is_what_the_loader_takes(trained, run):
    waited = infeed_ms(space_of(trained, run))
    taken = statistics.median(json.loads((trained / run / "waits.json").read_text())[FIRST + 1 : FIRST + STEPS])
    assert taken >= SLEEP_MS
    if run.startswith("keras_tensorflow"):  # which draws batches while it trains, so that a part of it is not waited for
        assert 0 < waited < taken * 1.1
    elif run.startswith("keras_torch"):  # whose loader does more between two batches than to call the dataset
        assert taken * 0.9 < waited < taken * 3
    else:
        assert waited == pytest.approx(taken, rel=0.1)


def test_operations_stand_under_the_layers_of_the_uniform_tags(trained, run):
    rows = max((rows for rows, _ in tables(space_of(trained, run), "framework_op_stats")), key=len)
    names = {row["operation"] for row in rows}
    for layer in LAYERS[run.rpartition("_")[2]]:
        assert any(name.startswith(f"{layer}/") for name in names), (layer, sorted(names))
        assert any(name.startswith(f"backward/{layer}/") for name in names), (layer, sorted(names))


def test_products_and_convolutions_are_counted_as_often_as_layers_were_called(trained, run):
    counts = dict.fromkeys(LAYERS[run.rpartition("_")[2]], 0)
    rows = max((rows for rows, _ in tables(space_of(trained, run), "framework_op_stats")), key=len)
    for row in rows:
        layer, _, operation = row["operation"].rpartition("/")
        if layer in counts and PRODUCT.fullmatch(operation):
            counts[layer] += row["occurrences"]
    assert counts == dict.fromkeys(counts, STEPS)


def test_the_summary_says_the_same_of_each(trained, run):
    found = mb.read(trained / run)["."]
    scalars = {tag: column for tag, column in found.scalars.items() if tag.startswith("profile/")}
    assert {"profile/step_ms", "profile/input_pct", "profile/host_only_pct"} <= scalars.keys()
    assert {tuple(column.step.tolist()) for column in scalars.values()} == {(FIRST,)}
    assert "| " in found.texts["profile/top_ops"].value[0]


def test_the_summary_agrees_with_xprof(trained, run):
    found = mb.read(trained / run)["."].scalars
    steps = steps_of(space_of(trained, run))[1:]
    totals = [row["stepTimeMs"] for row in steps]
    assert found["profile/step_ms"].value[0] == pytest.approx(statistics.median(totals), rel=0.1)
    waited = sum(row["infeedTimeMs"] for row in steps)
    assert found["profile/input_pct"].value[0] == pytest.approx(100 * waited / sum(totals), rel=0.1)
