"""What is written as CSV or JSON lines is read back as it was, by the readers of the standard library."""

import csv
import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import multiboard as mb
from multiboard.export import export
from multiboard.reader import Column, RunData, Runs
from multiboard.text_rows import number_texts

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8) | st.sampled_from(
    ['a,b "c"', "line\nbreak", "\r", " x ", "é\u2028", "=1+1", "run", "\x00"]
)
STEPS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=True)
FLOAT32 = st.floats(width=32)


@st.composite
def columns(draw):
    numbers = draw(st.sampled_from([FLOATS, FLOAT32]))
    points = draw(st.lists(st.tuples(STEPS, st.floats(0, 4e9), numbers), min_size=1, max_size=5))
    step, time, value = zip(*points, strict=True)
    return Column(np.array(step, np.int64), np.array(time, np.float64), np.array(value, np.float64))


RUNS = st.dictionaries(NAMES, st.dictionaries(NAMES, columns(), min_size=1, max_size=3), min_size=1, max_size=2)


def as_runs(data):
    return Runs({name: RunData(Path(), scalars=scalars) for name, scalars in data.items()})


def points(runs):
    return [
        (name, tag, step, time, value)
        for name, run in runs.items()
        for tag, column in run.scalars.items()
        for step, time, value in zip(column.step.tolist(), column.wall_time.tolist(), column.value.tolist(), strict=True)
    ]


def exported(runs, **arguments):
    out = io.BytesIO()
    export(runs, out, **arguments)
    return out.getvalue().decode()


def csv_rows(text):
    return list(csv.reader(io.StringIO(text, newline="")))


def strict_json(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in text.split("\n")[:-1]]


def same_number(read, written, runs_hold_float32):
    """Tell whether a number is the same, as a float32 or to the last bit."""
    number = float(read)
    if runs_hold_float32:
        number = float(np.float32(number))
    return struct.pack("<d", number) == struct.pack("<d", written) or (number != number and written != written)  # noqa: PLR0124


def is_float32(column):
    with np.errstate(over="ignore"):
        return np.array_equal(column.value.astype(np.float32), column.value, equal_nan=True)


def check_rows(rows, runs):
    expected = points(runs)
    assert len(rows) == len(expected)
    for (run, tag, step, time, value), written in zip(rows, expected, strict=True):
        assert (run, tag, int(step), float(time)) == written[:4]
        assert same_number(value, written[4], is_float32(runs[run].scalars[tag]))


@settings(max_examples=150, deadline=None)
@given(RUNS)
def test_csv_comes_back_as_it_was(data):
    runs = as_runs(data)
    head, *rows = csv_rows(exported(runs))
    assert head == ["run", "tag", "step", "wall_time", "value"]
    check_rows(rows, runs)


@settings(max_examples=150, deadline=None)
@given(RUNS)
def test_json_lines_are_strict_json_and_come_back_as_they_were(data):
    runs = as_runs(data)
    rows = strict_json(exported(runs, form="jsonl"))
    assert all(list(row) == ["run", "tag", "step", "wall_time", "value"] for row in rows)
    check_rows([row.values() for row in rows], runs)


@settings(max_examples=300, deadline=None)
@given(st.lists(FLOAT32, min_size=1, max_size=20))
def test_float32_prints_no_longer_than_numpy_does_or_else_what_rounds_twice(values):
    numbers = np.array(values, np.float32)
    for text, number in zip(number_texts(numbers), numbers, strict=True):
        if np.isfinite(number):
            assert text == str(number) or np.float32(float(str(number))) != number


def test_a_decimal_between_two_float32_is_printed_in_full():
    """The float64 of 7.038531e-26 is the middle of two float32, and the wrong one is even."""
    number = np.array([7.0385307e-26], np.float32)
    assert np.float32(float(str(number[0]))) != number[0]
    assert np.float32(float(number_texts(number)[0])) == number[0]


def test_a_run_on_disk_prints_short_numbers(log_dir):
    with mb.Run(log_dir) as run:
        run.log({"loss": 0.1}, 3)
    (row,) = csv_rows(exported(mb.read(log_dir)))[1:]
    assert (row[:3], row[4]) == ([".", "loss", "3"], "0.1")
    assert float(row[3]) == mb.read(log_dir)["."].scalars["loss"].wall_time[0]


def test_a_column_with_one_double_prints_all_its_numbers_as_doubles():
    value = np.array([np.float32(0.1), 0.1])
    runs = as_runs({"r": {"t": Column(np.arange(2), np.zeros(2), value)}})
    assert [row[4] for row in csv_rows(exported(runs))[1:]] == ["0.10000000149011612", "0.1"]


@pytest.mark.filterwarnings("ignore::multiboard.MultiboardWarning")
def test_what_is_not_finite_has_one_spelling_per_format(log_dir):
    with mb.Run(log_dir) as run:
        for step, value in enumerate([float("nan"), float("inf"), float("-inf")]):
            run.log({"x": value}, step)
    rows = csv_rows(exported(mb.read(log_dir), tags=["x"]))[1:]
    assert [row[4] for row in rows] == ["NaN", "inf", "-inf"]
    objects = strict_json(exported(mb.read(log_dir), tags=["x"], form="jsonl"))
    assert [row["value"] for row in objects] == ["NaN", "Infinity", "-Infinity"]


def test_histograms_are_rows_of_edges_and_counts(log_dir):
    with mb.Run(log_dir) as run:
        for step in (0, 5):
            run.histogram("h", np.linspace(-1, 1, 50 + step), step)
    column = mb.read(log_dir)["."].histograms["h"]
    rows = csv_rows(exported(mb.read(log_dir), kind="histograms"))
    assert rows[0] == ["run", "tag", "step", "wall_time", "left", "right", "count"]
    for step, buckets in zip(column.step, column.value, strict=True):
        found = [list(map(float, row[4:])) for row in rows[1:] if row[2] == str(step)]
        np.testing.assert_array_equal(found, buckets)


def test_texts_keep_their_lines_and_empty_texts_their_rows(log_dir):
    texts = ["# one\n\n| a | b |", "", 'say "no", é']
    with mb.Run(log_dir) as run:
        for step, text in enumerate(texts):
            run.text("t", text, step)
    runs = mb.read(log_dir)
    assert [row[4] for row in csv_rows(exported(runs, kind="texts"))[1:]] == texts
    assert [row["text"] for row in strict_json(exported(runs, kind="texts", form="jsonl"))] == texts


def test_all_kinds_in_one_file_say_which_they_are(log_dir):
    with mb.Run(log_dir) as run:
        run.log({"x": 1.0}, 0)
        run.histogram("h", [1.0, 2.0], 0)
        run.text("t", "text", 0)
    head, *rows = csv_rows(exported(mb.read(log_dir), kind="all"))
    assert head == ["kind", "run", "tag", "step", "wall_time", "value", "left", "right", "count", "text"]
    assert [row[0] for row in rows] == ["scalars", "histograms", "histograms", "texts"]
    assert rows[0][5:] == ["1.0", "", "", "", ""]
    assert list(strict_json(exported(mb.read(log_dir), kind="all", form="jsonl"))[-1])[-2:] == ["wall_time", "text"]


def test_half_a_character_in_the_name_of_a_directory_is_kept():
    name = b"run\x80".decode(errors="surrogateescape")
    runs = as_runs({name: {"x": Column(np.zeros(1, np.int64), np.zeros(1), np.ones(1))}})
    out = io.BytesIO()
    export(runs, out)
    assert b"\nrun\x80,x,0," in out.getvalue()
    assert strict_json(exported(runs, form="jsonl"))[0]["run"] == name
