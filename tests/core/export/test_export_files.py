"""A file of rows is whole or absent, replaces nothing without being told to, and takes the memory of a part of its rows."""

import gzip
import io
import os
import sys
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import multiboard as mb
from multiboard.errors import ArgumentError, MissingFrameworkError, ReadError
from multiboard.export import export
from multiboard.reader import Column, RunData, Runs


@pytest.fixture
def runs(tmp_path):
    for name in ("torch", "flax"):
        with mb.Run(tmp_path / "runs" / name) as run:
            run.log({"train/loss": 0.5, "eval/loss": 1.0}, 0)
            run.text("note", name, 0)
    return tmp_path / "runs"


def test_the_number_of_rows_is_returned_and_the_suffix_chooses_the_format(runs, tmp_path):
    assert export(runs, tmp_path / "out.csv").rows == 4
    assert (tmp_path / "out.csv").read_text().startswith("run,tag,")
    assert export(runs, tmp_path / "out.jsonl").rows == 4
    assert (tmp_path / "out.jsonl").read_text().startswith('{"run": ')


def test_a_zipped_file_is_the_same_bytes_each_time(runs, tmp_path):
    export(runs, tmp_path / "plain.csv")
    for name in ("a.csv.gz", "b.csv.gz"):
        export(runs, tmp_path / name)
    zipped = (tmp_path / "a.csv.gz").read_bytes()
    assert zipped == (tmp_path / "b.csv.gz").read_bytes()
    assert zipped[3:8] == bytes(5), "the header holds no name and no time"
    assert gzip.decompress(zipped) == (tmp_path / "plain.csv").read_bytes()


def test_a_file_that_exists_stays_unless_it_may_be_replaced(runs, tmp_path):
    out = tmp_path / "out.csv"
    out.write_text("mine")
    with pytest.raises(ArgumentError, match="exists"):
        export(runs, out)
    assert out.read_text() == "mine"
    export(runs, out, overwrite=True)
    assert out.read_text().startswith("run,")


def test_a_link_stays_a_link(runs, tmp_path):
    link, target = tmp_path / "link.csv", tmp_path / "target.csv"
    link.symlink_to(target)
    export(runs, link)
    assert link.is_symlink()
    assert target.read_text().startswith("run,")


def test_a_pipe_gets_the_rows(runs, tmp_path):
    pipe, read = tmp_path / "pipe.csv", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    export(runs, pipe)
    reader.join(10)
    assert read[0].startswith("run,")
    assert pipe.is_fifo()


def test_a_failure_in_the_middle_leaves_nothing_behind(tmp_path):
    broken = Column(np.arange(2), np.zeros(2), [[[0.0, 1.0, 2.0]], [["no number"] * 3]])
    with pytest.raises(ValueError, match="no number"):
        export(Runs({"r": RunData(Path(), histograms={"h": broken})}), tmp_path / "out.csv", kind="histograms")
    assert list(tmp_path.iterdir()) == []


def test_patterns_choose_runs_and_tags(runs):
    def rows(**arguments):
        out = io.BytesIO()
        export(runs, out, **arguments)
        return [line.split(",")[:2] for line in out.getvalue().decode().splitlines()[1:]]

    assert rows(runs=["t*"]) == [["torch", "train/loss"], ["torch", "eval/loss"]]
    assert rows(tags=["*/loss"], runs=["flax"]) == [["flax", "train/loss"], ["flax", "eval/loss"]]
    assert rows(tags=["train/*", "eval/loss"], runs=["flax"]) == [["flax", "train/loss"], ["flax", "eval/loss"]]
    assert rows(kind="texts") == [["flax", "note"], ["torch", "note"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tags": ["train/los"]}, "matches nothing.*Did you mean 'train/loss'"),
        ({"tags": ["note"]}, "matches nothing"),
        ({"runs": ["keras"]}, "matches nothing.*flax, torch"),
        ({"kind": "images"}, "'scalars', 'histograms', 'texts' or 'all'"),
        ({"kind": "histograms"}, "hold no histograms"),
        ({"kind": "texts", "wide": True}, "only scalars"),
        ({"form": "xlsx"}, "'csv', 'jsonl', 'parquet'"),
    ],
)
def test_a_wrong_argument_is_told_and_no_file_is_made(runs, tmp_path, arguments, message):
    with pytest.raises(ArgumentError, match=message):
        export(runs, tmp_path / "out.csv", **arguments)
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("name", ["out", "out.xlsx", "out.gz", "out.parquet.gz"])
def test_a_name_that_tells_no_format_is_refused(runs, tmp_path, name):
    with pytest.raises(ArgumentError, match=r"\.csv, \.jsonl or \.parquet|leave \.gz out"):
        export(runs, tmp_path / name)


def test_what_could_not_be_read_is_returned_with_its_file(runs, tmp_path):
    (file,) = (runs / "flax").iterdir()
    file.write_bytes(file.read_bytes()[:-3])
    assert list(export(runs, tmp_path / "out.csv").damage) == [f"flax/{file.name}"]
    assert export(runs, tmp_path / "torch.csv", runs=["torch"]).damage == {}


def test_a_directory_without_runs_is_told(tmp_path):
    with pytest.raises(ReadError):
        export(tmp_path, tmp_path / "out.csv")


def test_parquet_without_a_library_for_it_names_the_command_that_installs_one(runs, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingFrameworkError, match=r"pip install 'multiboard\[polars\]'"):
        export(runs, tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames_without_their_library_name_the_command_that_installs_it(runs, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingFrameworkError, match=rf"pip install 'multiboard\[{library}\]'"):
        getattr(mb.read(runs), f"to_{library}")()


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_four_times_the_points_do_not_take_four_times_the_memory(form):
    class Nowhere(io.RawIOBase):
        def write(self, data):
            return len(data)

    def peak(count):
        column = Column(np.arange(count), np.full(count, 1.7e9), np.full(count, 0.1))
        runs = Runs({"r": RunData(Path(), scalars={"x": column})})
        tracemalloc.start()
        try:
            assert export(runs, Nowhere(), form=form).rows == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(1 << 18) < 2 * peak(1 << 16)
