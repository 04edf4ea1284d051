"""The wide form has a row per run and step, a column per tag, and empty cells where a tag has no point."""

import csv
import io
import json
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from multiboard.export import export
from multiboard.reader import Column, RunData, Runs

POINTS = st.lists(st.tuples(st.integers(-3, 6), st.floats(width=32)), max_size=8)


def column(points):
    step, value = np.array([p[0] for p in points], np.int64), np.array([p[1] for p in points], np.float64)
    return Column(step, np.zeros(len(step)), value)


def wide(data, form="csv"):
    runs = Runs({run: RunData(Path(), scalars={tag: column(p) for tag, p in tags.items()}) for run, tags in data.items()})
    out = io.BytesIO()
    export(runs, out, wide=True, form=form)
    return out.getvalue().decode()


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from("ab"), st.dictionaries(st.sampled_from("xyz"), POINTS, min_size=1), min_size=1))
def test_each_cell_is_the_last_point_of_the_tag_at_the_step(data):
    expected = []
    for run, tags in data.items():
        for step in sorted({step for points in tags.values() for step, _ in points}):
            last = {tag: dict(points)[step] for tag, points in tags.items() if step in dict(points)}
            expected.append((run, step, {tag: np.float32(value) for tag, value in last.items()}))
    rows = list(csv.DictReader(io.StringIO(wide(data))))
    assert len(rows) == len(expected)
    for row, (run, step, cells) in zip(rows, expected, strict=True):
        assert (row.pop("run"), int(row.pop("step"))) == (run, step)
        found = {tag: np.float32(float(text)) for tag, text in row.items() if text}
        assert found.keys() == cells.keys()
        assert all(np.array_equal(found[tag], cells[tag], equal_nan=True) for tag in cells)


def test_nan_is_a_number_and_no_empty_cell():
    data = {"r": {"x": [(0, float("nan")), (1, 2.0)], "y": [(1, float("inf"))]}}
    assert wide(data) == "run,step,x,y\nr,0,NaN,\nr,1,2.0,inf\n"
    assert [json.loads(line) for line in wide(data, "jsonl").splitlines()] == [
        {"run": "r", "step": 0, "x": "NaN"},
        {"run": "r", "step": 1, "x": 2.0, "y": "Infinity"},
    ]


def test_a_tag_that_is_called_step_does_not_hide_the_step():
    assert wide({"r": {"step": [(0, 1.0)], "step_": [(0, 2.0)]}}) == "run,step,step__,step_\nr,0,1.0,2.0\n"


def test_rows_beyond_one_block_go_on_with_the_next_step():
    points = [(step, float(step)) for step in range(70_000)]
    lines = wide({"r": {"x": points, "y": points[::7]}}).splitlines()
    assert len(lines) == 70_001
    assert lines[1:] == [f"r,{step},{float(step)},{float(step) if step % 7 == 0 else ''}" for step in range(70_000)]
